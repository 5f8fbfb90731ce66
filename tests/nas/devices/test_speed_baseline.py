from __future__ import annotations

from pathlib import Path

import pytest

from nas.devices.measurement import TimingProtocol
from nas.devices.speed_baseline import (
    KeptLatency,
    SpeedBaseline,
    as_document,
    models_in,
    verdict,
)
from nas.errors import ConfigError


def kept(low: float, middle: float, high: float) -> KeptLatency:
    return KeptLatency("abc", middle, (low, high), "measured")


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        ((10, 11, 12), None, "new"),
        ((10, 11, 12), (10, 11, 12), "same"),
        ((12.5, 13, 14), (10, 11, 12), "slower"),
        ((11.5, 13, 14), (10, 11, 12), "same"),  # the intervals meet
        ((11.1, 11.2, 11.3), (10.9, 11.0, 11.05), "same"),  # apart, but by 2 % only
        ((8, 9, 9.5), (10, 11, 12), "faster"),
        ((10.5, 10.6, 10.7), (10.9, 11.0, 11.05), "same"),
    ],
)
def test_a_verdict_needs_intervals_apart_and_more_than_the_tolerance(
    now: tuple[float, ...], before: tuple[float, ...] | None, expected: str
) -> None:
    old = kept(*before) if before else None
    assert verdict(kept(*now), old, 0.05) == expected
    document = as_document("net", kept(*now), old, 0.05, None)
    assert document["verdict"] == expected
    assert document["ratio"] == (now[1] / before[1] if before else None)


def test_without_tolerance_intervals_decide() -> None:
    assert verdict(kept(11.1, 11.2, 11.3), kept(10.9, 11.0, 11.05), 0.0) == "slower"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    baseline = SpeedBaseline("host", TimingProtocol(launches=3), {"net": kept(1, 2, 3)})
    baseline.write(tmp_path / "speed.json")
    assert SpeedBaseline.read(tmp_path / "speed.json") == baseline
    for text in ("{}", "[]", '{"format": 2}', "no json", '{"format": 1, "device": "host"}'):
        (tmp_path / "wrong.json").write_text(text)
        with pytest.raises(ConfigError, match=r"wrong\.json is no baseline of `nas check`"):
            SpeedBaseline.read(tmp_path / "wrong.json")


def test_models_are_called_as_their_folders(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "model.tflite").touch()
    single = tmp_path / "net.tflite"
    single.touch()
    found = models_in([tmp_path / "models", single])
    assert list(found) == ["a", "b", "net.tflite"]
    assert models_in([tmp_path / "models" / "a"]) == {"a": tmp_path / "models/a/model.tflite"}
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"holds no \.tflite file"):
        models_in([tmp_path / "empty"])
    with pytest.raises(ConfigError, match="is no file"):
        models_in([tmp_path / "no.tflite"])
    twin = tmp_path / "other" / "a"
    twin.mkdir(parents=True)
    (twin / "model.tflite").touch()
    with pytest.raises(ConfigError, match="have one name, a"):
        models_in([tmp_path / "models", tmp_path / "other"])
