"""The provider's profile and the compiler's log."""

from __future__ import annotations

import pytest

from nas.devices.npu.profile import Estimate, Traffic, estimate_in, traffic_in

HEADER = (
    "Msg Timestamp,Message,Time,Unit of Measurement,Timing Source,Event Level,Event Identifier\n"
)
FINALIZE = "1,FINALIZE,700,US,BACKEND,ROOT,QNN (finalize) time\n"


def row(event: str, value: int) -> str:
    return f"1,FINALIZE,{value},CYCLES,BACKEND,SUB-EVENT,{event}\n"


SIMULATED = "Simulated (Accelerator exec "
BLOCK = FINALIZE + "".join(
    [
        row("Performance Estimates", 0),
        row(f"{SIMULATED}cycles)", 1_392_235),
        row(f"{SIMULATED}cycles (lower estimate))", 1),
        row(f"{SIMULATED}time us)", 929),
        row(f"{SIMULATED}time us (lower estimate))", 810),
        row(f"{SIMULATED}time us (upper estimate))", 1067),
        row("Missing Ops (Number of Ops with no Costs associated)", 56),
    ]
)


def test_an_estimate() -> None:
    assert estimate_in(HEADER + BLOCK) == Estimate(1_392_235, 0.929, 0.81, 1.067, 56)


def test_a_chip_that_the_simulator_does_not_know_has_none() -> None:
    assert estimate_in(HEADER + FINALIZE) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEADER + BLOCK + BLOCK, "of one graph, but it has 2"),
        (HEADER, "of one graph, but it has 0"),
        (HEADER + BLOCK.replace("(upper", "(uppermost"), "estimate has no upper"),
        ("a,b\n1,2\n", "has no column 'Event Identifier'"),
    ],
)
def test_a_profile_of_another_form_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        estimate_in(text)


def test_traffic() -> None:
    log = (
        "x] spill_bytes=72000000\nx] fill_bytes=72000001\nx] write_total_bytes=102000000\n"
        "x] read_total_bytes=79000000\nOption: share_spill_fill = 0\n"
    )
    assert traffic_in(log) == Traffic(79.0, 102.0, 72.0, 72.000001)
    with pytest.raises(ValueError, match="read_total_bytes once in the compiler's log, found it 2"):
        traffic_in(log + log)
    with pytest.raises(ValueError, match="found it 0x"):
        traffic_in("")
