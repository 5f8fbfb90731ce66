"""The failure class of a run, from its messages and its exit code; the first match wins."""

from __future__ import annotations

import re

from nas.devices.failures import Failure, FailureClass
from nas.devices.logs.benchmarklog import BenchmarkLog
from nas.devices.logs.lines import Line

CODES = {
    1: "OUT_OF_MEMORY",
    2: "INCOMPLETE",
    3: "UNEXPECTED_NULL",
    4: "BAD_DATA",
    5: "OP_FAILED",
    6: "BAD_STATE",
    7: "UNMAPPABLE",
    8: "OUTPUT_INSUFFICIENT_SIZE",
    9: "UNAVAILABLE_DEVICE",
    10: "MISSED_DEADLINE_TRANSIENT",
    11: "MISSED_DEADLINE_PERSISTENT",
    12: "RESOURCE_EXHAUSTED_TRANSIENT",
    13: "RESOURCE_EXHAUSTED_PERSISTENT",
    14: "DEAD_OBJECT",
}
"""NNAPI's result codes (NeuralNetworks.h)."""
TIMEOUT_EXIT = 124
_EXITS: dict[int, FailureClass] = {
    TIMEOUT_EXIT: "timeout",
    137: "oom",
    132: "crash",
    134: "crash",
    135: "crash",
    136: "crash",
    139: "crash",
}
_NNAPI = re.compile(r"NN API returned error (\w+) at line (\d+) while (.+?)\.?\s*$")
_NNAPI_SHORT = re.compile(r"NN API returned error (\w+)")
_NAMED = re.compile(r"(ANEURALNETWORKS_(?!NO_ERROR)[A-Z_]+)")
_DRIVER_DIED = re.compile(r"DEAD_OBJECT|CDSP crashed|ADSP crashed|service .* died")
_PROCESS_DIED = re.compile(r"Fatal signal \d")
_DRIVER = re.compile(
    r"hardware\.neuralnetworks|neuralnetworks@|nn-?hal|qnn|htp|hexagon|\b[ac]dsp|neuron|edgetpu"
    r"|armnn|liteadaptor",
    re.IGNORECASE,
)
"""What NNAPI's drivers call themselves, in a line's tag or its text."""
_PATTERNS: tuple[tuple[FailureClass, re.Pattern[str]], ...] = (
    (
        "device_offline",
        re.compile(
            r"error: device offline|device '[^']*' not found|no devices/emulators found"
            r"|^(?:adb: )?error: closed|device still connecting"
        ),
    ),
    ("unauthorized", re.compile(r"device unauthorized|device still authorizing")),
    ("timeout", re.compile(r"^Terminated$|timed out after \d|killed by timeout")),
    ("storage_full", re.compile(r"No space left on device|Disk quota exceeded")),
    (
        "oom",
        re.compile(
            r"OUT_OF_MEMORY|bad_alloc|^Killed\b|^Kill '[^']*(?:benchmark|tflite)|Out of memory"
            r"|Cannot allocate memory"
        ),
    ),
    (
        "crash",
        re.compile(r"Fatal signal \d|Segmentation fault|^Aborted\b|SIGSEGV|SIGABRT|SIGBUS"),
    ),
    ("driver_crash", _DRIVER_DIED),
    ("nnapi_error", _NNAPI_SHORT),
    (
        "delegate_refused",
        re.compile(
            r"Failed to apply|failed to prepare|dynamic-sized tensors|after delegate application"
            r"|Failed to create a dispatch delegate|No usable Dispatch runtime"
            r"|(?:delegate|Delegate) (?:isn't|is not|not) supported|Couldn't create .* delegate"
        ),
    ),
    (
        "not_delegated",
        re.compile(
            r"will not be executed by the delegate|delegate is (?:explicitly )?applied,\s*$"
            r"|Created 0 \S+ delegate kernels"
        ),
    ),
    ("partially_delegated", re.compile(r"will be partially executed")),
    (
        "model_unreadable",
        re.compile(
            r"Failed to (?:load|read|mmap|build|initialize) (?:the )?model"
            r"|Failed to construct interpreter|not a valid (?:TF ?Lite|Flatbuffer|flatbuffer)"
            r"|Could not open|model identifier"
            r"|Didn't find op for builtin opcode|unresolved custom op|Failed to load model"
        ),
    ),
    (
        "bad_input",
        re.compile(
            r"number of elements overflowed|Failed to (?:resize|allocate) (?:input|tensors)"
            r"|input_layer.*(?:not|mismatch|wrong)|Size of .*mismatch|input file.*size|"
            r"Please provide .*input|doesn't match the size of the input"
        ),
    ),
)


