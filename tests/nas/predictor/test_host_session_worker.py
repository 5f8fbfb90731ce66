"""The process that times many small files, its processor's pace made up."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from nas.predictor import host_session_worker as session
from tests.helpers.artifacts import artifact, network

REQUEST = {"threads": 1, "warmup": 0, "runs": 2, "seconds": 0.0, "most": 2}


@pytest.fixture
def timed(tmp_path, monkeypatch):
    """Time a file beside the paces given, then the last one for good; a run takes 1, 2, 3... ms."""
    path = tmp_path / "model.tflite"
    path.write_bytes(artifact(network("resize-bilinear", "relu"), "float"))
    monkeypatch.setattr(session, "_best", [1.0])

    def given(*paces: float, patience: float = 30.0) -> list[float]:
        monkeypatch.setattr(session, "_patience", [patience])
        left, runs = list(paces), iter(range(1, 100))
        worker = SimpleNamespace(
            SEED=0,
            SLOW=1.25,
            PATIENCE_SECONDS=0.01,
            pace_ms=lambda: left.pop(0) if len(left) > 1 else left[0],
            timed_ms=lambda _: float(next(runs)),
        )
        found = session.timed({**REQUEST, "artifact": str(path)}, worker)["samples_ms"]
        return [float(one) for one in found]

    return given


def test_a_steady_processor_is_asked_once(timed) -> None:
    assert timed(1.0) == [1.0, 2.0]


def test_a_file_beside_a_slow_pace_is_timed_once_more(timed) -> None:
    assert timed(1.0, 1.7, 1.0) == [3.0, 4.0]


def test_the_less_disturbed_time_is_kept(timed) -> None:
    assert timed(1.0, 1.7, 1.0, 1.9) == [1.0, 2.0]


def test_without_patience_it_takes_what_there_is(timed) -> None:
    assert timed(1.7, patience=0.0) == [1.0, 2.0]


def test_inputs_are_features_of_the_shape_and_type() -> None:
    for dtype, limit in ((np.float32, 1.0), (np.int8, 127), (np.int16, 32767)):
        about = {"shape": np.array([1, 90, 100, 8]), "dtype": dtype}
        values = session._features(np.random.default_rng(0), about)
        assert (values.shape, values.dtype) == ((1, 90, 100, 8), np.dtype(dtype))
        assert np.abs(values.astype(float)).max() <= limit
        channels = values.reshape(-1, 8).astype(float) / limit
        assert channels.std(axis=0).min() > 0.05
        assert np.ptp(channels.mean(axis=0)) > 0.5
