"""NNAPI's log: placement, plans and capabilities."""

from __future__ import annotations

import pytest

from nas.devices.logs import parse_log
from tests.helpers.log_texts import LINE, facts, report


def test_a_plan_of_one_accelerator_that_then_fails() -> None:
    log = facts("11")
    assert log["nnapi"]["plans"] == ["SIMPLE for qti-dsp"]
    assert log["nnapi"]["relaxed_float16"] is False
    assert log["nnapi"]["execution_failed"] is True
    assert any("HTP execution with err 5032" in error for error in log["driver_errors"])
    assert "Node number 248 (TfLiteNnapiDelegate) failed to invoke." in log["warnings"]


def test_capabilities_of_a_driver() -> None:
    rows = {row["operand"]: row for row in facts("33")["nnapi"]["capabilities"]}
    assert rows["FLOAT32"]["exec_time"] == 10.0
    assert rows["TENSOR_QUANT8_ASYMM"]["power_usage"] == 0.1
    assert rows["RELAXED_FLOAT16_TENSOR"]["accelerator"] == "google-edgetpu"


def test_android_9_prints_indices() -> None:
    found = report("own_android9", pid=None)
    assert [(row.op, row.accelerator) for row in found.nnapi.placement] == [
        *[("CONV_2D", "liteadaptor")] * 5,
        ("TRANSPOSE_CONV_2D", "nnapi-reference"),
        ("IF", "NNAPI"),
    ]
    assert found.nnapi.cannot_do == (("liteadaptor", "TRANSPOSE_CONV_2D"),)
    assert found.nnapi.runtime_fallbacks == ("partial",)
    assert found.nnapi.compile_fallback
    assert found.lost_lines == 12
    assert "placement lines of 2 processes" in found.warnings[0]
    other = report("own_android9", pid=5000)
    assert [row.op for row in other.nnapi.placement] == ["ADD"]


@pytest.mark.parametrize(
    "row",
    [
        f"2026-01-02 03:04:05.678  1000   77   78 I ExecutionPlan: {LINE}",
        f"01-02 03:04:05.678    77    78 I ExecutionPlan: {LINE}",
        f"01-02 03:04:05.678123 +0000    77    78 I ExecutionPlan: {LINE}",
        f"01-02 03:04:05.678 I/ExecutionPlan(   77): {LINE}",
        f"I/ExecutionPlan(   77): {LINE}",
        f"I(   77) {LINE}  (ExecutionPlan)",
        f"[ 01-02 03:04:05.678    77:   78 I/ExecutionPlan ]\n{LINE}\n",
        f"\x1b[32m01-02 03:04:05.678    77    78 I ExecutionPlan: {LINE}\x1b[0m\r",
    ],
)
def test_logcat_layouts(row: str) -> None:
    found = parse_log(row)
    assert found.pid == 77
    assert [(step.op, step.accelerator) for step in found.nnapi.placement] == [("CONV_2D", "dsp")]
