"""Logs of real phones (their first line names the source) and of every format since 2019."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from nas.devices.adb.wire import ShellResult
from nas.devices.failures import FAILURE_CLASSES, DeviceFailure
from nas.devices.logs import LogReport, decode_log, parse_log
from nas.devices.phone.launch import merged

LOGS = Path(__file__).parents[3] / "fixtures" / "device_logs"


def report(name: str, **options: Any) -> LogReport:
    (path,) = LOGS.glob(f"{name}*.txt")
    return parse_log(decode_log(path.read_bytes()), **options)


def facts(name: str) -> dict[str, Any]:
    return report(name).to_dict()


def test_every_real_log_is_recognized() -> None:
    names = [path.name for path in LOGS.glob("[0-9]*.txt")]
    assert len(names) == 21
    for name in names:
        assert not report(name.removesuffix(".txt")).empty, name


@pytest.mark.parametrize(
    ("name", "failure", "code", "phase"),
    [
        ("01", "partially_delegated", None, None),
        ("05", "not_delegated", None, None),
        ("08", "nnapi_error", "ANEURALNETWORKS_OP_FAILED", "completing NNAPI compilation"),
        ("11", "driver_crash", "ANEURALNETWORKS_OP_FAILED", "running computation"),
        ("12", "partially_delegated", None, None),
        ("23", "delegate_refused", None, None),
        ("26", "bad_input", None, None),
        ("30", "delegate_refused", None, None),
        ("32", "not_delegated", None, None),
    ],
)
def test_failure_classes(name: str, failure: str, code: str | None, phase: str | None) -> None:
    found = report(name).failure
    assert found is not None
    assert (found.failure_class, found.code, found.phase) == (failure, code, phase)


@pytest.mark.parametrize(
    "name", ["03", "04", "07", "09", "15", "16", "19", "20", "21", "24", "29", "33"]
)
def test_logs_without_a_failure(name: str) -> None:
    assert report(name).failure is None


def test_partial_nnapi_of_2020() -> None:
    log = facts("01")
    assert log["tool"] == "classic"
    assert log["accelerators"] == [
        "qti-default",
        "qti-dsp",
        "qti-gpu",
        "qti-hta",
        "nnapi-reference",
    ]
    assert log["delegation"] == {"delegate": "NNAPI", "coverage": "partial", "kernels": 1}
    assert log["model"] == "/data/local/tmp/tflite/denoising_8bit.tflite"
    assert log["model_size_mb"] == 1.80262
    assert log["init_ms"] == 115.176
    assert log["parameters"]["Num threads"] == "4"
    assert log["latency_ms"] is None
    assert log["limits"] == [{"iterations": 1, "min_seconds": 0.5, "max_seconds": 150.0}]


def test_first_block_is_the_warm_up() -> None:
    log = facts("03")
    assert (log["warmup"]["count"], log["timed"]["count"]) == (4, 50)
    assert log["warmup"]["mean_ms"] == 122.373
    assert log["latency_ms"] == 119.375
    assert log["latency_statistic"] == "mean"
    assert (log["init_ms"], log["first_ms"]) == (870.557, 130.565)
    assert log["timed"]["std_ms"] == 1.948
    assert log["gpu_api"] == "OpenCL"
    assert log["delegate_kernels"] == {"GPU": 1}


def test_android_studio_layouts() -> None:
    log = facts("04")
    assert log["layouts"] == ["studio"]
    assert log["pid"] == 12310
    assert log["nnapi"]["interfaces"] == ["qti-default", "qti-dsp", "qti-gpu", "qti-hta"]
    assert log["placement"] == [
        {"op": "CONV_2D", "index": 0, "accelerator": "qti-dsp"},
        {"op": "MAX_POOL_2D", "index": 1, "accelerator": "qti-dsp"},
    ]
    columns = facts("07")
    assert columns["layouts"] == ["studio-columns"]
    assert columns["parameters"]["num_threads"] == "4"
    assert columns["model"] == "/data/local/tmp/yolov8n-seg_float32.tflite"
    assert facts("23")["soc"] == "SM8750"


def test_silent_cpu_keeps_no_coverage() -> None:
    log = facts("05")
    assert log["layouts"] == ["threadtime"]
    assert log["delegation"]["coverage"] == "none"
    assert log["parameters"] == {"Use NNAPI": "1", "Use xnnpack": "0"}


def test_folded_lines_are_put_back() -> None:
    assert facts("09")["operations_by_accelerator"] == {"qti-gpu": 7}
    assert [row["op"] for row in facts("09")["placement"]].count("MUL") == 4
    assert facts("11")["operations_by_accelerator"] == {"qti-dsp": 6}


def test_a_plan_of_one_accelerator_that_then_fails() -> None:
    log = facts("11")
    assert log["nnapi"]["plans"] == ["SIMPLE for qti-dsp"]
    assert log["nnapi"]["relaxed_float16"] is False
    assert log["nnapi"]["execution_failed"] is True
    assert any("HTP execution with err 5032" in error for error in log["driver_errors"])
    assert "Node number 248 (TfLiteNnapiDelegate) failed to invoke." in log["warnings"]


def test_operation_profile_by_headings() -> None:
    log = facts("12")
    assert [(row["node_type"], row["node"], row["average_ms"]) for row in log["profile"]] == [
        ("STRIDED_SLICE", 5, 1.024),
        ("TfLiteNnapiDelegate", 231, 79.01),
        ("RESIZE_NEAREST_NEIGHBOR", 143, 0.253),
        ("TfLiteNnapiDelegate", 232, 14.418),
    ]
    assert log["profile_summary"] == {
        "TfLiteNnapiDelegate": 3,
        "STRIDED_SLICE": 6,
        "RESIZE_NEAREST_NEIGHBOR": 2,
    }
    assert log["nodes_executed"] == 11
    assert log["profiled"]["mean_ms"] == 158.715
    assert log["latency_ms"] is None  # the rows' sum is not the latency
    assert {"op": "STRIDED_SLICE", "index": 5, "accelerator": "cpu"} in log["placement"]


def test_profile_as_values_separated_by_commas() -> None:
    log = facts("own_profile_csv")
    assert log["profile"][0] == {
        "node_type": "TRANSPOSE_CONV",
        "average_ms": 1.25,
        "name": "up/a, up/b",
        "node": 3,
    }
    assert log["profile_summary"] == {"TRANSPOSE_CONV": 1, "TfLiteNnapiDelegate": 1}


def test_format_of_2019() -> None:
    log = facts("15")
    assert log["generation"] == "2019"
    assert (log["latency_ms"], log["count"], log["init_ms"]) == (133.69, 10, 12.516)
    assert log["warmup"]["mean_ms"] == 146.548
    assert "nnapi error: unable to open library libneuralnetworks.so" in log["warnings"]
    assert log["delegation"] is None


def test_format_of_2020_with_exponents_and_few_runs() -> None:
    log = facts("own_2020")
    assert log["generation"] == "2020"
    assert log["accelerators"] == ["armnn", "liteadaptor"]
    assert (log["latency_ms"], log["count"]) == (54206.0, 3)
    assert log["memory"] == {"init_mb": 412.3, "overall_mb": 1873.9}
    assert log["delegation"]["coverage"] == "complete"
    assert log["failure"] is None


def test_prefixed_format_with_one_run_warm_up() -> None:
    log = facts("19")
    assert log["generation"] == "2023"
    assert log["warmup"]["count"] == 1
    assert log["warmup"]["mean_ms"] == 637.079
    assert (log["latency_ms"], log["count"]) == (1.88574, 520)
    assert log["replaced"] == [
        {"delegate": "TfLiteNnapiDelegate", "nodes": 31, "total": 31, "partitions": 1}
    ]
    assert log["memory"] == {"init_mb": 7.40234, "overall_mb": 7.83203}
    assert log["parameters"]["NNAPI accelerator name"] == "synap-npu"


def test_format_of_today_takes_the_median() -> None:
    log = facts("own_2026")
    assert log["generation"] == "2025"
    assert (log["latency_ms"], log["latency_statistic"], log["p95_ms"]) == (40.2, "median", 44.12)
    assert log["unknown_flags"] == ["--old_flag=1", "--other"]
    assert log["memory"]["peak_mb"] == 120.75
    assert log["replaced"][0]["nodes"] == 70
    assert log["failure"]["class"] == "partially_delegated"


def test_compiled_model_tool() -> None:
    log = facts("20")
    assert log["tool"] == "compiled-model"
    assert (log["latency_ms"], log["count"]) == (7430.2, 10)
    assert (log["init_ms"], log["first_ms"]) == (23744.73, 7441.04)
    assert log["timed"]["min_ms"] == 7416.4
    assert log["timed"]["std_ms"] == 9.92
    assert log["memory"] == {"init_mb": 6391.74, "overall_mb": 6391.74}
    assert (log["signature"], log["throughput_mb_per_s"]) == ("prefill_1024", 27.46)
    npu = facts("21")
    assert npu["plugins"] == ["NpuAccelerator"]
    assert npu["model"] == "speechbrain_sepformer_wham_decoder.tflite"
    assert npu["parameters"]["dispatch_library_path"] == "."
    wrapped = facts("24")["replaced"][0]
    assert (wrapped["nodes"], wrapped["total"], wrapped["partitions"]) == (366, 366, 1)


def test_reasons_of_refusal() -> None:
    refusals = facts("29")["refusals"]
    assert [(row["op"], row["version"]) for row in refusals] == [
        ("DEQUANTIZE", "2"),
        ("FAKE_QUANT", "1"),
        ("QUANTIZE", "2"),
    ]
    assert refusals[1]["reason"] == "Unsupported operation type."


def test_capabilities_of_a_driver() -> None:
    rows = {row["operand"]: row for row in facts("33")["nnapi"]["capabilities"]}
    assert rows["FLOAT32"]["exec_time"] == 10.0
    assert rows["TENSOR_QUANT8_ASYMM"]["power_usage"] == 0.1
    assert rows["RELAXED_FLOAT16_TENSOR"]["accelerator"] == "google-edgetpu"


def test_numbers_of_a_failing_run_do_not_count() -> None:
    for exit_code in (None, 1):
        found = report("own_failing", exit_code=exit_code)
        assert found.failure is not None
        assert found.failure.failure_class == "nnapi_error"
        assert found.failure.phase == "running computation"
        assert found.latency_ms is None


def test_android_9_prints_indices() -> None:
    found = report("own_android9", pid=None)
    assert [(row.op, row.accelerator) for row in found.nnapi.placement] == [
        *[("CONV_2D", "liteadaptor")] * 5,
        ("TRANSPOSE_CONV_2D", "nnapi-reference"),
        ("IF", "NNAPI"),
    ]
    assert found.nnapi.cannot_do == (("liteadaptor", "TRANSPOSE_CONV_2D"),)
    assert found.nnapi.runtime_fallbacks == ("partial",)
    assert found.nnapi.compile_fallback
    assert found.lost_lines == 12
    assert "placement lines of 2 processes" in found.warnings[0]
    other = report("own_android9", pid=5000)
    assert [row.op for row in other.nnapi.placement] == ["ADD"]


@pytest.mark.parametrize(
    ("exit_code", "expected"),
    [(124, "timeout"), (137, "oom"), (134, "crash"), (139, "crash"), (1, "unparsable")],
)
def test_exit_codes(exit_code: int, expected: str) -> None:
    found = parse_log("STARTING!\n", exit_code=exit_code).failure
    assert found is not None
    assert found.failure_class == expected


def test_success_without_numbers_is_unparsable_and_shows_the_last_words() -> None:
    found = parse_log("STARTING!\nfoo\n\x00\x01 bar", exit_code=0).failure
    assert found is not None
    assert found.failure_class == "unparsable"
    assert "foo" in found.detail


def test_no_runs_are_no_latency() -> None:
    text = "count=0\ncount=0\nInference timings in us: Init: 5, First inference: 0, "
    found = parse_log(text + "Warmup (avg): 0, Inference (avg): 0", exit_code=0)
    assert found.failure is not None
    assert found.latency_ms is None


def test_a_log_of_something_else_is_empty() -> None:
    assert parse_log("hello\nworld\n").empty


LINE = "ModelBuilder::findBestDeviceForEachOperation(CONV_2D) = 0 (dsp)"


@pytest.mark.parametrize(
    "row",
    [
        f"2026-01-02 03:04:05.678  1000   77   78 I ExecutionPlan: {LINE}",
        f"01-02 03:04:05.678    77    78 I ExecutionPlan: {LINE}",
        f"01-02 03:04:05.678123 +0000    77    78 I ExecutionPlan: {LINE}",
        f"01-02 03:04:05.678 I/ExecutionPlan(   77): {LINE}",
        f"I/ExecutionPlan(   77): {LINE}",
        f"I(   77) {LINE}  (ExecutionPlan)",
        f"[ 01-02 03:04:05.678    77:   78 I/ExecutionPlan ]\n{LINE}\n",
        f"\x1b[32m01-02 03:04:05.678    77    78 I ExecutionPlan: {LINE}\x1b[0m\r",
    ],
)
def test_logcat_layouts(row: str) -> None:
    found = parse_log(row)
    assert found.pid == 77
    assert [(step.op, step.accelerator) for step in found.nnapi.placement] == [("CONV_2D", "dsp")]


def test_what_the_gpu_delegate_leaves() -> None:
    text = """ERROR: Following operations are not supported by GPU delegate:
