from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.data import open_dataset
from nas.data.pack import Pack
from nas.errors import ConfigError, NasError, RunError, TrainingError
from nas.networks.graph import Graph
from nas.training import train as training
from nas.training.schedule import Schedule, short_schedule
from nas.training.train import train, train_until, trained, training_key, untrained
from nas.training.workshop import Progress, Workshop
from search_spaces import FPN, UNet

NETWORK = UNet("depth-to-space", "prelu", (4, 8), 1, 3, True)
SCHEDULE = Schedule(
    steps=12, batch=2, patch=16, learning_rate=1e-3, warmup_steps=3, decay="cosine", clip_norm=0.5
)


@pytest.fixture(scope="module")
def pack(own_cache: Path) -> Pack:
    return open_dataset("photos").prepare(16)


def _ignore(stage: str, step: int, steps: int, loss: float) -> None:
    return None


def _train(
    pack: Pack,
    folder: Path,
    schedule: Schedule = SCHEDULE,
    seed: int = 0,
    progress: Progress = _ignore,
    graph: Graph | None = None,
) -> Path:
    """Train `NETWORK`, or `graph`, with everything stored in `folder`."""
    workshop = Workshop(pack, schedule, seed, folder.parent, progress)
    return train(graph or NETWORK.graph(), workshop, folder.name)


def _weights(file: Path) -> list[np.ndarray]:
    return trained(NETWORK.graph(), file).get_weights()


