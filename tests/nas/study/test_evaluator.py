from pathlib import Path

import pytest

from nas.errors import DeviceStableError, DeviceTransientError
from nas.networks.candidate import Candidate, Compression
from nas.study.evaluator import (
    DeviceAwayError,
    DeviceLostError,
    DeviceRefusedError,
    MissingFigureError,
    Subject,
)
from nas.study.metric import Metric
from search_spaces import UNet


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        (DeviceRefusedError, DeviceStableError),
        (DeviceAwayError, DeviceTransientError),
        (DeviceLostError, DeviceTransientError),
    ],
)
def test_a_missing_figure_names_its_device_and_keeps_the_others(
    kind: type[MissingFigureError], cause: type[Exception]
) -> None:
    figures = {"latency_ms[host]": Metric(3.0, "measured")}
    with pytest.raises(cause, match="adb:1 has no figure") as caught:
        raise kind("adb:1 has no figure", "adb:1", figures)
    assert isinstance(caught.value, MissingFigureError)
    assert (caught.value.device, caught.value.figures) == ("adb:1", figures)


def test_each_subject_has_notes_of_its_own(tmp_path: Path) -> None:
    candidate = Candidate(UNet(widths=(4, 8)), Compression())
    first, second = (
        Subject(candidate, (64, 32), None, None, ("host",), tmp_path)  # type: ignore[arg-type]
        for _ in range(2)
    )
    first.notes["device"] = "host"
    assert second.notes == {}
    assert (second.optional, second.reference) == ((), None)
