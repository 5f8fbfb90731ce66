"""A phone has a name wherever a person reads of it; files keep the device's string as their key."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from nas.cli.app import app
from nas.cli.live import watch
from nas.devices.names import DeviceName, device_name
from nas.report import gather, write_report
from nas.report.charts import front_chart
from nas.report.export import export_models
from nas.storage.run_devices import run_names
from nas.storage.run_folder import RunFolder
from nas.system.files import write_json
from tests.helpers.envelope import data_of
from tests.helpers.fake_run import make_run
from tests.helpers.report_pages import Page, as_reported
from tests.helpers.small_study import small_study

MATE, RENO = "adb:127.0.0.1:46543", "adb:R58M12?delegate=gpu"
SHA = "7be16a13" * 8
PHONES = {
    MATE: {"model": "Mate30-like", "chip": "kirin990-like", "android": "10"},
    RENO: {"model": "Reno3-like", "chip": "mt6885-like", "android": "11"},
}
MATE_FULL = f"Mate30-like, kirin990-like, Android 10 ({MATE})"
RENO_FULL = f"Reno3-like, mt6885-like, Android 11 ({RENO})"


def run_on(path: Path, phones: dict[str, dict[str, str]], trials: int = 40) -> RunFolder:
    """A made-up run over phones, of which each but the first trial's measurements are kept."""
    run = make_run(path, trials, tuple(phones))
    for result in run.results():
        notes = {}
        for index, (device, phone) in enumerate(phones.items()):
            key = f"{result.number}-{index}" if result.number else None
            notes[device] = {"required": True, "measurement": key, "failure": None}
            told = {"phone": phone, "tool": {"sha256": SHA}}
            if key:
                write_json(path / "measurements" / f"{key}.json", {"conditions": told})
        run.write_result(replace(result, conditions={**result.conditions, "devices": notes}))
    return run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return run_on(tmp_path / "run", PHONES)


def test_names_are_what_the_measurements_tell(run: RunFolder) -> None:
    names = run_names(run, run.results())
    assert {device: name.full for device, name in names.items()} == {
        MATE: MATE_FULL,
        RENO: RENO_FULL,
    }
    assert names[RENO] == DeviceName(RENO, "Reno3-like", "R58M12", "gpu", "mt6885-like", "11", SHA)


def test_a_phone_that_told_nothing_keeps_its_serial(run: RunFolder) -> None:
    for path in (run.path / "measurements").iterdir():
        path.write_text("damaged")
    assert [name.full for name in run_names(run, run.results()).values()] == [
        "adb:127.0.0.1:46543",
        "adb:R58M12 (adb:R58M12?delegate=gpu)",
    ]
    assert "adb:127.0.0.1:46543" in Page(write_report(run, 0).read_text()).text


def test_two_phones_of_a_model_and_two_uses_of_a_phone_are_told_apart(tmp_path: Path) -> None:
    phone = {"model": "Pixel 8", "chip": "", "android": "15"}
    devices = ("adb:A", "adb:A?delegate=gpu", "adb:B")
    run = run_on(tmp_path, dict.fromkeys(devices, phone))
    names = [name.name for name in run_names(run, run.results()).values()]
    assert names == ["Pixel 8, A", "Pixel 8, gpu", "Pixel 8, B"]


def test_devices_that_are_no_phones() -> None:
    assert device_name("host", {}, "AMD EPYC").full == "host, AMD EPYC"
    assert device_name("paper:reno3-5g", {}).full == "OPPO Reno3 5G (paper:reno3-5g)"


def test_the_report_names_phones_wherever_a_person_reads(run: RunFolder) -> None:
    page = Page(write_report(run, 0).read_text())
    for expected in (MATE_FULL, "Fastest on Mate30-like", "Latency on Reno3-like, ms", SHA):
        assert expected in page.text
    payload = json.loads(page.scripts["payload"])
    shown = json.dumps(payload["charts"])
    assert "Latency on Mate30-like, ms, log" in shown
    assert "adb:" not in shown
    assert payload["choice"]["names"] == {
        f"latency_ms[{MATE}]": "Mate30-like", f"latency_ms[{RENO}]": "Reno3-like",
    }  # fmt: skip
    assert "adb:" not in json.dumps([list(payload["choice"]["words"].values())])
    titles = {one["name"]: one.get("title") for one in payload["table"]["columns"]}
    assert titles[f"latency_ms[{MATE}]"] == "Latency on Mate30-like"  # the key stays in the CSV
    data = gather(run)
    assert data.named(f"worst on {MATE}; and host") == f"worst on Mate30-like ({MATE}); and host"
    assert front_chart(data, data.costs[1])["layout"]["xaxis"]["title"]["text"] == (
        "Latency on Reno3-like, ms, log"
    )


def test_an_export_names_phones_beside_the_keys(run: RunFolder, tmp_path: Path) -> None:
    one = export_models(run, tmp_path / "out", as_reported(run))[0]
    card = json.loads((one.folder / "card.json").read_text())
    assert f"latency_ms[{MATE}]" in card["metrics"]
    assert card["devices"][MATE] == {
        "full_name": MATE_FULL, "device": MATE, "name": "Mate30-like", "serial": "127.0.0.1:46543",
        "processor": "kirin990-like", "android": "10", "tool_sha256": SHA,
    }  # fmt: skip
    text = (one.folder / "README.md").read_text()
    assert "ms on Mate30-like (synthetic)" in text
    assert f"- {RENO_FULL}; benchmark tool of SHA-256 `{SHA}`" in text
    assert f"| `latency_ms[{MATE}]`, Mate30-like |" in text
    perf = yaml.safe_load((one.folder / "perf.yaml").read_text())
    (precision,) = perf["precisions"].values()
    (component,) = precision["components"].values()
    timed = component["performance_metrics"][RENO]
    assert timed.pop("tflite")["source"] == "synthetic"
    assert timed == {
        "name": RENO_FULL, "chip": "mt6885-like", "android": "11", "benchmark_tool_sha256": SHA,
    }  # fmt: skip


def test_pareto_names_phones(run: RunFolder) -> None:
    shown = CliRunner().invoke(app, ["pareto", str(run.path)], catch_exceptions=False)
    assert "ms Mate30-like  ms Reno3-like" in shown.stdout
    assert f"{MATE_FULL}; {RENO_FULL}" in shown.stderr
    done = CliRunner().invoke(app, ["pareto", str(run.path), "--json"], catch_exceptions=False)
    front = data_of(done.stdout, "pareto")
    assert front["models"][0]["latency_ms"].keys() == front["device_names"].keys() == {MATE, RENO}
    assert front["device_names"][MATE] == MATE_FULL


def test_a_search_names_phones_as_soon_as_they_told(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    results: list[Any] = [r for r in run.results() if r.state == "complete" and r.number]
    with watch(small_study(), run.path) as watcher:
        watcher.started(run, [], 8)
        watcher.finished(results[0])
    said = capsys.readouterr().err
    assert "latency_ms[Mate30-like] " in said
    assert "adb:" not in said
