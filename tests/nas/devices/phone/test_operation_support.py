from __future__ import annotations

from pathlib import Path

import pytest

from nas.devices.adb.server import AdbServer
from nas.devices.control_model import control_model
from nas.devices.phone.operation_support import Support, SupportMatrix, probe_support
from nas.devices.probe_graphs import NEIGHBOURS, OPERATIONS, TYPES, write_probe
from nas.tflite.file import read_tflite
from tests.emulated_phone.phone import TOOL_PATH, EmulatedPhone
from tests.nas.devices.conftest import StartPhone, device_of


@pytest.mark.parametrize("dtype", TYPES)
def test_every_probe_is_a_model_that_runs(dtype: str, tmp_path: Path) -> None:
    """LiteRT itself, with and without XNNPACK's optimisations, is the judge."""
    from ai_edge_litert.interpreter import Interpreter

    for number, after in enumerate(NEIGHBOURS):
        path = tmp_path / f"{number}.tflite"
        asked = write_probe(path, dtype, after, tuple(OPERATIONS))
        operations = read_tflite(path).operations
        for question in asked:
            step = operations[question.index]
            assert step.name == question.op
            assert step.outputs[0].dtype == dtype
            last = question.after.split(">")[-1]
            sources = {tensor.index for tensor in step.inputs if tensor is not None}
            before = [s for s in operations if s.outputs[0].index in sources]
            assert last in [s.name for s in before]
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
        interpreter.invoke()


def test_the_control_model_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path))
    path = control_model()
    assert read_tflite(path).conv_macs == 9 * 128 * 128 * (3 * 16 + 16 * 16 + 16 * 3)
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.invoke()
    assert interpreter.get_output_details()[0]["shape"].tolist() == [1, 128, 128, 3]
    assert control_model().stat().st_mtime_ns == path.stat().st_mtime_ns


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