def test_a_killed_training_ends_as_an_undisturbed_one(
    tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SLICE_SECONDS", 0.0)  # a step a slice, and a checkpoint each
    schedule = Schedule(**(vars(SCHEDULE) | {"checkpoint_seconds": 1e-9}))
    whole = _train(pack, tmp_path / "whole", schedule, 7)

    def stop_at(last: int):
        def progress(stage: str, step: int, steps: int, loss: float) -> None:
            if step == last:
                raise KeyboardInterrupt

        return progress

    seen: list[int] = []
    for last in (4, 9):
        with pytest.raises(KeyboardInterrupt):
            _train(pack, tmp_path / "killed", schedule, 7, stop_at(last))
    killed = _train(
        pack, tmp_path / "killed", schedule, 7, lambda stage, step, steps, loss: seen.append(step)
    )
    assert seen[0] > 4  # it went on, not over again
    for one, other in zip(_weights(whole), _weights(killed), strict=True):
        assert np.array_equal(one, other)
    assert not (tmp_path / "killed" / "checkpoint.npz").exists()


def test_branches_are_trained_and_the_plain_network_is_kept(tmp_path: Path, pack: Pack) -> None:
    network = UNet("resize-bilinear", "relu", (4, 8), 1, 3, True, block="branched")
    file = _train(pack, tmp_path / "wide", graph=network.training_graph())
    cached = trained(network.graph(), file).get_weights()
    read = trained(network.graph(), file).get_weights()  # from the file, the first was handed on
    plain = _train(pack, tmp_path / "plain", graph=network.graph())
    for one, other in zip(cached, read, strict=True):
        np.testing.assert_array_equal(one, other)
    others = trained(network.graph(), plain).get_weights()
    assert any(not np.array_equal(one, other) for one, other in zip(read, others, strict=True))


def test_a_finished_training_is_not_done_again(tmp_path: Path, pack: Pack) -> None:
    first = _train(pack, tmp_path)
    before = first.stat().st_mtime_ns

    def progress(stage: str, step: int, steps: int, loss: float) -> None:
        raise AssertionError("it trained again")

    assert _train(pack, tmp_path, progress=progress) == first
    assert first.stat().st_mtime_ns == before


def test_steps_are_those_of_keras_own_adam(tmp_path: Path, pack: Pack) -> None:
    import tensorflow as tf
    import tf_keras as keras

    schedule = Schedule(steps=4, batch=2, patch=16, learning_rate=1e-2, clip_norm=0.5)
    ours = _weights(_train(pack, tmp_path, schedule, 3))
    model = untrained(NETWORK.graph(), schedule, 3)
    model.compile(keras.optimizers.Adam(1e-2, global_clipnorm=0.5, epsilon=1e-7), loss="mae")
    for step in range(4):
        blurred, sharp = pack.batch(step, 2, 16, 3)
        model.optimizer.learning_rate = schedule.rate(step)
        model.train_on_batch(tf.cast(blurred, tf.float32) / 255, tf.cast(sharp, tf.float32) / 255)
    for one, other in zip(ours, model.get_weights(), strict=True):
        assert np.allclose(one, other, atol=2e-5)


def test_a_diverged_training_is_a_typed_failure(tmp_path: Path, pack: Pack) -> None:
    schedule = Schedule(steps=30, batch=2, patch=16, learning_rate=1e30)
    with pytest.raises(TrainingError, match=r"diverged before step .* Lower the learning rate"):
        _train(pack, tmp_path, schedule)
    assert issubclass(TrainingError, NasError)


def test_patches_that_are_too_small_for_a_network(pack: Pack, tmp_path: Path) -> None:
    graph = FPN(stem=4, blocks35=0, blocks17=0, pyramid=4, head=4).graph()
    with pytest.raises(ConfigError, match=f"{SCHEDULE.patch}x.* is too small for this network"):
        _train(pack, tmp_path, graph=graph)


def test_the_key_of_a_training_stays_what_it_was() -> None:
    """Weights of earlier versions are found by this key."""
    key = training_key(NETWORK, {"kind": "photos"}, short_schedule(60), 7)
    assert key == "329e990f6a65"


def test_keys_tell_trainings_apart() -> None:
    key = training_key(NETWORK, {"kind": "photos"}, SCHEDULE, 0)
    assert key == training_key(NETWORK, {"kind": "photos"}, SCHEDULE, 0)
    assert key != training_key(NETWORK, {"kind": "photos"}, SCHEDULE, 1)
    assert key != training_key(NETWORK, {"kind": "reds"}, SCHEDULE, 0)
    assert key != training_key(UNet(), {"kind": "photos"}, SCHEDULE, 0)
    longer = Schedule(**(vars(SCHEDULE) | {"steps": 13}))
    assert key != training_key(NETWORK, {"kind": "photos"}, longer, 0)
    rarer = Schedule(**(vars(SCHEDULE) | {"checkpoint_seconds": 99.0}))
    assert key == training_key(NETWORK, {"kind": "photos"}, rarer, 0)


def test_a_full_disk_is_told_as_one(tmp_path: Path, pack: Pack) -> None:
    import os

    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    os.symlink("/dev/full", tmp_path / "part.weights.h5")  # HDF5 fails there as on a full disk
    with pytest.raises(RunError, match=r"can't write .*final\.weights\.h5"):
        _train(pack, tmp_path)


def _read(model: Any) -> dict[str, float]:
    return {f"{n}": float(np.abs(array).sum()) for n, array in enumerate(model.get_weights())}


def test_a_training_that_is_read_on_its_way_ends_as_an_unbroken_one(
    tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SLICE_SECONDS", 0.0)
    schedule = Schedule(**(vars(SCHEDULE) | {"checkpoint_seconds": 1e-9, "warmup_steps": 8}))
    whole = _train(pack, tmp_path / "whole", schedule, 7)

    def kills(last: int) -> Any:
        def progress(stage: str, step: int, steps: int, loss: float) -> None:
            if step == last:
                raise KeyboardInterrupt

        return progress

    def read(folder: str, stop: int, progress: Any = _ignore) -> dict[str, float]:
        workshop = Workshop(pack, schedule, 7, tmp_path, progress)
        return train_until(NETWORK.graph(), workshop, folder, stop, _read)

    readings = [read("read", stop) for stop in (2, 8)]
    for last in (5, 7):  # in the half whose weights are averaged
        with pytest.raises(KeyboardInterrupt):
            read("killed", 8, kills(last))
    assert read("killed", 8) == readings[1]
    for folder in ("read", "killed"):
        ended = _train(pack, tmp_path / folder, schedule, 7)
        for one, other in zip(_weights(whole), _weights(ended), strict=True):
            assert np.array_equal(one, other)
    assert [read("read", stop, kills(1)) for stop in (2, 8)] == readings  # kept, not done again
    assert read("killed", 2) == readings[0]  # it was never read there, and is, from the start


@pytest.mark.parametrize(("stop", "first"), [(8, 4), (24, 21)])
def test_a_reading_is_of_the_mean_of_the_last_weights(
    tmp_path: Path, pack: Pack, stop: int, first: int
) -> None:
    schedule = Schedule(**(vars(SCHEDULE) | {"steps": 32, "warmup_steps": 8}))
    run = training.TrainingRun.start(
        untrained(NETWORK.graph(), schedule, 7), schedule, tmp_path / "none.npz"
    )
    weights = []
    for _ in range(stop):
        run.advance(pack, 7, 0.0)
        weights.append(run.model.get_weights())
    judged: list[list[np.ndarray]] = []

    def judge(model: Any) -> dict[str, float]:
        judged.append(model.get_weights())
        return {}

    workshop = Workshop(pack, schedule, 7, tmp_path, _ignore)
    train_until(NETWORK.graph(), workshop, "training", stop, judge)
    for index, array in enumerate(judged[0]):
        mean = np.mean([one[index].astype(np.float64) for one in weights[first:]], axis=0)
        assert np.array_equal(array, mean.astype(np.float32))
