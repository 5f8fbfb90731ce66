"""Several runs in one log: told apart, or refused; never mixed."""

from __future__ import annotations

from nas.devices.logs import LogReport, parse_log, parse_output, parse_runs
from tests.helpers.log_texts import modern, rows, statistics, text


def told(*reports: LogReport) -> list[tuple[str | None, float | None, float | None]]:
    return [(r.benchmark.model, r.latency_ms, r.benchmark.init_ms) for r in reports]


SMALL = rows("small.tflite", mean=10_000, init=2.5)
LARGE = rows("large.tflite", mean=300_000, init=7.5)
BOTH = [("small.tflite", 10.0, 2.5), ("large.tflite", 300.0, 7.5)]


def test_a_loop_over_models() -> None:
    assert told(*parse_runs(text(SMALL, LARGE))) == BOTH
    assert told(*parse_runs(text(modern(SMALL), modern(LARGE)))) == BOTH


def test_the_same_model_twice_is_two_runs() -> None:
    assert told(*parse_runs(text(SMALL, SMALL))) == [BOTH[0], BOTH[0]]


def test_runs_without_their_first_lines() -> None:
    """`grep -v` and short excerpts take the usual beginnings away."""
    for first in range(6):
        assert [
            latency for _, latency, _ in told(*parse_runs(text(SMALL[first:], LARGE[first:])))
        ] == [
            10.0,
            300.0,
        ]


def test_summaries_alone_are_a_run_each() -> None:
    lines = [line for line in [*SMALL, *LARGE] if line.startswith("Inference timings")]
    found = parse_runs(text(lines))
    assert [(r.latency_ms, r.count) for r in found] == [(10.0, None), (300.0, None)]


def test_a_cpu_run_and_one_on_an_accelerator_that_fails() -> None:
    failing = [
        *rows("m.tflite", ["Use NNAPI: [1]"])[:5],
        "ERROR: NN API returned error ANEURALNETWORKS_OP_FAILED at line 3622 while completing "
        "NNAPI compilation.",
        "Failed to apply NNAPI delegate.",
        "Benchmarking failed.",
    ]
    cpu, nnapi = parse_runs(text(SMALL, failing))
    assert (cpu.latency_ms, cpu.failure) == (10.0, None)
    assert nnapi.failure is not None
    assert (nnapi.latency_ms, nnapi.failure.failure_class) == (None, "nnapi_error")
    nnapi, cpu = parse_runs(text(failing, SMALL))
    assert nnapi.failure is not None
    assert (cpu.latency_ms, cpu.failure, nnapi.benchmark.model) == (10.0, None, "m.tflite")


def test_commands_and_what_a_shell_says_between_runs() -> None:
    first = ["$ adb shell /data/local/tmp/benchmark_model --graph=a.tflite --use_gpu=true"]
    missing = ["/system/bin/sh: ./benchmark_model: not found"]
    found = parse_runs(text(first, SMALL, missing, LARGE))
    assert [r.failure.failure_class if r.failure else None for r in found] == [
        "not_delegated",
        "tool_not_started",
        None,
    ]
    assert [r.benchmark.asked for r in found] == [["gpu"], [], []]


def test_a_command_over_several_lines() -> None:
    command = [
        "$ adb shell benchmark_model_plus_flex \\",
        "> --graph=x.tflite \\",
        "> --use_hexagon=1",
    ]
    [found] = parse_runs(text(command))
    assert (found.benchmark.model, found.benchmark.asked) == ("x.tflite", ["hexagon"])


def test_processes_of_a_logcat_that_run_at_the_same_time() -> None:
    def stamped(pid: int, lines: list[str]) -> list[str]:
        return [f"01-02 03:04:05.678  {pid}  {pid} I tflite  : {line}" for line in lines if line]

    pairs = zip(stamped(11, SMALL), stamped(22, LARGE), strict=True)
    assert told(*parse_runs(text([line for pair in pairs for line in pair]))) == BOTH
    assert told(parse_log(text(stamped(11, SMALL), stamped(22, LARGE)), pid=22)) == BOTH[1:]


