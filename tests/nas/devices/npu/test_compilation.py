"""Compilations: golden estimates, what is kept, what the compiler refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.devices.failures import Evidence
from nas.devices.limited_process import Limits
from nas.devices.npu import compilation
from nas.devices.npu.chips import CHIPS, ESTIMATED_AS
from nas.devices.npu.compilation import Compilation, compiled
from nas.devices.npu.failures import NpuError
from nas.devices.npu.profile import Estimate, Traffic
from nas.training.schedule import PAPER
from search_spaces import ARCHITECTURES
from tests.helpers.npu_graphs import RandomBuilder, needs_extra, write_operation

LIMITS = Limits(cpu_seconds=120)


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NAS_LOCK_DIR", str(tmp_path / "locks"))


def test_a_compilation_as_a_document() -> None:
    done = Compilation(Estimate(5, 1.0, 0.9, 1.1, 0), Traffic(1, 2, 3, 4), 0.5, 1.5, 150.0)
    assert Compilation.from_dict(done.to_dict()) == done
    unknown = Compilation(None, Traffic(1, 2, 3, 4), 0.5, 1.5, None)
    assert Compilation.from_dict(unknown.to_dict()) == unknown


def test_what_the_providers_exceptions_mean() -> None:
    log = (
        "x [E:onnxruntime:, a.cc:1 GetCapabilityImpl] Unsupported nodes in QNN EP: "
        "{ name: AveragePool_9_op1_token_7, type: AveragePool }, { name: Resize_3_op4, type: "
        "Resize }\x1b[m\n"
    )
    fallback = "Fail: assigned to the default CPU EP, but fallback has been disabled"
    error = compilation.refused("npu:x", fallback, log, Evidence("npu:x"))
    assert error.failure.failure_class == "not_simulated"
    assert "does not take AveragePool of operation 1, Resize of operation 4; " in str(error)
    log = "0.0ms [ ERROR ]   <E> graph prepare failed at last\n"
    error = compilation.refused("npu:x", "EPFail: can't finalize", log, Evidence("npu:x"))
    assert error.failure.failure_class == "compiler_refused"
    assert "EPFail: can't finalize (graph prepare failed at last)" in str(error)


@needs_extra
@pytest.mark.parametrize(
    ("op", "dtype", "cycles"),
    [
        ("RESIZE_BILINEAR", "float32", 234_913),
        ("RESIZE_BILINEAR", "int8", 58_614),
        ("TRANSPOSE_CONV", "int8", 47_951),
        ("PRELU", "int8", 28_689),
    ],
)
def test_golden_estimates(tmp_path: Path, op: str, dtype: str, cycles: int) -> None:
    """Another figure: another simulator, optimizer or translation; the calibration is void."""
    path = write_operation(tmp_path / "m.tflite", op, dtype, (1, 64, 64, 16))
    done = compiled(path, ESTIMATED_AS, "npu:sa8255", LIMITS)
    assert done.estimate is not None
    assert done.estimate.cycles == cycles
    assert done.estimate.lower_ms < done.estimate.milliseconds < done.estimate.upper_ms


@needs_extra
@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "cycles"),
    [("int8-ptq", 1_392_235), ("float", 9_681_419), ("int16-ptq", 3_498_493)],
)
def test_golden_estimates_of_the_papers_network(
    tmp_path: Path, precision: str, cycles: int
) -> None:
    """To the cycle those of the vendor's own compiler route."""
    from nas.compression.convert import convert_untrained

    path = tmp_path / "m.tflite"
    graph = ARCHITECTURES["unet-resizebilinear-relu"].graph()
    path.write_bytes(convert_untrained(graph, 256, 256, precision, PAPER))
    done = compiled(path, ESTIMATED_AS, "npu:sa8255", LIMITS)
    assert done.estimate is not None
    assert done.estimate.cycles == cycles


@needs_extra
def test_a_structure_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_operation(tmp_path / "m.tflite", "RELU", "int8")
    first = compiled(path, ESTIMATED_AS, "npu:sa8255", LIMITS)
    other = write_operation(tmp_path / "n.tflite", "RELU", "int8", seed=1)
    assert other.read_bytes() != path.read_bytes()  # other weights

    def fail(*_: object) -> Compilation:
        raise AssertionError("compiled again")

    monkeypatch.setattr(compilation, "_compile", fail)
    assert compiled(other, ESTIMATED_AS, "npu:sm8650", LIMITS) == first
    (kept,) = (tmp_path / "cache" / "npu").glob("*.json")
    kept.write_text("{")  # cut short: compiled again
    with pytest.raises(AssertionError, match="compiled again"):
        compiled(path, ESTIMATED_AS, "npu:sa8255", LIMITS)


@needs_extra
def test_a_chip_without_a_simulator_tells_its_traffic(tmp_path: Path) -> None:
    path = write_operation(tmp_path / "m.tflite", "RELU", "int8", (1, 64, 64, 16))
    done = compiled(path, CHIPS["sm8650"].number, "npu:sm8650", LIMITS)
    assert done.estimate is None
    pixels = 64 * 64
    assert done.traffic.read_mb > pixels * 16 / 1e6
    assert done.traffic.write_mb == pixels * 32 / 1e6  # channels are filled up to 32
    assert done.context_mb > 0.01


@needs_extra
def test_what_the_simulators_front_end_refuses_is_not_called_infeasible(tmp_path: Path) -> None:
    graph = RandomBuilder("float32", (1, 4, 4, 3))
    path = graph.write([graph.add("FLOOR", [graph.input], (1, 4, 4, 3))], tmp_path / "m.tflite")
    with pytest.raises(NpuError, match=r"npu:sm8650: not_simulated: .*operation 0 FLOOR") as caught:
        compiled(path, ESTIMATED_AS, "npu:sm8650", LIMITS)
    assert caught.value.failure.failure_class == "not_simulated"
    assert not list((tmp_path / "cache" / "npu").glob("*.json"))


@needs_extra
def test_a_compilation_that_is_stopped_for_its_memory(tmp_path: Path) -> None:
    path = write_operation(tmp_path / "m.tflite", "RELU", "int8")
    with pytest.raises(NpuError, match="oom: compilation needs more than the 40 MB") as caught:
        compiled(path, ESTIMATED_AS, "npu:sm8650", Limits(cpu_seconds=60, memory_mb=40))
    assert caught.value.failure.failure_class == "oom"
