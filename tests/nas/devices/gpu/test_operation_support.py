"""What LiteRT's GPU takes: how it is asked, what is kept, and a real answer where a driver is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas.devices.gpu.device import GpuDevice
from nas.devices.gpu.failures import gpu_error
from nas.devices.gpu.operation_support import probe_gpu
from nas.devices.gpu.placement import placement_in
from nas.devices.probe_graphs import NO_INT16, OPERATIONS, possible
from nas.tflite.file import read_tflite
from tests.helpers.gpu_graphs import needs_driver


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NAS_LOCK_DIR", str(tmp_path / "locks"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The graphs that were compiled: one dies of MUL, PRELU is refused wherever it stands."""
    graphs: list[list[str]] = []

    def place(self: GpuDevice, artifact: Path, cpu_seconds: float) -> Any:
        file = read_tflite(artifact)
        names = [step.name for step in file.operations]
        graphs.append(names)
        if "MUL" in names:
            raise gpu_error(self.spec, "crash", "SIGABRT")
        log = (
            "Following operations are not supported by GPU delegate:\nPRELU: none here\n"
            f"1 operations will run on the GPU, and the remaining {len(names) - 1} operations will "
            "run on the CPU.\n"
        )
        refused = "PRELU" in names
        return placement_in(log if refused else "", file, compiled=not refused)

    monkeypatch.setattr(GpuDevice, "place", place)
    monkeypatch.setattr(GpuDevice, "identity", lambda self: {"form": "1"})
    return graphs


def test_a_graph_that_dies_is_halved_until_one_is_to_blame(asked: list[list[str]]) -> None:
    rows = probe_gpu(GpuDevice(), types=("int8",), neighbours=("CONV_2D",))
    assert [row.op for row in rows] == list(OPERATIONS)
    refused = {row.op: row.reason for row in rows if not row.accelerated}
    assert refused == {"MUL": "crash: SIGABRT", "PRELU": "none here"}
    assert len(asked) > 4


def test_answers_are_kept(asked: list[list[str]]) -> None:
    said: list[tuple[int, int]] = []

    def probe(again: bool = False) -> Any:
        return probe_gpu(
            GpuDevice(), again, lambda *at: said.append(at), ("float32",), ("CONV_2D", "ADD")
        )

    first, count = probe(), len(asked)
    assert said == [(0, 2), (1, 2)]
    assert probe() == first
    assert len(asked) == count
    probe(again=True)
    assert len(asked) == 2 * count
    assert first[0].to_dict()["size"] == [16, 16]


def test_int16_is_not_asked_what_it_has_not() -> None:
    assert not set(possible("int16", "CONV_2D")) & set(NO_INT16)
    assert possible("int16", "PRELU") == ()
    assert possible("int8", "PRELU") == tuple(OPERATIONS)


@needs_driver
def test_what_litert_says() -> None:
    device = GpuDevice("fp32")
    rows = probe_gpu(device, types=("float32", "int16"), neighbours=("CONV_2D",))
    told = {(row.op, row.dtype): row for row in rows}
    refused = {row.op: row.reason for row in rows if row.dtype == "float32" and row.reason}
    assert refused == {
        "TRANSPOSE_CONV+RELU": "Max version supported: 3. Requested version 4."
    }  # its other form is taken
    assert not told["CONV_2D", "int16"].accelerated
