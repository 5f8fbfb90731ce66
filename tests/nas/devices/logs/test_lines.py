"""What stands around a log's lines: every format of logcat, quotes, stamps."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nas.devices.logs import parse_runs
from nas.devices.logs.lines import read_lines
from tests.helpers.log_texts import modern, rows, text

MESSAGE = "Loaded model /data/local/tmp/a b.tflite"
STAMP = "11-28 10:00:00.123"

LOGCAT = {
    "brief": f"I/tflite  ( 1234): {MESSAGE}",
    "brief, uid": f"I/tflite  ( 2000: 1234): {MESSAGE}",
    "process": f"I( 1234) {MESSAGE}  (tflite)",
    "process, uid": f"I(shell: 1234) {MESSAGE}  (tflite)",
    "tag": f"I/tflite  : {MESSAGE}",
    "tag of two words": f"I/My Benchmark: {MESSAGE}",
    "thread": f"I( 1234: 1240) {MESSAGE}",
    "thread of 2012": f"I( 1234:0x4d8) {MESSAGE}",
    "thread, uid": f"I( 2000: 1234: 1240) {MESSAGE}",
    "time": f"{STAMP} I/tflite  ( 1234): {MESSAGE}",
    "time, year, zone": f"2026-11-28 10:00:00.123 +0100 I/tflite  ( 1234): {MESSAGE}",
    "threadtime": f"{STAMP}  1234  1240 I tflite  : {MESSAGE}",
    "threadtime, uid": f"{STAMP}  2000  1234  1240 I tflite  : {MESSAGE}",
    "threadtime, uid by name": f"{STAMP} shell  1234  1240 I tflite  : {MESSAGE}",
    "threadtime, usec": f"{STAMP}456  1234  1240 I tflite  : {MESSAGE}",
    "threadtime, nsec, UTC": f"{STAMP}456789 +0000  1234  1240 I tflite  : {MESSAGE}",
    "threadtime, year": f"2026-{STAMP}  1234  1240 I tflite  : {MESSAGE}",
    "epoch": f"         1764324000.123  1234  1240 I tflite  : {MESSAGE}",
    "monotonic": f"    12.345  1234  1240 I tflite  : {MESSAGE}",
    "monotonic, usec": f" 86412.345678  1234  1240 I tflite  : {MESSAGE}",
    "long": f"[ {STAMP}  1234: 1240 I/tflite   ]\n{MESSAGE}\n",
    "long, uid": f"[ {STAMP}  2000: 1234: 1240 I/tflite   ]\n{MESSAGE}\n",
    "studio": f"2026-{STAMP} 1234-1240/org.tensorflow.lite.benchmark I/tflite: {MESSAGE}",
    "studio, columns": f"2026-{STAMP}  1234-1240  tflite   org.tensorflow.lite   I  {MESSAGE}",
    "colour": f"\x1b[32m{STAMP}  1234  1240 I tflite  : {MESSAGE}\x1b[0m",
    "quoted": f"> {STAMP}  1234  1240 I tflite  : {MESSAGE}",
}
NO_PROCESS = ("tag", "tag of two words")


@pytest.mark.parametrize("name", LOGCAT)
def test_every_format_of_logcat(name: str) -> None:
    [line] = [line for line in read_lines(LOGCAT[name]) if line.text]
    assert line.text == MESSAGE
    assert line.level == "I"
    assert line.pid == (None if name in NO_PROCESS else 1234)


OUTER: dict[str, Callable[[str], str]] = {
    "quote": lambda line: f"> {line}",
    "quote of a quote": lambda line: f"> > {line}",
    "code block": lambda line: f"    {line}",
    "ts": lambda line: f"Nov 28 10:00:00 {line}",
    "ts, seconds": lambda line: f"00:00:01 {line}",
    "ts, parts of a second": lambda line: f"Nov 28 10:00:00.123456 {line}",
    "ts, since 1970": lambda line: f"1764324000.123456 {line}",
    "ts, since the start": lambda line: f"0.123456 {line}" if line else line,
    "ISO 8601": lambda line: f"2026-11-28T10:00:00.1234567Z {line}",
    "ISO 8601, zone": lambda line: f"2026-11-28T10:00:00+01:00 {line}",
    "brackets": lambda line: f"[2026-11-28 10:00:00] {line}",
    "a serial console": lambda line: f"[   12.345678] {line}",
    "syslog": lambda line: f"Nov 28 10:00:00 board benchmark[1234]: {line}",
    "NSLog": lambda line: f"2026-11-28 10:00:00.123456+0800 TFLiteBenchmark[3921:935759] {line}",
    "container": lambda line: f"benchmark-1  | {line}",
    "grep -n": lambda line: f"12:{line}",
    "grep -H": lambda line: f"logs/run-1.txt:{line}",
    "quoted stamps": lambda line: f"> [10:00:00.123] {line}",
    "Windows": lambda line: f"{line}\r",
}


@pytest.mark.parametrize("name", OUTER)
@pytest.mark.parametrize("prefixed", [False, True])
def test_what_people_and_tools_put_before_lines(name: str, prefixed: bool) -> None:
    """The same facts with and without it: every line is freed, not only those searched in."""
    plain = rows("/data/a b.tflite", ["Use gpu: [0]", "Num threads: [4]"])
    lines = modern(plain) if prefixed else plain
    [expected] = parse_runs(text(lines))
    [found] = parse_runs(text([OUTER[name](line) for line in lines]))
    assert found.benchmark == expected.benchmark
    assert found.latency_ms == 20.0
    assert found.benchmark.warmup is not None
    assert found.benchmark.warmup.count == 7


@pytest.mark.parametrize("name", [name for name in LOGCAT if not name.startswith("long")])
def test_a_run_in_every_format_of_logcat(name: str) -> None:
    [expected] = parse_runs(text(rows("a b.tflite")))
    lines = [LOGCAT[name].replace(MESSAGE, line) for line in rows("a b.tflite") if line]
    [found] = parse_runs(text(lines))
    assert found.latency_ms == expected.latency_ms
    assert found.benchmark.model == "a b.tflite"
    assert found.benchmark.blocks == expected.benchmark.blocks


@pytest.mark.parametrize(
    "row",
    [
        "I0000 00:00:1776763095.992481   21214 delegate_kernel.cc:285] " + MESSAGE,
        "I1128 10:00:00.123456 12345 tool.cc:12] " + MESSAGE,
        "INFO: [benchmark_litert_model.cc:201] " + MESSAGE,
        "06-08 12:09:32.317 I litert        : [environment.cc:30] " + MESSAGE,
        "E tflite : " + MESSAGE,
    ],
)
def test_prefixes_of_logging_libraries(row: str) -> None:
    assert read_lines(row)[0].text == MESSAGE


@pytest.mark.parametrize(
    "row", ["count=3 first=1 curr=1", "Graph: [a > b.tflite]", "Use gpu : [1]", "1.2.3"]
)
def test_the_tools_own_words_are_left_alone(row: str) -> None:
    assert read_lines(row)[0].text == row


def test_a_megabyte_in_a_line_is_read_in_passing() -> None:
    """Not timed: a pattern whose time grows with the square would not end within a test run."""
    words = ["x", " ", "a:", "--a=b ", "node(s) with delegate (", "(a, ", "> ", "avg=1 ", "1% "]
    long = [(word * 1_000_000)[:1_000_000] for word in words]
    [found] = parse_runs(text(rows("a.tflite"), long))
    assert found.latency_ms == 20.0
    assert found.failure is None


def test_odd_numbers_of_logcat_and_nnapi_are_no_traceback() -> None:
    lines = [
        "01-02 03:04:05.678  77  77 I M: findBestDeviceForEachOperation(ADD) = 0 (dsp)",
        "01-02 03:04:05.678  77  77 I chatty  : uid=2000 tool identical 999999999 lines",
        "01-02 03:04:05.678  77  77 I M: findBestDeviceForEachOperation(ADD) = " + "9" * 5000,
        "01-02 03:04:05.678  77  77 I M: Capab {.type = FLOAT32, .info = {.execTime = 1.2.3, "
        ".powerUsage = 0.1}}",
    ]
    [found] = parse_runs(text(lines))
    assert found.nnapi.capabilities == ()
    assert found.lost_lines > 900_000_000
    assert {row.op for row in found.nnapi.placement} == {"ADD"}
