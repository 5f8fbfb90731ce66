"""The CompiledModel tool's files: hand-made bytes, and what LiteRT's own class reads in them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from nas.devices.failures import DeviceFailure
from nas.devices.logs import parse_output
from nas.devices.logs.benchmark_log import RuntimeNode
from nas.devices.logs.output_files import coverage, read_runtime, with_output_files
from tests.emulated_phone import compiled_files
from tests.emulated_phone.network import Network, Step
from tests.emulated_phone.placing import Plan

TEXT = """INFO: STARTING!
INFO: [environment.cc:36] Creating LiteRT environment with options
INFO: [benchmark_litert_model.cc:305] Loading model from: m.tflite
INFO: [compiled_model.cc:833] Flatbuffer model initialized directly from incoming litert model.
INFO: Initialized session in 21.5ms.
INFO: count=1 curr=9000
INFO: count=3 first=8000 curr=8000 min=8000 max=8300 avg=8100 std=1 p5=8000 median=8000 p95=8300
INFO: [benchmark_litert_model.h:94] Model initialization: 21.50 ms
INFO: [benchmark_litert_model.h:95] Warmup (first):       9.00 ms
INFO: [benchmark_litert_model.h:97] Warmup (avg):         9.00 ms (1 runs)
INFO: [benchmark_litert_model.h:99] Inference (avg):      8.10 ms (3 runs)
"""
OPS = ("CONV_2D", "TRANSPOSE_CONV", "CONV_2D")
NETWORK = Network(
    tuple(Step(n, op, "float32", f"t{n}", 0, 0, 1, False, ()) for n, op in enumerate(OPS)), 1, 0.1
)
RESULT = compiled_files.result(0.1, 21.5, [9.0], [1.0, 2.0, 3.0, 10.0])


def files(*where: str | None, dispatched: frozenset[int] = frozenset()) -> bytes:
    return compiled_files.runtime(NETWORK, Plan(where), dispatched)


def test_figures_of_the_file_take_the_place_of_the_texts() -> None:
    found = with_output_files(parse_output(TEXT, 0, "gpu"), "gpu", RESULT, None)
    assert (found.latency_ms, found.latency_statistic, found.count) == (3.0, "median", 4)
    timed = found.benchmark.timed
    assert timed is not None
    assert (timed.mean_ms, timed.min_ms, timed.max_ms) == (4.0, 1.0, 10.0)
    assert (timed.p5_ms, timed.p95_ms) == (1.0, 10.0)
    assert (found.benchmark.init_ms, found.benchmark.first_ms) == (21.5, 9.0)
    assert found.benchmark.memory == {"init_mb": 21.5, "overall_mb": 32.25, "peak_mb": 41.5}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (RESULT[: len(RESULT) // 2], "is no such protocol buffer"),
        (b"\xff\xff\xff", "is no such protocol buffer"),
        (b"", "0 inferences of 0 ms"),
        (compiled_files.result(0.1, 21.5, [9.0], [float("nan")]), "1 inferences of nan ms"),
    ],
)
def test_a_damaged_file_of_figures_leaves_the_text(data: bytes, words: str) -> None:
    found = with_output_files(parse_output(TEXT, 0, "gpu"), "gpu", data, None)
    assert found.latency_ms == 8.0
    assert words in found.warnings[-1]
    assert found.warnings[-1].endswith("its text counts")


def test_the_operations_tell_what_a_gpu_took() -> None:
    nodes = read_runtime(files("LITERT_CL", "TfLiteXNNPackDelegate", "LITERT_CL"))
    assert nodes == (
        RuntimeNode("CONV_2D", ("t0",), "LITERT_CL"),
        RuntimeNode("TRANSPOSE_CONV", ("t1",), "TfLiteXNNPackDelegate"),
        RuntimeNode("CONV_2D", ("t2",), "LITERT_CL"),
    )
    assert coverage(nodes, "gpu").coverage == "partial"
    assert coverage(nodes, "npu").coverage == "none"


@pytest.mark.parametrize(
    ("where", "failure", "words"),
    [
        (("LITERT_CL",) * 3, None, ""),
        (("LITERT_CL", None, "LITERT_CL"), "partially_delegated", "on the CPU: TRANSPOSE_CONV"),
        (("TfLiteXNNPackDelegate",) * 3, "not_delegated", "0 of 3 operations on gpu"),
    ],
)
def test_the_operations_judge_a_run(
    where: tuple[str | None, ...], failure: str | None, words: str
) -> None:
    found = with_output_files(parse_output(TEXT, 0, "gpu"), "gpu", RESULT, files(*where))
    assert (found.failure.failure_class if found.failure else None) == failure
    assert words in str(found.failure)


def test_an_npus_graph_is_the_compilers() -> None:
    npu = "DispatchDelegate"
    data = files(npu, None, npu, dispatched=frozenset({0, 2}))
    assert [node.op for node in read_runtime(data)] == [
        "DISPATCH_OP",
        "TRANSPOSE_CONV",
        "DISPATCH_OP",
    ]
    whole = files(npu, npu, npu, dispatched=frozenset({0, 1, 2}))
    assert [node.op for node in read_runtime(whole)] == ["DISPATCH_OP"]
    assert with_output_files(parse_output(TEXT, 0, "npu"), "npu", None, whole).failure is None


def test_a_file_of_operations_that_is_none() -> None:
    with pytest.raises(ValueError, match="names no operation"):
        read_runtime(b"")
    before = parse_output(TEXT, 0, "npu")
    after = with_output_files(before, "npu", None, b"\xff\xff")
    assert after.failure == before.failure
    assert "file of operations can't be read" in after.warnings[-1]


def test_another_failure_stays() -> None:
    log = parse_output(TEXT + "Segmentation fault\n", 139, "gpu")
    found = with_output_files(log, "gpu", None, files("LITERT_CL", "LITERT_CL", "LITERT_CL"))
    assert isinstance(found.failure, DeviceFailure)
    assert found.failure.failure_class == "crash"


@pytest.mark.parametrize(
    ("lines", "failure", "words"),
    [
        (3, "model_unreadable", "could not load m.tflite"),
        (4, "delegate_refused", "gpu did not take the whole graph, and the tool gave up"),
    ],
)
def test_a_build_for_users_tells_no_reason(lines: int, failure: str, words: str) -> None:
    text = "\n".join(TEXT.splitlines()[:lines]) + "\nERROR: Benchmarking failed.\n"
    found = parse_output(text, 1, "gpu").failure
    assert found is not None
    assert found.failure_class == failure
    assert words in found.detail


def test_litert_reads_the_same_operations() -> None:
    """In a process of its own: where TensorFlow was loaded, LiteRT's class can't be."""
    data = files("TfLiteGpuDelegate", None, "TfLiteGpuDelegate")
    program = (
        "import json, sys; from ai_edge_litert.model_runtime_info_pb2 import ModelRuntimeDetails; "
        "graph = ModelRuntimeDetails.FromString(sys.stdin.buffer.read()).subgraphs[0]; "
        "names = {e.id: e.name for e in graph.edges}; "
        "owners = {n.id: n.delegate_node_details.delegate_name for n in graph.nodes}; "
        "print(json.dumps([[n.name, [names[o] for o in n.outputs], "
        "owners.get(n.delegated_to_node_id) or None] "
        "for n in graph.nodes if not n.HasField('delegate_node_details')]))"
    )
    ended = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True)
    assert ended.returncode == 0, ended.stderr
    litert = [RuntimeNode(op, tuple(out), by) for op, out, by in json.loads(ended.stdout)]
    assert read_runtime(data) == tuple(litert)
    assert [node.delegate for node in litert] == ["TfLiteGpuDelegate", None, "TfLiteGpuDelegate"]