def classify(
    lines: list[Line], exit_code: int | None = None, pid: int | None = None
) -> Failure | None:
    """The failure that the messages and the exit code tell; None where they tell none.

    In a logcat of several processes, a crash or a kill counts only where it is that of `pid`; of
    all else that other processes say, only the death of NNAPI's driver counts.
    """
    by_exit = _EXITS.get(exit_code) if exit_code is not None else None
    for failure_class, pattern in _PATTERNS:
        line = next(
            (
                line
                for line in lines
                if pattern.search(line.text) and _counts(line, failure_class, pid)
            ),
            None,
        )
        if line is None and failure_class != by_exit:
            continue
        if failure_class == "partially_delegated" and exit_code not in (None, 0):
            continue
        code, phase = _nnapi_result(lines)
        detail = line.text.strip() if line else f"exit code {exit_code}"
        return Failure(failure_class, detail, code, phase)
    return None


_OWN = ("timeout", "oom", "crash")


def _counts(line: Line, failure_class: FailureClass, pid: int | None) -> bool:
    """Whether a line may tell this failure of the process `pid`; with None, any line may."""
    if pid is None or line.pid in (None, pid):
        return True
    if failure_class in _OWN:
        return re.search(rf"\b{pid}\b|benchmark", line.text) is not None
    return failure_class == "driver_crash" and _of_driver(line)


def _of_driver(line: Line) -> bool:
    return _DRIVER.search(f"{line.tag}: {line.text}") is not None


def driver_death(lines: list[Line], pid: int) -> Line | None:
    """Where the phone's log tells that NNAPI's driver died: it runs beside the process `pid`.

    The line that tells a process's own crash seldom names it, so its other lines tell what it is.
    """
    others = [line for line in lines if line.pid not in (None, pid)]
    drivers = {line.pid for line in others if _of_driver(line)}
    for line in others:
        if _DRIVER_DIED.search(line.text) and _of_driver(line):
            return line
        if _PROCESS_DIED.search(line.text) and line.pid in drivers:
            return line
    return None


def _nnapi_result(lines: list[Line]) -> tuple[str | None, str | None]:
    """NNAPI's code and phase in the first line that names them."""
    for line in lines:
        if match := _NNAPI.search(line.text):
            return _code(match[1]), match[3]
    for line in lines:
        if match := _NNAPI_SHORT.search(line.text):
            return _code(match[1]), None
    return None, None


def _code(text: str) -> str:
    if text.isdigit():
        return f"ANEURALNETWORKS_{CODES.get(int(text), text)}"
    match = _NAMED.match(text)
    return match[1] if match else text


def unparsable(lines: list[Line], exit_code: int | None) -> Failure:
    """The failure of a run that printed nothing one can use; the last words are kept."""
    words = [line.text.strip() for line in lines if line.text.strip()]
    last = " / ".join(words[-3:])[-300:] if words else "no output at all"
    code = "" if exit_code is None else f"exit code {exit_code}, "
    return Failure("unparsable", f"{code}last lines: {last}")


def failure_of(
    found: BenchmarkLog, lines: list[Line], exit_code: int | None = None, pid: int | None = None
) -> Failure | None:
    """The failure of one run of the tool; None where its numbers may be believed.

    A failing inference still prints figures, so an exit code other than 0 is always a failure. With
    `exit_code` None (a saved log) silence is not: an excerpt may end before the numbers.
    """
    failure = classify(lines, exit_code, pid)
    if failure is not None:
        return failure
    if exit_code is None:
        return None
    if exit_code != 0 or found.timed is None or found.timed.count < 1:
        return unparsable(lines, exit_code)
    return None
