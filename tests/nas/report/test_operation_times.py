"""What each operation costs: profiles joined with a file's operations, and the modelled phones."""

from __future__ import annotations

import pytest

from nas.devices.paper_phones.device import tell
from nas.devices.paper_phones.rules import RULES, plan
from nas.report.operation_times import Part, from_paper_phone, from_profile
from nas.tflite.operations import of_graph
from search_spaces import ARCHITECTURES

SIZE = (1280, 720)
OPERATIONS = [
    (0, "CONV_2D", "8×8×4"),
    (1, "MAX_POOL_2D", "4×4×4"),
    (2, "TRANSPOSE_CONV", "8×8×2"),
    (3, "CONCATENATION", "8×8×6"),
    (4, "CONV_2D", "8×8×3"),
]


def _placed(*where: str | None) -> list[dict[str, object]]:
    return [{"index": n, "accelerator": place} for n, place in enumerate(where)]


def _row(kind: str, ms: float, node: int | None = None, inside: bool = False) -> dict[str, object]:
    row = {"node_type": kind, "average_ms": ms, "name": "", "node": node}
    return row | ({"inside_delegate": True} if inside else {})


def test_a_piece_stands_for_the_operations_between_those_on_the_cpu() -> None:
    profile = [
        _row("TfLiteNnapiDelegate", 0.5, 6),
        _row("TRANSPOSE_CONV", 2.0, 2),
        _row("TfLiteNnapiDelegate", 0.7, 7),
    ]
    placement = _placed("npu", "npu", "cpu", "npu", "npu")
    times = from_profile("adb:x", "measured", "", profile, OPERATIONS, placement)
    assert times.parts == (
        Part("TfLiteNnapiDelegate", 0.5, (0, 1), where="npu"),
        Part("TRANSPOSE_CONV", 2.0, (2,), "8×8×2", "cpu"),
        Part("TfLiteNnapiDelegate", 0.7, (3, 4), where="npu"),
    )
    assert [part.fallen for part in times.parts] == [False, True, False]
    assert times.total_ms == pytest.approx(3.2)


def test_rows_inside_of_xnnpack_are_joined_in_order() -> None:
    kinds = ["Convolution (NHWC, F32) IGEMM", "Max Pooling (NHWC, F32)", "Deconvolution (NHWC)"]
    kinds += ["Copy (NC, X32)", "Copy (NC, X32)", "Softmax (NC)", "Convolution (NHWC, F32) GEMM"]
    profile = [_row(f"Delegate/{kind}", n + 1.0, None, True) for n, kind in enumerate(kinds)]
    times = from_profile("host", "measured", "", profile, OPERATIONS, _placed(*["xnnpack"] * 5))
    joined = [(part.name, part.indices) for part in times.parts]
    assert joined == [
        ("CONV_2D", (0,)),
        ("MAX_POOL_2D", (1,)),
        ("TRANSPOSE_CONV", (2,)),
        ("CONCATENATION", (3,)),
        ("CONCATENATION", (3,)),
        ("Softmax (NC)", ()),
        ("CONV_2D", (4,)),
    ]
    assert times.total_ms == sum(range(1, 8))


@pytest.mark.parametrize("phone", list(RULES))
@pytest.mark.parametrize("name", ["unet-transposeconv-relu", "unet-resizebilinear-prelu"])
def test_a_modelled_phone_s_parts_add_up_and_fall_by_its_rules(phone: str, name: str) -> None:
    operations = of_graph(ARCHITECTURES[name].graph(), SIZE)
    times = from_paper_phone(f"paper:{phone}", operations)
    assert len(times.parts) == len(operations.steps)
    figure = tell(phone, operations)
    assert figure.latency_ms is not None
    assert times.total_ms == pytest.approx(figure.latency_ms, rel=0.25)  # published: the model errs
    fallen = {part.indices[0] for part in times.parts if part.fallen}
    assert fallen == set(plan(RULES[phone], operations).fallen)
    if (phone, name) == ("mate30-pro-5g", "unet-transposeconv-relu"):
        on_cpu = sum(part.milliseconds for part in times.parts if part.fallen)
        assert on_cpu / times.total_ms > 0.95
