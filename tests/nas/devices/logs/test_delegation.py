"""The delegate that was asked for decides whether a run counts; XNNPACK is the CPU."""

from __future__ import annotations

import pytest

from nas.devices.logs import LogReport, parse_log, parse_output
from tests.helpers.log_texts import modern, rows, text

XNNPACK = [
    "Created TensorFlow Lite XNNPACK delegate for CPU.",
    "Replacing 30 out of 31 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 2 "
    "partitions for the whole graph.",
]
NONE_ON_GPU = "No operations will run on the GPU, and all {} operations will run on the CPU."
CPU_RUNS = {
    "silent": [],
    "taking part unasked": XNNPACK,
    "none": [
        "Though XNNPACK delegate is explicitly applied, the model graph will not be executed "
        "by the delegate."
    ],
    "some": [
        "Explicitly applied XNNPACK delegate, and the model graph will be partially executed "
        "by the delegate w/ 3 delegate kernels."
    ],
    "all": [
        "Explicitly applied XNNPACK delegate, and the model graph will be completely executed "
        "by the delegate."
    ],
    "a refusal that did not stop it": [
        "Attempting to use a delegate that only supports static-sized tensors with a graph that "
        "has dynamic-sized tensors (tensor#3 is a dynamic-sized tensor).",
        "Failed to apply the default TensorFlow Lite delegate indexed at 0 because of "
        "incompatibility between runtime and delegate. Ignoring the error, and continuing anyway.",
    ],
    "put back": ["Restored original execution plan after delegate application failure."],
}


@pytest.mark.parametrize("name", CPU_RUNS)
@pytest.mark.parametrize(
    "parameters", [[], ["Use xnnpack: [1]"], ["Use gpu: [0]", "Use nnapi : [0]"]]
)
def test_a_plain_run_on_the_cpu_is_no_failure(name: str, parameters: list[str]) -> None:
    found = parse_log(text(modern(rows("m.tflite", parameters, CPU_RUNS[name]))))
    assert found.failure is None
    assert found.latency_ms == 20.0


NEVER = {
    "hexagon": (
        "Use Hexagon: [1]",
        "Could not create Hexagon delegate: platform may not support delegate or required "
        "libraries are missing",
    ),
    "gpu": ("Use gpu : [1]", "GPU acceleration is unsupported on this platform."),
    "coreml": ("Use CoreML: [1]", "CoreML acceleration is unsupported on this platform."),
    "nnapi": ("Use nnapi : [1]", "nnapi error: unable to open library libneuralnetworks.so"),
    "external": ("External delegate path: [/data/x.so]", "the library was not found"),
}


@pytest.mark.parametrize("kind", NEVER)
@pytest.mark.parametrize("cpu", [[], XNNPACK])
def test_an_accelerator_that_never_came_up(kind: str, cpu: list[str]) -> None:
    parameter, reason = NEVER[kind]
    found = parse_log(text(rows("m.tflite", [parameter], [reason, *cpu])))
    assert found.benchmark.asked == [kind]
    assert found.failure is not None
    assert found.failure.failure_class == "not_delegated"
    assert reason in found.failure.detail
    silent = parse_log(text(rows("m.tflite", [parameter], cpu)))
    assert silent.failure is not None
    assert f"{kind} was asked for and never came up" in silent.failure.detail


def test_an_excerpt_that_does_not_tell_is_not_judged() -> None:
    lines = rows("m.tflite", ["Use gpu: [1]"])
    for excerpt in (lines[:4], [*lines[:4], *lines[8:]], lines[6:]):
        assert parse_log(text(excerpt)).failure is None


