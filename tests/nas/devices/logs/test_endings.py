"""Every way a run ends badly has its class, and the line that tells why."""

from __future__ import annotations

import pytest

from nas.devices.failures import ADVICE, FAILURE_CLASSES, RETRIED, DeviceFailure
from nas.devices.logs import parse_log
from nas.devices.logs.endings import ENDINGS, EXITS
from tests.helpers.log_texts import modern, rows, text

NODE = "ERROR: Node number 13 ({}) failed to {}."
ENDED = "ERROR: Benchmarking failed."
CASES: list[tuple[str, list[str], str]] = [
    (
        "op_refused",
        [
            "ERROR: Select TensorFlow op(s), included in the given model, is(are) not supported by "
            "this interpreter. Make sure you apply/link the Flex delegate before inference.",
            NODE.format("FlexExtractImagePatches", "prepare"),
            "ERROR: Failed to allocate tensors!",
            ENDED,
        ],
        "FlexExtractImagePatches: Select TensorFlow op",
    ),
    (
        "op_refused",
        [
            "Regular TensorFlow ops are not supported by this interpreter. Make sure you apply "
            "the Flex delegate before inference.",
            "Node number 4 (FlexErf) failed to prepare.",
        ],
        "FlexErf: Regular TensorFlow ops",
    ),
    (
        "op_refused",
        [
            "ERROR: Encountered unresolved custom op: edgetpu-custom-op.",
            "See instructions: https://www.tensorflow.org/lite/guide/ops_custom ",
            NODE.format("edgetpu-custom-op", "prepare"),
        ],
        "Encountered unresolved custom op: edgetpu-custom-op",
    ),
    ("op_refused", ["ERROR: Didn't find custom op for name 'X' with version 1"], "custom op"),
    ("op_refused", ["ERROR: Unsupported data type 18 in tensor", ENDED], "data type 18"),
    (
        "op_refused",
        ["ERROR: Type INT4 (18) is not supported.", NODE.format("FULLY_CONNECTED", "prepare")],
        "INT4",
    ),
    (
        "op_refused",
        [
            "ERROR: tensorflow/lite/kernels/conv.cc:364 input->type != filter->type (INT8 != INT4)",
            NODE.format("CONV_2D", "prepare"),
            "ERROR: Failed to allocate tensors!",
        ],
        "input->type != filter->type (INT8 != INT4). Node number 13 (CONV_2D) failed to prepare.",
    ),
    ("op_refused", [NODE.format("TfLiteFlexDelegate", "prepare")], "TfLiteFlexDelegate"),
    (
        "invoke_failed",
        ["ERROR: gather index out of bounds", NODE.format("GATHER", "invoke"), "Failed to invoke!"],
        "gather index out of bounds. Node number 13 (GATHER) failed to invoke.",
    ),
    ("invoke_failed", ["Failed to invoke!", "Benchmarking failed."], "Failed to invoke!"),
    ("invoke_failed", [NODE.format("TfLiteHexagonDelegate", "invoke")], "TfLiteHexagonDelegate"),
    ("invoke_failed", ["ERROR: [benchmark_litert_model.h:346] Run failed: 3"], "Run failed: 3"),
    (
        "delegate_refused",
        [
            "ERROR: [QNN Delegate] Failed to create device_handle for Backend ID 6, error=14001",
            "ERROR: Restored original execution plan after delegate application failure.",
            "Failed to apply EXTERNAL delegate.",
        ],
        "[QNN Delegate] Failed to create device_handle for Backend ID 6, error=14001",
    ),
    ("delegate_refused", ["QnnDsp <E> Failed to load skel, error: 4000"], "error: 4000"),
    ("delegate_refused", ["ERROR: [dispatch.cc:1] Failed to create QNN context: 14001"], "14001"),
    ("delegate_refused", ["ERROR: Disallowed CPU fallback detected.", ENDED], "Disallowed CPU"),
    (
        "delegate_refused",
        [
            "ERROR: Unable to load external delegate from : libx.so (dlopen failed)",
            "ERROR: Failed to apply EXTERNAL delegate.",
        ],
        "Unable to load external delegate from : libx.so (dlopen failed)",
    ),
    (
        "delegate_refused",
        [
            "ERROR: TfLiteGpuDelegate Init: No shader implementation for transpose",
            "ERROR: TfLiteGpuDelegate Prepare: delegate is not initialized",
            "ERROR: Node number 390 (TfLiteGpuDelegateV2) failed to prepare.",
        ],
        "No shader implementation for transpose",
    ),
    (
        "delegate_refused",
        ["Node number 90 (TfLiteXNNPackDelegate) failed to prepare."],
        "number 90",
    ),
    (
        "delegate_refused",
        ["ERROR: Some ops are not accelerated. Add kLiteRtHwAcceleratorCpu"],
        "ops",
    ),
    (
        "tool_not_started",
        [
            'CANNOT LINK EXECUTABLE "./benchmark_model": library "libx.so" not found: '
            "needed by main executable"
        ],
        "libx.so",
    ),
    ("tool_not_started", ["/system/bin/sh: ./benchmark_model: not found"], "not found"),
    ("tool_not_started", ["sh: ./benchmark_model: inaccessible or not found"], "inaccessible"),
    ("tool_not_started", ["/system/bin/sh: ./x: No such file or directory"], "No such file"),
    ("tool_not_started", ["bash: ./benchmark_model: Permission denied"], "denied"),
    (
        "tool_not_started",
        ["sh: /sdcard/benchmark_model: can't execute: Permission denied"],
        "denied",
    ),
    ("tool_not_started", ["/system/bin/sh: ./b: not executable: 64-bit ELF file"], "64-bit"),
    ("tool_not_started", ["bash: ./b: cannot execute binary file: Exec format error"], "format"),
    ("tool_not_started", ["zsh: permission denied: ./benchmark_model"], "denied"),
    ("tool_not_started", ["taskset: failed to execute ./b: Permission denied"], "taskset"),
    (
        "tool_not_started",
        [
            'error: "/data/local/tmp/b": executable\'s TLS segment is underaligned: '
            "alignment is 8, needs to be at least 64"
        ],
        "underaligned",
    ),
    (
        "tool_not_started",
        ["./b: error while loading shared libraries: libc.so.6: cannot open"],
        "libc",
    ),
    ("tool_not_started", ["./b: /lib/libm.so.6: version `GLIBC_2.38' not found"], "GLIBC"),
    ("oom", ["Killed"], "Killed"),
    ("oom", ["[1] + Killed               ./benchmark_model --graph=a.tflite"], "Killed"),
    ("oom", ["./run.sh: line 3: 4711 Killed    ./benchmark_model"], "4711"),
    ("oom", ["zsh: killed     ./benchmark_model"], "killed"),
    (
        "oom",
        ["terminate called after throwing an instance of 'std::bad_alloc'", "Aborted"],
        "bad_alloc",
    ),
    ("oom", ["ERROR: Failed to allocate: CL_MEM_OBJECT_ALLOCATION_FAILURE"], "ALLOCATION"),
    ("crash", ["Segmentation fault (core dumped)"], "Segmentation"),
    ("crash", ["Illegal instruction"], "Illegal"),
    (
        "crash",
        ["F0000 00:00:1776763095.9 212 object_reader.cc:82] Check failed: tfl_tensor"],
        "Check",
    ),
    (
        "bad_input",
        ["FATAL: The size of in.bin is 10 bytes. It should be 12 bytes.", "Aborted"],
        "in.bin",
    ),
    ("bad_input", ["ERROR: Input tensor #0 should have 4 dimensions!", ENDED], "4 dimensions"),
    ("model_unreadable", ["ERROR: Could not open '/data/local/tmp/m.tflite'."], "m.tflite"),
    (
        "model_unreadable",
        ["E tflite  : Mmap of '184' at offset '0' failed with error '13'."],
        "'13'",
    ),
    ("model_unreadable", ["ERROR: The model is not a valid Flatbuffer buffer"], "valid Flatbuffer"),
    (
        "model_unreadable",
        ["Didn't find op for builtin opcode 'CONV_2D' version '6'"],
        "version '6'",
    ),
    ("device_offline", ["adb: device offline"], "offline"),
    ("device_offline", ["error: no devices/emulators found"], "no devices"),
    ("timeout", ["Terminated"], "Terminated"),
    ("unparsable", ["INFO: something", ENDED], "something / Benchmarking failed."),
]