DEQUANTIZE:
SPLIT: Operation is not supported.
63 operations will run on the GPU, and the remaining 11 operations will run on the CPU.
INFO: Loaded model /sdcard/my models/a b.tflite
"""
    found = parse_log(text).to_dict()
    assert [(row["op"], row["reason"]) for row in found["refusals"]] == [
        ("DEQUANTIZE", ""),
        ("SPLIT", "Operation is not supported."),
    ]
    assert found["replaced"][0]["nodes"] == 63
    assert found["replaced"][0]["total"] == 74
    assert found["delegation"]["coverage"] == "partial"
    assert found["failure"]["class"] == "partially_delegated"
    assert found["model"] == "/sdcard/my models/a b.tflite"
    older = parse_log("First 15 operations will run on the GPU, and the remaining 3 on the CPU.")
    assert older.benchmark.replaced[0].total == 18


def test_nodes_delegated_in_the_older_words() -> None:
    text = "INFO: TfLiteHexagonDelegate delegate: 26 nodes delegated out of 29 nodes"
    text += " with 2 partitions."
    row = parse_log(text).benchmark.replaced[0]
    assert (row.delegate, row.nodes, row.total, row.partitions) == (
        "TfLiteHexagonDelegate",
        26,
        29,
        2,
    )


def test_other_processes_crashes_are_not_ours() -> None:
    own = f"01-02 03:04:05.678    77    77 I ExecutionPlan: {LINE}\n"
    other = "01-02 03:04:05.700   500   500 F libc    : Fatal signal 6 (SIGABRT) in tid 500 (app)\n"
    assert parse_log(own + other).failure is None
    mine = other.replace("(app)", "(benchmark_model), pid 77")
    for text in (own + mine, own + other.replace("  500   500", "   77    77")):
        failure = parse_log(text).failure
        assert failure is not None
        assert failure.failure_class == "crash"
    kill = "01-02 03:04:05.700   600   600 I lmkd    : Kill 'benchmark_model' (77), uid 2000\n"
    failure = parse_log(own + kill).failure
    assert failure is not None
    assert failure.failure_class == "oom"
    assert parse_log(own + kill.replace("benchmark_model' (77)", "com.app' (9)")).failure is None


REFUSED = "NN API returned error ANEURALNETWORKS_OP_FAILED at line 4113 while running computation."


def refused_with(*rows: str) -> LogReport:
    """What is made of NNAPI's refusal to process 77 with such rows in the phone's log."""
    log = [f"01-02 03:04:05.678    77    77 I ExecutionPlan: {LINE}"]
    log += [f"01-02 03:04:05.700   {row}" for row in rows]
    return merged(ShellResult("tool", 1, "", "", f"ERROR: {REFUSED}\n", 1.0, 77), "\n".join(log))


@pytest.mark.parametrize(
    "row",
    [
        "500   500 E WifiClient: request timed out after 5 s",
        "500   500 F libc    : Fatal signal 11 (SIGSEGV), code 1 in tid 500 (com.app), pid 500",
        "500   500 E SQLite  : Cannot allocate memory",
        "500   500 E Installer: No space left on device",
        "500   500 E ServiceManager: service 'media.camera' died",
        "500   500 E JavaBinder: !!! FAILED BINDER TRANSACTION !!! DEAD_OBJECT",
    ],
)
def test_other_processes_troubles_leave_a_refusal_as_it_is(row: str) -> None:
    failure = refused_with(row).failure
    assert failure is not None
    assert (failure.failure_class, failure.detail) == ("nnapi_error", REFUSED)
    saved = parse_log(f"01-02 03:04:05.678    77    77 I ExecutionPlan: {LINE}\n" + stamped(row))
    assert saved.failure is None


def stamped(row: str) -> str:
    return f"01-02 03:04:05.700   {row}\n"


@pytest.mark.parametrize(
    "rows",
    [
        ["928  1099 E QnnDsp  :  <E> CDSP crashed"],
        ["413   413 E hwservicemanager: service android.hardware.neuralnetworks@1.2::x died"],
        [
            "928  1099 E HtpError: void qti::nnhal::htp::execute()",
            "928  1099 F libc    : Fatal signal 11 (SIGSEGV), code 1 in tid 1099 (HwBinder:928_1)",
        ],
    ],
)
def test_a_drivers_death_makes_of_a_refusal_a_drivers_crash(rows: list[str]) -> None:
    failure = refused_with(*rows).failure
    assert failure is not None
    assert failure.failure_class == "driver_crash"
    assert failure.transient
    assert failure.phase == "running computation"


def test_a_drivers_death_in_a_real_log() -> None:
    text = (LOGS / "11_logcat_runtime_op_failed_cdsp_crash.txt").read_text()
    failure = merged(ShellResult("tool", 1, "", "", REFUSED, 1.0, 29423), text).failure
    assert failure is not None
    assert (failure.failure_class, failure.detail) == ("driver_crash", "QnnDsp: <E> CDSP crashed")


def test_only_the_tools_own_lost_lines_make_its_placement_incomplete() -> None:
    assert refused_with("500 500 I chatty  : uid=1000 system_server expire 7 lines").lost_lines == 0
    assert refused_with(" 77  77 I chatty  : uid=2000(shell) tool expire 9 lines").lost_lines == 9


def test_utf16_of_a_windows_redirection() -> None:
    assert parse_log(decode_log(LINE.encode("utf-16"))).nnapi.placement[0].op == "CONV_2D"


def test_patterns_of_statistics_agree_with_an_independent_reading() -> None:
    """Every `count=` line of the real logs, read by another pattern."""
    for path in LOGS.glob("*.txt"):
        text = path.read_text()
        expected = [int(n) for n in re.findall(r"^(?:\w+: )?count=(\d+)", text, re.MULTILINE)]
        found = parse_log(text).benchmark
        assert [block.count for block in found.blocks] == expected or found.compiled


def test_failure_round_trip() -> None:
    failure = DeviceFailure("nnapi_error", "line", "ANEURALNETWORKS_BAD_DATA", "adding operation")
    assert DeviceFailure.from_dict(failure.to_dict()) == failure
    assert failure.failure_class in FAILURE_CLASSES