def applied(report: LogReport) -> tuple[str | None, str | None]:
    delegation, failure = report.benchmark.delegation, report.failure
    coverage = delegation.coverage if delegation else None
    return coverage, failure.failure_class if failure else None


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            [
                "Going to apply 2 delegates one after another.",
                "Explicitly applied GPU delegate, and the model graph will be completely executed "
                "by the delegate.",
                "Though XNNPACK delegate is explicitly applied, the model graph will not be "
                "executed by the delegate.",
            ],
            ("complete", None),
        ),
        (
            [
                "Though GPU delegate is explicitly applied, the model graph will not be executed "
                "by the delegate.",
                "Explicitly applied XNNPACK delegate, and the model graph will be completely "
                "executed by the delegate.",
            ],
            ("none", "not_delegated"),
        ),
        (
            [
                "Replacing 5 out of 64 node(s) with delegate (TfLiteGpuDelegateV2) node, yielding "
                "5 partitions for the whole graph.",
                *XNNPACK,
            ],
            ("partial", "partially_delegated"),
        ),
        (
            [
                "Replacing 1 node(s) with delegate (TfLiteGpuDelegateV2) node, yielding 1 "
                "partitions."
            ],
            ("complete", None),
        ),
        (["Applied GPU delegate.", "Initialized OpenCL-based API."], (None, None)),
        (
            [
                NONE_ON_GPU.format(31),
                *XNNPACK,
            ],
            ("none", "not_delegated"),
        ),
        (
            [
                "164 operations will run on the GPU, and the remaining 0 operations will run on "
                "the CPU."
            ],
            ("complete", None),
        ),
        (
            ["Created 0 GPU delegate kernels.", "Though GPU delegate is explicitly applied,"],
            ("none", "not_delegated"),
        ),
        (["Created TensorFlow Lite delegate for GPU.", *XNNPACK], (None, "not_delegated")),
    ],
)
def test_the_delegate_asked_for_decides(
    lines: list[str], expected: tuple[str | None, str | None]
) -> None:
    found = parse_log(text(modern(rows("m.tflite", ["Use gpu: [1]"], lines))))
    assert applied(found) == expected
    assert found.latency_ms == 20.0


def test_the_last_word_on_a_delegate_counts() -> None:
    """A driver may take all nodes, and refuse when the graph is prepared."""
    lines = [
        "Replacing 31 out of 31 node(s) with delegate (TfLiteNnapiDelegate) node, yielding 1 "
        "partitions for the whole graph.",
        "Though NNAPI delegate is explicitly applied, the model graph will not be executed by the "
        "delegate.",
    ]
    found = parse_log(text(rows("m.tflite", ["Use NNAPI: [1]"], lines)))
    assert applied(found) == ("none", "not_delegated")


def test_subgraphs_are_counted_once_each() -> None:
    row = (
        "Replacing {} out of {} node(s) with delegate (LITERT_CL) node, yielding 1 partitions for "
    )
    row += "subgraph {} (main)."
    both = parse_log(text([row.format(10, 10, 0), row.format(6, 8, 1), row.format(8, 8, 1)]))
    assert applied(both) == ("complete", None)
    part = parse_log(text([row.format(10, 10, 0), row.format(6, 8, 1)]))
    assert applied(part) == ("partial", "partially_delegated")


def test_lone_facts() -> None:
    lone = "Replacing 470 out of 476 node(s) with delegate (TfLiteXNNPackDelegate)"
    found = parse_log(f"VERBOSE: {lone}\n")
    assert not found.empty
    assert applied(found) == ("partial", None)
    assert found.to_dict()["replaced"][0]["total"] == 476
    compiled = parse_log("Subgraph 0 fully compiled:\t175 / 175 ops offloaded to 1 partitions.")
    assert applied(compiled) == ("complete", None)
    assert compiled.to_dict()["offloaded"] == [
        {"delegate": "NPU compiler", "nodes": 175, "total": 175, "partitions": 1}
    ]
    part = parse_log("Subgraph 0 partially compiled: 170 / 175 ops offloaded to 3 partitions.")
    assert applied(part) == ("partial", "partially_delegated")
    none = parse_log(
        "No operations will run on the GPU, and all 65 operations will run on the CPU."
    )
    assert applied(none) == ("none", "not_delegated")
    coreml = parse_log("CoreML delegate: 26 nodes delegated out of 29 nodes, with 2 partitions.")
    assert coreml.benchmark.replaced[0].partitions == 2
    qnn = parse_log(
        "INFO: TfLiteQnnDelegate delegate: 0 nodes delegated out of 31 nodes with 0 partitions.\n"
    )
    assert applied(qnn) == ("none", "not_delegated")