def test_terminal_and_logcat_of_the_same_run_are_one() -> None:
    log = [f"01-02 03:04:05.678  11  11 I tflite  : {line}" for line in SMALL if line]
    assert told(*parse_runs(text(SMALL, log))) == BOTH[:1]


def test_lines_that_were_printed_twice() -> None:
    doubled = [line for row in SMALL if row for line in (f"INFO: {row}", row)]
    [found] = parse_runs(text(doubled))
    assert told(found) == BOTH[:1]
    assert [block.count for block in found.benchmark.blocks] == [7, 50]


def test_statistics_of_several_runs_without_anything_between_are_refused() -> None:
    lines = [line for line in [*SMALL, *LARGE] if line.startswith("count=")]
    [found] = parse_runs(text(lines))
    assert found.latency_ms is None
    assert found.failure is not None
    assert "4 lines of statistics, where one run has two" in found.failure.detail


def test_standard_error_before_standard_output() -> None:
    lines = ["ERROR: Node number 3 (ADD) failed to invoke.", "Benchmarking failed."]
    [found] = parse_runs(text(lines, SMALL))
    assert found.failure is not None
    assert (found.failure.failure_class, found.latency_ms) == ("invoke_failed", None)


def test_standard_output_that_comes_late() -> None:
    late = parse_runs(text(SMALL[:9], ["Benchmarking failed."], SMALL[9:]))
    assert len(late) == 1
    assert late[0].latency_ms is None


def test_where_one_run_is_expected_several_are_refused() -> None:
    found = parse_log(text(SMALL, LARGE))
    assert found.failure is not None
    assert "2 runs in one log, where one was expected" in found.failure.detail
    assert (found.latency_ms, found.benchmark.model) == (None, None)
    launch = parse_output(text(SMALL, LARGE), exit_code=0)
    assert launch.failure is not None
    assert (launch.latency_ms, launch.failure.failure_class) == (None, "unparsable")


TITLE = "==============Summary of All Runs w/ Different Performance Options=============="
OPTIONS = [
    "INFO: cpu w/ 4 threads (xnnpack): " + statistics(50, 20_310),
    "INFO:                gpu-default: " + statistics(50, 30_790),
    "INFO:       nnapi(w/o accel name):  failed!",
    "INFO:            nnapi(qti-dsp): " + statistics(50, 4_000),
]


def test_a_summary_of_performance_options() -> None:
    for lines in (OPTIONS, ["", TITLE, *OPTIONS]):
        found = parse_runs(text(lines))
        assert [(r.benchmark.option, r.latency_ms, r.count) for r in found] == [
            ("cpu w/ 4 threads (xnnpack)", 20.31, 50),
            ("gpu-default", 30.79, 50),
            ("nnapi(w/o accel name)", None, None),
            ("nnapi(qti-dsp)", 4.0, 50),
        ]
        assert [r.failure.failure_class if r.failure else None for r in found] == [
            None,
            None,
            "unparsable",
            None,
        ]


def test_a_summary_names_the_runs_before_it() -> None:
    first = rows("m.tflite", ["Num threads: [4]"], mean=20_310)[1:]
    second = rows(
        "m.tflite", ["Use gpu: [1]"], ["Created TensorFlow Lite delegate for GPU."], 30_790
    )
    found = parse_runs(text(["STARTING!"], first, second[1:], ["", TITLE], OPTIONS))
    assert [(r.benchmark.option, r.latency_ms) for r in found[:2]] == [
        ("cpu w/ 4 threads (xnnpack)", 20.31),
        ("gpu-default", 30.79),
    ]
    assert len(found) == 4


def test_another_apps_crash_is_not_the_runs() -> None:
    log = [f"01-02 03:04:05.678  4711  4711 I tflite  : {line}" for line in SMALL if line]
    other = "01-02 03:04:09.678  99  99 F libc    : Fatal signal 11 (SIGSEGV), code 1 in tid 99 (x)"
    own = other.replace("  99  99 F", "  4711  4711 F")
    assert told(*parse_runs(text(log, [other]))) == BOTH[:1]
    [crashed] = parse_runs(text(log, [own]))
    assert crashed.failure is not None
    assert (crashed.failure.failure_class, crashed.latency_ms) == ("crash", None)
