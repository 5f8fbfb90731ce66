import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas.data import open_dataset
from nas.data.pack import Pack
from nas.errors import ConfigError, RunError, TrainingError
from nas.search.supernet_ranking import supernet_spec, tuning_schedule
from nas.training.schedule import Schedule, short_schedule
from nas.training.supernet import train as training
from nas.training.supernet.spec import WEIGHTS, SupernetSpec, supernet_of
from nas.training.supernet.train import load_supernet, rows_of_step, train_supernet
from search_spaces import UNetSpace
from tests.helpers.small_study import small_study

SPACE = UNetSpace(
    upsampling=("depth-to-space", "resize-bilinear"),
    activation=("relu", "prelu"),
    levels=(2,),
    widths=(4, 8),
    convolutions=(1,),
    first_kernel=(3,),
    global_residual=(True,),
)
SCHEDULE = Schedule(
    steps=6, batch=2, patch=16, learning_rate=3e-3, warmup_steps=2, decay="cosine", clip_norm=0.5
)
SPEC = SupernetSpec(SPACE.to_dict(), {"kind": "photos"}, SCHEDULE, 0)


@pytest.fixture(scope="module")
def pack(own_cache: Path) -> Pack:
    return open_dataset("photos").prepare(16)


def _weights(folder: Path) -> dict[str, np.ndarray]:
    return load_supernet(folder, SPEC.elastic).arrays()


def test_a_killed_training_ends_as_an_undisturbed_one(
    tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SLICE_SECONDS", 0.0)  # a step a slice, and a checkpoint each
    spec = replace(SPEC, schedule=replace(SCHEDULE, checkpoint_seconds=1e-9))
    train_supernet(spec, pack, tmp_path / "whole")

    def stop(step: int, steps: int, loss: float) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_supernet(spec, pack, tmp_path / "cut", stop)
    assert not (tmp_path / "cut" / WEIGHTS).exists()
    with pytest.raises(RunError, match="no finished supernet"):
        supernet_of(tmp_path / "cut")
    seen: list[int] = []
    train_supernet(spec, pack, tmp_path / "cut", lambda step, *_: seen.append(step))
    assert seen[0] == 3  # the step whose checkpoint was not written any more
    whole, cut = _weights(tmp_path / "whole"), _weights(tmp_path / "cut")
    assert whole.keys() == cut.keys()
    assert all(np.array_equal(whole[name], cut[name]) for name in whole)
    assert not (tmp_path / "cut" / "checkpoint.npz").exists()
    assert supernet_of(tmp_path / "cut")["cost"]["cpu_seconds"] > 0

    before = (tmp_path / "cut" / WEIGHTS).stat().st_mtime_ns
    train_supernet(spec, pack, tmp_path / "cut", lambda *_: pytest.fail("it trained again"))
    assert (tmp_path / "cut" / WEIGHTS).stat().st_mtime_ns == before


def test_every_weight_is_trained(tmp_path: Path, pack: Pack) -> None:
    losses: list[float] = []
    schedule = replace(SCHEDULE, steps=60, warmup_steps=6)
    spec = replace(SPEC, schedule=schedule)
    train_supernet(spec, pack, tmp_path, lambda step, steps, loss: losses.append(loss))
    assert losses
    assert np.isfinite(losses).all()
    changed = _weights(tmp_path)
    first = training.first_weights(SPEC.elastic, 0)
    assert all(np.abs(changed[name] - first[name]).max() > 1e-4 for name in first)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 1}, "trained for another seed"),
        ({"data": {"kind": "reds"}}, "trained for other data"),
        ({"space": replace(SPACE, widths=(4, 12)).to_dict()}, "trained for another space"),
        ({"schedule": replace(SCHEDULE, steps=7)}, "trained for another schedule"),
    ],
)
def test_another_supernet_in_the_folder(
    tmp_path: Path, pack: Pack, change: dict[str, object], words: str
) -> None:
    told = {"key": SPEC.key, "spec": SPEC.to_dict()}
    (tmp_path / "supernet.json").write_text(json.dumps(told))
    with pytest.raises(RunError, match=f"{words} .*give another folder") as caught:
        train_supernet(replace(SPEC, **change), pack, tmp_path)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_operations_are_trained_equally_often() -> None:
    rows = [row for step in range(40) for row in rows_of_step(SPEC, step)]
    pairs = np.array([row[:2] for row in rows])
    counts = np.unique(pairs, axis=0, return_counts=True)[1]
    assert counts.tolist() == [40] * 4
    assert [row[6] for row in rows[::4]] == [8] * 40  # the largest comes first
    assert [row[6] for row in rows[1::4]] == [4] * 40
    assert all(
        np.array_equal(a, b)
        for a, b in zip(*(rows_of_step(SPEC, 5) for _ in range(2)), strict=True)
    )


def test_patches_that_do_not_fit_and_steps_that_explode(tmp_path: Path, pack: Pack) -> None:
    with pytest.raises(ConfigError, match="15x15 does not divide by 2"):
        train_supernet(replace(SPEC, schedule=replace(SCHEDULE, patch=15)), pack, tmp_path / "a")
    wild = replace(SCHEDULE, learning_rate=1e30, clip_norm=None, steps=20)
    with pytest.raises(TrainingError, match=r"supernet's training diverged before step .* of 20"):
        train_supernet(replace(SPEC, schedule=wild), pack, tmp_path / "b")


def test_a_slice_is_trained_by_the_whole_schedule_from_where_it_is() -> None:
    schedule = short_schedule(600)
    spec = SupernetSpec(SPACE.to_dict(), {}, schedule, seed=0)
    tuned = tuning_schedule(schedule, spec)
    assert tuned == replace(schedule, identity_start=False, start=f"supernet:{spec.key}")


def test_a_study_without_training_has_no_supernet() -> None:
    with pytest.raises(ConfigError, match="'small' trains nothing"):
        supernet_spec(small_study(), {})