NPU = [
    "INFO: STARTING!",
    "INFO: [benchmark_litert_model.cc:201] Loading model from: m.tflite",
    "INFO: [environment.cc:30] Creating LiteRT environment with options",
    "INFO: [accelerator_registry.cc:52] RegisterAccelerator: ptr=0xb4, name=NpuAccelerator",
    "INFO: [compiler_plugin.cc:740] Partitioned subgraph<0>, selected 175 ops, from a total of 175 "
    "ops. resulted in 1 partitions.",
]
RESULTS = [
    "========== BENCHMARK RESULTS ==========",
    "INFO: [benchmark_litert_model.h:94] Model initialization: 237.50 ms",
    "INFO: [benchmark_litert_model.h:96] Warmup (first):       74.04 ms",
    "INFO: [benchmark_litert_model.h:100] Inference (avg):      73.20 ms (10 runs)",
]
DISPATCHED = (
    "VERBOSE: Replacing 1 out of 1 node(s) with delegate (DispatchDelegate) node, yielding 1 "
)
DISPATCHED += "partitions for subgraph 0 (main)."
ON_CPU = "VERBOSE: Replacing 470 out of 476 node(s) with delegate (TfLiteXNNPackDelegate) node, "
ON_CPU += "yielding 7 partitions for subgraph 0 (main)."


def test_an_npu_that_the_log_does_not_show() -> None:
    for lines in ([], [ON_CPU], ["ERROR: NPU accelerator could not be loaded and registered: 3."]):
        found = parse_output(text(NPU, lines, RESULTS), 0, "npu")
        assert found.failure is not None
        assert found.failure.failure_class == "not_delegated"
    assert "470 of 476 nodes on TfLiteXNNPackDelegate" in str(
        parse_output(text(NPU, [ON_CPU], RESULTS), 0, "npu").failure
    )
    command = ["$ ./benchmark_model --graph=m.tflite --use_npu=true"]
    saved = parse_log(text(command, NPU, [ON_CPU], RESULTS))
    assert saved.failure is not None
    assert saved.failure.failure_class == "not_delegated"


def test_an_npu_that_ran() -> None:
    found = parse_output(text(NPU, [DISPATCHED, ON_CPU], RESULTS), 0, "npu")
    assert applied(found) == ("complete", None)
    assert found.latency_ms == 73.2
    missing = "ERROR: [dispatch_delegate.cc:145] Failed to create a dispatch delegate kernel: No "
    missing += "usable Dispatch runtime found"
    refused = parse_output(text(NPU, [DISPATCHED, missing, ON_CPU], RESULTS), 0, "npu")
    assert applied(refused)[1] == "delegate_refused"


def test_a_gpu_of_a_computer_says_nothing() -> None:
    """There LiteRT's tool prints no counts where the GPU took all."""
    command = ["$ ./benchmark_model --graph=m.tflite --use_gpu=true"]
    assert parse_log(text(command, NPU[:4], RESULTS)).failure is None


def test_sentences_that_somebody_wrapped() -> None:
    lines = ["Following operations are not supported by GPU delegate:", "EXP: not supported."]
    lines += [
        "130 operations will run on the GPU, and the remaining 114",
        "  operations will run on the CPU.",
    ]
    found = parse_log(text(lines))
    assert applied(found) == ("partial", "partially_delegated")
    row = (
        "Replacing 244 out of 244 node(s) with delegate\n  (LITERT_CL) node, yielding 1 partitions"
    )
    assert applied(parse_log(f"I tflite : {row} for subgraph 0.\n")) == ("complete", None)
    words = (
        "Explicitly applied GPU delegate, and the model graph will be completely\nexecuted by the"
    )
    assert applied(parse_log(f"{words} delegate.\n")) == ("complete", None)


def test_the_tool_of_2019_may_be_silent() -> None:
    summary = "Average inference timings in us: Warmup: 146548, Init: 12516, no stats: 133690"
    lines = [*rows("m.tflite", ["Use nnapi : [1]"])[:-2], summary]
    assert parse_log(text(lines)).failure is None
    assert parse_log(text(lines)).latency_ms == 20.0
    reason = "nnapi error: unable to open library libneuralnetworks.so"
    missing = parse_log(text([*lines[:4], reason, *lines[4:]]))
    assert missing.failure is not None
    assert missing.failure.failure_class == "not_delegated"
    older = [
        "Next operations are not supported by GPU delegate:",
        "SPLIT: Operation is not supported.",
    ]
    older += ["First 15 operations will run on the GPU, and the remaining 3 on the CPU."]
    found = parse_log(text(older))
    assert [row["op"] for row in found.benchmark.refusals] == ["SPLIT"]
    assert applied(found) == ("partial", "partially_delegated")
