"""What LiteRT's log tells of a placement, from logs as it writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.devices.gpu.placement import placement_in
from nas.tflite.file import TfliteFile, read_tflite
from tests.helpers.npu_graphs import write_operation

NOISE = "I0000 00:00:1.2 6744 delegate_webgpu.cc:759] # of threads to compile kernels = 0\n"
REFUSED = (
    f"{NOISE}ERROR: Following operations are not supported by GPU delegate:\n"
    "MIRROR_PAD: Only Reflective padding is supported for Mirror Pad operation. But node has 2\n"
    "RELU: Max version supported: 2. Requested version 9.\n"
)
PART = "1 operations will run on the GPU, and the remaining 1 operations will run on the CPU.\n"
NONE = "No operations will run on the GPU, and all 2 operations will run on the CPU.\n"


@pytest.fixture
def file(tmp_path: Path) -> TfliteFile:
    """A CONV_2D and a RELU."""
    return read_tflite(write_operation(tmp_path / "m.tflite", "RELU", "float32"))


def test_a_log_without_complaints_is_all_on_the_gpu(file: TfliteFile) -> None:
    placement = placement_in(NOISE, file, compiled=True)
    assert placement.whole
    assert [row.accelerator for row in placement.operations] == ["gpu", "gpu"]
    assert placement.summary == "2 of 2 operations on the GPU"


def test_kinds_that_are_refused_with_their_reasons(file: TfliteFile) -> None:
    placement = placement_in(REFUSED + PART + NOISE, file, compiled=False)
    assert not placement.whole
    assert [row.accelerator for row in placement.operations] == [None, "cpu"]
    assert [refusal.name for refusal in placement.refusals] == ["MIRROR_PAD", "RELU"]
    assert placement.summary == (
        "1 of 2 operations on the GPU; refused: MIRROR_PAD (Only Reflective padding is supported "
        "for Mirror Pad operation. But node has 2); RELU (Max version supported: 2. Requested "
        "version 9.)"
    )


def test_nothing_on_the_gpu(file: TfliteFile) -> None:
    placement = placement_in(REFUSED + NONE, file, compiled=False)
    assert placement.on_gpu == 0
    assert [row.accelerator for row in placement.operations] == ["cpu", "cpu"]


@pytest.mark.parametrize(
    "log", ["", NOISE, REFUSED, REFUSED + PART.replace("1", "7"), NONE.replace("2", "5")]
)
def test_a_log_that_does_not_fit_the_file_is_not_believed(file: TfliteFile, log: str) -> None:
    with pytest.raises(ValueError, match="does not tell where the file's 2 operations run"):
        placement_in(log, file, compiled=False)
    if log:
        with pytest.raises(ValueError, match="does not tell"):
            placement_in(REFUSED, file, compiled=True)
