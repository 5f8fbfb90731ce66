"""Which operations an NPU takes, by type, neighbour and size, and the reasons of refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.devices.limited_process import Limits
from nas.devices.npu import operation_support
from nas.devices.npu.chips import Chip
from nas.devices.npu.device import open_npu
from nas.devices.npu.failures import npu_error
from nas.devices.npu.operation_support import NpuSupport, probe_npu
from nas.devices.npu.placement import NpuPlacement
from nas.errors import ConfigError
from nas.tflite.file import read_tflite
from tests.helpers.envelope import data_of
from tests.helpers.npu_graphs import needs_extra

DEVICE = open_npu("npu:sm8650")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NAS_LOCK_DIR", str(tmp_path / "locks"))


@needs_extra
def test_types_and_odd_sides_decide_and_answers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = ((16, 16), (20, 9))
    asked = (DEVICE, sizes, False, None, ("int8", "int16"), ("CONV_2D",))
    rows = probe_npu(*asked)
    by = {(row.op, row.dtype, row.size): row for row in rows}
    assert {row.op for row in rows if row.dtype == "int8" and not row.accelerated} == set()
    assert by["TRANSPOSE_CONV", "int16", (20, 9)].accelerated
    pooled = by["AVERAGE_POOL_2D", "int16", (16, 16)]
    assert not pooled.accelerated
    assert "datatypes" in (pooled.reason or "")
    assert ("SPACE_TO_DEPTH", "int8", (20, 9)) not in by  # 9 rows don't divide
    assert not any(row.op == "PRELU" and row.dtype == "int16" for row in rows)
    monkeypatch.setattr(operation_support, "placed", None)  # whoever asked again would fail
    assert probe_npu(*asked) == rows


@needs_extra
def test_a_graph_at_which_the_compiler_dies_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    rightly = operation_support.placed

    def dies_of_relu(path: Path, chip: Chip, device: str, limits: Limits) -> NpuPlacement:
        if any(step.name == "RELU" for step in read_tflite(path).operations):
            raise npu_error(device, "crash", "placement ended with SIGSEGV")
        return rightly(path, chip, device, limits)

    monkeypatch.setattr(operation_support, "placed", dies_of_relu)
    rows = probe_npu(DEVICE, ((16, 16),), False, None, ("int8",), ("CONV_2D",))
    refused = [row for row in rows if not row.accelerated]
    assert [row.op for row in refused] == ["RELU"]
    assert "placement ended with SIGSEGV" in (refused[0].reason or "")


@needs_extra
def test_pictures_have_a_least_size() -> None:
    with pytest.raises(ConfigError, match="--size 2x16: expected sides of 4 at least"):
        probe_npu(DEVICE, ((2, 16),))


@needs_extra
def test_the_command_tells_answers_and_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (
        NpuSupport("RELU", "int8", "CONV_2D", (80, 45)),
        NpuSupport("CONV_2D", "int8", "CONV_2D", (80, 45), "Expected 89 but got 90"),
    )
    monkeypatch.setattr(operation_support, "probe_npu", lambda device, sizes, *rest: rows)
    shown = CliRunner().invoke(app, ["probe", "--device", "npu:sm8650", "--size", "80x45"])
    assert shown.exit_code == 0, shown.output
    words = " ".join(shown.stdout.split())
    assert "npu:sm8650, int8, 80x45 (the compiler): taken after" in words
    assert "CONV_2D in int8 at 80x45: Expected 89 but got 90" in shown.stdout
    result = CliRunner().invoke(app, ["probe", "--device", "npu:sm8650", "--json"])
    [document] = data_of(result.stdout, "probe")
    assert document["packages"]["onnxruntime-qnn"]
    assert [row["accelerated"] for row in document["rows"]] == [True, False]


def test_sizes_are_for_npus() -> None:
    result = CliRunner().invoke(app, ["probe", "--device", "adb:X", "--size", "80x45"])
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception) == "--size is for NPUs (npu:CHIP), not for adb:X"
