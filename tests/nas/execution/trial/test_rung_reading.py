from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nas.data import Pair, open_dataset
from nas.data.image_quality import psnr_db, ssim
from nas.errors import RunError, TrainingError
from nas.execution.trial.rung_reading import PICTURES, Reader, middle
from nas.execution.trial.waiting import Rested
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult


def _pairs(count: int, height: int = 64, width: int = 48) -> list[Pair]:
    random = np.random.default_rng(0)
    sharp = random.integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    blurred = (sharp.astype(np.int64) // 2 + np.arange(count)[:, None, None, None]).astype(np.uint8)
    pictures = zip(blurred, sharp, strict=True)
    return [Pair(str(n), a, b) for n, (a, b) in enumerate(pictures)]


def _dataset(pairs: list[Pair]) -> Any:
    return SimpleNamespace(heldout=lambda: iter(pairs))


def test_a_reading_is_the_mean_gain_over_the_blurred() -> None:
    pairs = _pairs(3)
    reader = Reader(_dataset(pairs), "three", ("psnr_db", "ssim"), 16)
    assert reader(lambda x, training: x) == {"psnr_db": 0.0, "ssim": 0.0}

    def doubled(x: Any, training: bool) -> Any:
        assert not training
        assert x.shape == (1, 64, 48, 3)
        assert 0 <= x.min() <= x.max() <= 1
        return x * 2

    gains = reader(doubled)
    for metric, score in {"psnr_db": psnr_db, "ssim": ssim}.items():
        told = []
        for pair in pairs:
            restored = np.minimum(pair.blurred.astype(np.int64) * 2, 255).astype(np.uint8)
            told.append(score(restored, pair.sharp) - score(pair.blurred, pair.sharp))
        assert gains[metric] == pytest.approx(np.mean(told), abs=1e-9)


def test_a_network_without_finite_output_has_no_reading() -> None:
    reader = Reader(_dataset(_pairs(1)), "one", ("psnr_db",), 16)
    with pytest.raises(TrainingError, match="the network's output is not finite"):
        reader(lambda x, training: x * np.nan)


def test_pictures_are_evenly_spread_and_cut_to_what_networks_take() -> None:
    pairs = _pairs(3 * PICTURES)
    seen: list[Any] = []
    reader = Reader(_dataset(pairs), "many", ("psnr_db",), 16)
    reader(lambda x, training: seen.append(x) or x)
    assert len(seen) == PICTURES
    for index, x in enumerate(seen):
        assert np.array_equal(np.rint(x[0] * 255).astype(np.uint8), pairs[3 * index].blurred)
    cut = middle(_pairs(1, 100, 300)[0], 8, side=256)
    assert cut.sharp.shape == cut.blurred.shape == (96, 256, 3)
    assert np.array_equal(cut.sharp, _pairs(1, 100, 300)[0].sharp[2:98, 22:278])


def test_the_photographs_have_five_middles() -> None:
    seen: list[Any] = []
    reader = Reader(open_dataset("photos"), "photos", ("psnr_db",), 16)
    reader(lambda x, training: seen.append(x.shape) or x)
    assert seen == [(1, 256, 256, 3)] * 4 + [(1, 144, 256, 3)]


def test_where_a_trial_waits_is_kept_whole(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    result = TrialResult(4, "key", "label", {"compression": {}}, "stopped")
    rested = Rested(1, result, "structure", {"placement": ["CONV_2D"]})
    assert Rested.read(run, 4, "key") is None
    rested.write(run)
    assert Rested.read(run, 4, "key") == rested
    assert Rested.read(run, 4, "another") is None
    (run.trial(4) / "rung.json").write_text('{"rung": 1}')
    with pytest.raises(RunError, match=r"00004/rung\.json does not say where a trial waits"):
        Rested.read(run, 4, "key")
