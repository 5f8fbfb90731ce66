"""Logs of real phones (their first line names the source) and of every format since 2019."""

from __future__ import annotations

from nas.devices.logs import decode_log, parse_log
from tests.helpers.log_texts import LINE, LOGS, facts, refused_with, report


def test_every_real_log_is_recognized() -> None:
    names = [path.name for path in LOGS.glob("[0-9]*.txt")]
    assert len(names) == 21
    for name in names:
        assert not report(name.removesuffix(".txt")).empty, name


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


def test_numbers_of_a_failing_run_do_not_count() -> None:
    for exit_code in (None, 1):
        found = report("own_failing", exit_code=exit_code)
        assert found.failure is not None
        assert found.failure.failure_class == "nnapi_error"
        assert found.failure.phase == "running computation"
        assert found.latency_ms is None


def test_no_runs_are_no_latency() -> None:
    text = "count=0\ncount=0\nInference timings in us: Init: 5, First inference: 0, "
    found = parse_log(text + "Warmup (avg): 0, Inference (avg): 0", exit_code=0)
    assert found.failure is not None
    assert found.latency_ms is None


def test_a_log_of_something_else_is_empty() -> None:
    found = parse_log("hello\nworld\n")
    assert (found.empty, found.failure, found.latency_ms, found.placement) == (True, None, None, ())


def test_only_the_tools_own_lost_lines_make_its_placement_incomplete() -> None:
    assert refused_with("500 500 I chatty  : uid=1000 system_server expire 7 lines").lost_lines == 0
    assert refused_with(" 77  77 I chatty  : uid=2000(shell) tool expire 9 lines").lost_lines == 9


def test_utf16_of_a_windows_redirection() -> None:
    assert parse_log(decode_log(LINE.encode("utf-16"))).nnapi.placement[0].op == "CONV_2D"
