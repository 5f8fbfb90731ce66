"""Which operations LiteRT's plugin gives to the NPU, and why not the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.devices.graph_builder import VALID
from nas.devices.limited_process import Limits
from nas.devices.measurement import Placement
from nas.devices.npu.chips import CHIPS
from nas.devices.npu.failures import NpuError
from nas.devices.npu.placement import Refusal, placed, placement_in
from nas.tflite.file import TfliteFile, read_tflite
from tests.helpers.npu_graphs import needs_extra, write_operation, write_transposed

CHIP = CHIPS["sm8650"]
SUMMARY = (
    "INFO: [a.cc:1] Partitioned subgraph<0>, selected {} ops, from a total of {} ops. "
    "resulted in {} partitions.\n"
)
REFUSED = "LiteRT Op #{} '{}' (code=67) is not supported in Qualcomm Compiler.\n"


@pytest.fixture
def file(tmp_path: Path) -> TfliteFile:
    """A convolution 16 -> 16 and a transposed one, both with MACs."""
    return read_tflite(write_transposed(tmp_path / "m.tflite", "float32", 5))


def test_a_network_that_is_taken_whole(file: TfliteFile) -> None:
    placement = placement_in(SUMMARY.format(2, 2, 1), file)
    assert placement.whole
    assert placement.operations == (
        Placement(0, "CONV_2D", "npu"),
        Placement(1, "TRANSPOSE_CONV", "npu"),
    )
    assert placement.accelerated_mac_share == 1


def test_a_refusal_with_the_compilers_reason(file: TfliteFile) -> None:
    log = (
        "   1.0ms [ ERROR ]  Incorrect output dimension at index 1. Expected 9 but got 10.\n"
        "   1.0ms [ ERROR ]  Op specific validation failed.\n"
        "   0.0ms [ ERROR ]   <E> validateNativeOps master op validator "
        "TransposeConv2d_4:qti.aisw:TransposeConv2d failed 3110\n"
        "   0.0ms [ ERROR ]   <E> QnnBackend_validateOpConfig failed 3110\n"
        "   0.0ms [ ERROR ]   <E> Failed to validate op TransposeConv2d_4 with error 0xc26\n"
        "ERROR: [q.cc:1] \nQNN op validation failed: 'TransposeConv2d_4' (type=TransposeConv2d)\n"
        + REFUSED.format(1, "TransposeConv")
        + SUMMARY.format(1, 2, 1)
    )
    placement = placement_in(log, file)
    assert not placement.whole
    reason = "Incorrect output dimension at index 1. Expected 9 but got 10"
    assert placement.refusals == (Refusal(1, "TRANSPOSE_CONV", reason),)
    assert placement.operations[1].accelerator == "cpu"
    macs = [step.conv_macs for step in file.operations]
    assert placement.accelerated_mac_share == pytest.approx(macs[0] / sum(macs))


def test_reasons_go_to_the_operation_they_are_about(file: TfliteFile) -> None:
    log = (
        "0.0ms [ ERROR ]   <E> Unsupported input/output datatypes requested for the HTP Op "
        "'Conv2d' in the node 'Conv2d_1'. There is a mismatch.\n"
        "0.0ms [ ERROR ]   <E> Requested I/O datatype set:\n"
        "0.0ms [ ERROR ]   <E> Failed to validate op Conv2d_1 with error 0xc26\n"
        "0.0ms [ ERROR ]   <E> Failed to validate op TransposeConv2d_2 with error 0xc26\n"
        "QNN op validation failed: 'Conv2d_1' (type=Conv2d)\n"
        + REFUSED.format(0, "Conv2d")
        + "QNN op validation failed: 'TransposeConv2d_2' (type=TransposeConv2d)\n"
        + REFUSED.format(1, "TransposeConv")
        + SUMMARY.format(0, 2, 0)
    )
    first, second = placement_in(log, file).refusals
    assert first.reason.startswith("Unsupported input/output datatypes requested for the HTP Op")
    assert second.reason == "the compiler's TransposeConv2d refuses it"
    assert placement_in(log, file).accelerated_mac_share == 0


def test_an_operation_that_the_compiler_does_not_have(file: TfliteFile) -> None:
    log = REFUSED.format(1, "Atan2") + SUMMARY.format(1, 2, 1)
    (refusal,) = placement_in(log, file).refusals
    assert refusal.reason == "the compiler has no such operation"


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", "does not tell how many operations it selected"),
        (SUMMARY.format(1, 2, 1), "selected 1 of 2 operations and refused 0"),
        (SUMMARY.format(9, 9, 1), "where the file has 2"),
    ],
)
def test_a_log_that_does_not_fit_is_not_believed(file: TfliteFile, log: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        placement_in(log, file)


@needs_extra
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_odd_sides_put_a_transposed_convolution_on_the_cpu(tmp_path: Path, dtype: str) -> None:
    odd = write_transposed(tmp_path / "odd.tflite", dtype, 5)
    placement = placed(odd, CHIP, CHIP.spec, Limits(60))
    (refusal,) = placement.refusals
    assert (refusal.index, refusal.name) == (1, "TRANSPOSE_CONV")
    assert "Expected 9 but got 10" in refusal.reason
    even = write_transposed(tmp_path / "even.tflite", dtype, 6)
    assert placed(even, CHIP, CHIP.spec, Limits(60)).whole
    unpadded = write_transposed(tmp_path / "valid.tflite", dtype, 5, padding=VALID)  # as networks
    assert placed(unpadded, CHIP, CHIP.spec, Limits(60)).whole


@needs_extra
def test_a_file_that_the_plugin_can_not_read(tmp_path: Path) -> None:
    path = write_operation(tmp_path / "m.tflite", "RELU", "float32")
    with pytest.raises(NpuError, match="npu:sm8650: crash: placement ended with exit code 1"):
        placed(path, CHIPS["sm8650"].__class__("sm9999", "", 0, "", "", None), CHIP.spec, Limits(9))
