from __future__ import annotations

from nas.devices.adb.server import AdbServer
from nas.devices.phone.operation_support import Support, SupportMatrix, probe_support
from nas.devices.probe_graphs import OPERATIONS, TYPES
from tests.emulated_phone.phone import TOOL_PATH, EmulatedPhone
from tests.helpers.phones import StartPhone, device_of


def test_the_matrix_of_a_phone_like_the_papers(
    start_phone: StartPhone, adb_server: AdbServer
) -> None:
    phone = start_phone("pixel4-like")
    device = device_of(phone, adb_server)
    told: list[tuple[int, int]] = []
    afters = ("CONV_2D", "TRANSPOSE_CONV>CONCATENATION")
    matrix = probe_support(device, False, lambda *n: told.append(n), TYPES, afters)
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert matrix.source == "synthetic"
    assert matrix.accelerated("CONV_2D") is True
    assert matrix.accelerated("TRANSPOSE_CONV") is False
    assert matrix.accelerated("DEPTH_TO_SPACE") is False
    assert matrix.accelerated("RESIZE_BILINEAR") is True
    assert matrix.accelerated("CONCATENATION") is True
    assert matrix.accelerated("CONCATENATION", "int8") is False
    assert matrix.accelerated("CONV_2D", "float32", afters[1]) is False  # the paper's Table 3
    assert matrix.accelerated("CONV_2D", "int8", afters[1]) is True
    assert matrix.accelerated("CONV_2D", "float32", "NOT_ASKED") is True
    assert matrix.accelerated("SOFTMAX") is None
    assert SupportMatrix.from_dict(matrix.to_dict()) == matrix
    opened = len(phone.opened)
    assert probe_support(device, False, None, TYPES, afters) == matrix
    assert len([n for n in phone.opened[opened:] if "num_runs" in n]) == 0


def test_a_refused_graph_is_split_down_to_the_one_to_blame(
    start_phone: StartPhone, adb_server: AdbServer
) -> None:
    from tests.emulated_phone.profiles import Rule

    phone = start_phone(rules=(Rule("PRELU", "fail"),))
    matrix = probe_support(
        device_of(phone, adb_server), types=("float32",), neighbours=("CONV_2D",)
    )
    row = matrix.row("PRELU")
    assert row is not None
    assert "ANEURALNETWORKS_OP_FAILED" in str(row.failure)
    assert row.accelerated is False
    assert [r.op for r in matrix.rows if not r.accelerated] == ["PRELU"]
    assert {r.op for r in matrix.rows} == set(OPERATIONS)


def test_answers_are_a_phones_and_a_tools_own(
    start_phone: StartPhone, adb_server: AdbServer
) -> None:
    first, second = start_phone(), start_phone()

    def launches(phone: EmulatedPhone) -> int:
        before = len(phone.opened)
        device = device_of(phone, adb_server)
        matrix = probe_support(device, types=("float32",), neighbours=("CONV_2D",))
        assert matrix.device == device.spec
        return sum("num_runs" in name for name in phone.opened[before:])

    assert launches(first) == 1
    assert launches(second) == 1  # of the same model and build
    assert launches(first) == 0
    tool = first.path(TOOL_PATH)
    tool.write_text(tool.read_text() + "# another tool\n")
    assert launches(first) == 1


def test_what_nobody_knows_is_no_answer() -> None:
    assert Support("ADD", "int8", "CONV_2D", None).accelerated is None


def test_a_gpu_takes_a_transposed_convolution_without_a_relu_in_it(
    start_phone: StartPhone, adb_server: AdbServer
) -> None:
    phone = start_phone("gpu-2024")
    matrix = probe_support(
        device_of(phone, adb_server), types=("float32",), neighbours=("CONV_2D",)
    )
    assert matrix.delegate == "gpu"
    assert matrix.accelerated("TRANSPOSE_CONV") is True
    assert matrix.accelerated("TRANSPOSE_CONV+RELU") is False
    assert [r.op for r in matrix.rows if not r.accelerated] == [
        "TRANSPOSE_CONV+RELU",
        "RESIZE_NEAREST_NEIGHBOR",
        "DEPTH_TO_SPACE",
    ]
