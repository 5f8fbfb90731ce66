"""What a study says of itself, and when it is asked whether its parts fit together."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evaluators import Latency
from nas.cli.app import app
from nas.cli.search import load_study
from nas.errors import ConfigError
from nas.search.driver import search
from nas.storage.run_folder import RunFolder
from studies import STUDIES
from tests.helpers.small_study import small_study
from tests.helpers.trained_study import trained_study

FILE = """
from dataclasses import replace
from evaluators import ModelledLatency
from studies.portable import CHOSEN, STUDY as PORTABLE
from tests.helpers.small_study import MadeUp

STUDY = replace(
    PORTABLE, evaluators=(MadeUp(), ModelledLatency(CHOSEN)), devices=("paper:reno3-5g",),
    objectives=("psnr_db", "latency_ms"), constraints=("latency_ms[paper:pixel-4]<=1e6",),
    baselines=(), reference=None, sampler="random", trials=2,
)
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [*sys.path])
    path = tmp_path / "bounds-another-device.py"
    path.write_text(FILE)
    return path


def test_a_file_may_bound_a_device_that_an_option_brings(file: Path, tmp_path: Path) -> None:
    arguments = ["search", str(file), "--out", str(tmp_path / "run"), "--workers", "1"]
    devices = ["--device", "paper:pixel-4", "--device", "paper:reno3-5g"]
    done = CliRunner().invoke(app, [*arguments, *devices], catch_exceptions=False)
    assert done.exit_code == 0
    (first, _) = RunFolder(tmp_path / "run").results()
    assert first.violations.keys() == {"latency_ms[paper:pixel-4]<=1e+06"}


def test_without_the_option_it_is_refused_before_any_work(file: Path, tmp_path: Path) -> None:
    refused = (
        r"constraint 'latency_ms\[paper:pixel-4\]<=1e\+06': paper:pixel-4 is none of the study's "
        r"required devices \(paper:reno3-5g\); name it with --device, or in `devices`"
    )
    out = tmp_path / "run"
    with pytest.raises(ConfigError, match=refused):
        CliRunner().invoke(app, ["search", str(file), "--out", str(out)], catch_exceptions=False)
    with pytest.raises(ConfigError, match=refused):
        search(load_study(str(file)), out)
    assert not out.exists()


def test_what_an_option_can_mend_is_no_fault_of_the_file() -> None:
    """Halving that `--no-halving` takes back, devices, a reference that `--baseline` brings."""
    short = trained_study(halving=True, objectives=("psnr_db", "bytes"))
    with pytest.raises(ConfigError, match="can't tell bytes before the end"):
        short.check()
    replace(short, halving=False).check()
    nowhere = small_study(devices=())
    with pytest.raises(ConfigError, match=r"devices=\(\): none, or one twice"):
        nowhere.check()
    replace(nowhere, devices=("host",)).check()
    portable = replace(STUDIES["portable"], reference=None, baselines=())
    with pytest.raises(ConfigError, match="worst_latency_ratio needs a network to refer to"):
        portable.check()
    replace(portable, baselines=STUDIES["portable"].baselines[:1]).check()


def test_a_name_that_no_device_makes_right_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match=r"unknown objective 'latency\[host\]'"):
        small_study(objectives=("latency[host]",))
    with pytest.raises(ConfigError, match=r"unknown metric in a constraint 'ms\[adb:1\]'"):
        small_study(constraints=("ms[adb:1]<=3",))


@pytest.mark.parametrize("name", STUDIES)
def test_our_own_studies_fit_together(name: str) -> None:
    STUDIES[name].check()


def test_latencies_are_objectives_of_the_devices_that_have_one() -> None:
    placing = "npu:sm8650?partly=allowed"
    study = small_study(
        evaluators=(Latency(),), objectives=("latency_ms",), devices=("host", placing)
    )
    assert [one.metric for one in study.expanded_objectives] == ["latency_ms[host]"]
    share = f"accelerated_mac_share[{placing}]"
    both = replace(study, objectives=(share, "latency_ms"))
    assert [one.metric for one in both.expanded_objectives] == [share, "latency_ms[host]"]
    with pytest.raises(ConfigError, match=r"unknown objective 'latency_ms\[npu:sm8650"):
        replace(study, devices=(placing,))
