"""Halving with real trainings, in this process and in others."""

from pathlib import Path

import numpy as np
import pytest

from evaluators import Cost, Quality
from nas.execution.trial.task import TrialProgress
from nas.networks.candidate import Candidate
from nas.report.noise import noise_of
from nas.search.driver import search
from nas.search.watcher import NobodyWatches
from nas.storage.run_folder import RunFolder
from nas.study.study import Study
from nas.study.trial_result import TrialResult
from nas.training.schedule import Schedule
from search_spaces import UNet
from tests.helpers.small_study import small_study

WHOLE = Candidate(UNet(widths=(4, 8), convolutions=1, first_kernel=3, activation="relu"))


def _study(**changes: object) -> Study:
    values = {
        "evaluators": (Cost(), Quality()),
        "objectives": ("psnr_db", "gmacs_conv"),
        "schedule": Schedule(steps=16, batch=2, patch=16, learning_rate=1e-3, identity_start=True),
        "baselines": (WHOLE,),
        "sampler": "random",
        "halving": True,
        "replicates": 0,
    }
    return small_study(**(values | changes))


class Stops(NobodyWatches):
    """Ctrl-C at the given number of the training's signs of life."""

    def __init__(self, count: int) -> None:
        self.count = count

    def progress(self, progress: TrialProgress) -> None:
        self.count -= progress.stage == "training"
        if self.count == 0:
            raise KeyboardInterrupt


def _told(results: list[TrialResult]) -> list[tuple[int, str, str, dict[str, float]]]:
    return [
        (r.number, r.key, r.state, {name: m.value for name, m in r.metrics.items()})
        for r in results
    ]


@pytest.mark.slow
def test_real_trainings_are_halved_killed_and_end_the_same(tmp_path: Path) -> None:
    whole = search(_study(), tmp_path / "whole", trials=5).results()
    assert [r.state for r in whole] == ["complete", *["stopped"] * 4]
    for count in (1, 3):
        with pytest.raises(KeyboardInterrupt):
            search(_study(), tmp_path / "cut", trials=5, watcher=Stops(count))
    cut = search(_study(), tmp_path / "cut", trials=5, workers=2).results()
    assert _told(cut) == _told(whole)
    assert not list(tmp_path.glob("*/weights/*/checkpoint.npz"))
    # Trained in three legs or in one: the same file, and two seeds of it.
    plain = search(_study(halving=False, replicates=1), tmp_path / "plain", trials=5)
    first = plain.read_result(0)
    assert first is not None
    assert first.value("psnr_db") == whole[0].value("psnr_db")
    files = [folder / "trials/00000/model.tflite" for folder in (tmp_path / "whole", plain.path)]
    assert files[0].read_bytes() == files[1].read_bytes()
    noise = noise_of(plain, plain.results())
    assert noise is not None
    (again,) = RunFolder(plain.path / "replicates").results()
    one = plain.read_result(again.number)
    assert one is not None
    apart = abs(one.value("psnr_db") - again.value("psnr_db"))
    assert noise.spread_db == pytest.approx(apart / np.sqrt(2))
    assert apart > 0
