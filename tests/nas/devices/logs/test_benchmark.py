"""Facts of the benchmark tools in real logs, from the format of 2019 to that of today."""

from __future__ import annotations

import re

from nas.devices.logs import parse_log
from tests.helpers.log_texts import LOGS, facts


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


def test_patterns_of_statistics_agree_with_an_independent_reading() -> None:
    """Every `count=` line of the real logs, read by another pattern."""
    for path in LOGS.glob("*.txt"):
        text = path.read_text()
        expected = [int(n) for n in re.findall(r"^(?:\w+: )?count=(\d+)", text, re.MULTILINE)]
        found = parse_log(text).benchmark
        assert [block.count for block in found.blocks] == expected or found.compiled