def failure_of(*parts: list[str]) -> DeviceFailure:
    failure = parse_log(text(*parts)).failure
    assert failure is not None
    return failure


@pytest.mark.parametrize(("expected", "lines", "words"), CASES)
def test_endings(expected: str, lines: list[str], words: str) -> None:
    before = [] if expected in ("tool_not_started", "device_offline") else rows("m.tflite")[:4]
    found = failure_of(before, lines)
    assert found.failure_class == expected
    assert words in found.detail
    stamped = [f"> 2026-11-28T10:00:00Z {line}" for line in (*before, *lines)]
    assert failure_of(stamped) == found


def test_figures_of_a_failed_invocation_do_not_count() -> None:
    lines = rows("m.tflite")
    found = parse_log(
        text(lines[:10], [NODE.format("ADD", "invoke"), "Failed to invoke!"], lines[10:])
    )
    assert found.failure is not None
    assert (found.failure.failure_class, found.latency_ms) == ("invoke_failed", None)


@pytest.mark.parametrize(
    "line",
    [
        "INFO: Falling back to OpenGL",
        'ERROR: Can not open OpenCL library on this device - dlopen failed: library "libOpenCL.so" '
        "not found",
        "WARNING: linker: Warning: unused DT entry: type 0xf",
        "INFO: [Qnn] Using online SoC info. SoC name: SM8750.",
        "WARN: Tensor # 0 is named inputs_0 but flags call it in0",
        "INFO: Aborted by nobody",
    ],
)
def test_words_of_a_run_that_went_well(line: str) -> None:
    found = parse_log(text(modern(rows("m.tflite")[:4]), [line], modern(rows("m.tflite")[4:])))
    assert found.failure is None
    assert found.latency_ms == 20.0


@pytest.mark.parametrize(
    ("code", "expected"), [(126, "tool_not_started"), (127, "tool_not_started")]
)
def test_a_shells_exit_codes(code: int, expected: str) -> None:
    failure = parse_log("nothing\n", exit_code=code).failure
    assert failure is not None
    assert failure.failure_class == expected


def test_the_table_knows_only_classes_that_there_are() -> None:
    assert {ending.failure_class for ending in ENDINGS} | set(EXITS.values()) <= set(
        FAILURE_CLASSES
    )
    assert {"tool_not_started", "op_refused"} <= set(ADVICE)
    assert "tool_not_started" not in RETRIED
    assert DeviceFailure("tool_not_started", "").transient
    assert not DeviceFailure("op_refused", "").transient
    assert not DeviceFailure("invoke_failed", "").transient
