"""The failure of a run, classified by its messages and its exit code; the first match wins."""

from __future__ import annotations

import re

from nas.devices.failures import DeviceFailure, FailureClass
from nas.devices.logs.benchmark_log import BenchmarkLog
from nas.devices.logs.delegation import is_plain
from nas.devices.logs.endings import (
    DRIVER_DIED,
    ENDINGS,
    EXITS,
    NNAPI_ERROR,
    PROCESS_DIED,
    Ending,
)
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
_NNAPI = re.compile(r"NN API returned error (\w{1,80}) at line (\d{1,9}) while (.{1,200}?)\.?\s*$")
_NAMED = re.compile(r"(ANEURALNETWORKS_(?!NO_ERROR)[A-Z_]{1,80})")
_DRIVER = re.compile(
    r"hardware\.neuralnetworks|neuralnetworks@|nn-?hal|qnn|htp|hexagon|\b[ac]dsp|neuron|edgetpu"
    r"|armnn|liteadaptor",
    re.IGNORECASE,
)
"""What NNAPI's drivers call themselves, in a line's tag or its text."""
_OWN = ("timeout", "oom", "crash")
_LONGEST = 4000


def classify(
    lines: list[Line],
    exit_code: int | None = None,
    pid: int | None = None,
    on_cpu: bool = False,
) -> DeviceFailure | None:
    """Find the failure that the messages and the exit code show; None where they show none.

    In a logcat of several processes, a crash or a kill counts only where it is that of `pid`; of
    all else that other processes say, only the death of NNAPI's driver counts. `on_cpu`: a plain
    CPU run came to its results, so that a delegate's refusal did not stop it.
    """
    by_exit = EXITS.get(exit_code) if exit_code is not None else None
    for ending in ENDINGS:
        if ending.soft and on_cpu:
            continue
        number = _first(lines, ending, pid)
        if number is not None or ending.failure_class == by_exit:
            code, phase = _nnapi_result(lines)
            detail = f"exit code {exit_code}" if number is None else _detail(lines, number, ending)
            return DeviceFailure(ending.failure_class, detail, code, phase)
    return None


def _first(lines: list[Line], ending: Ending, pid: int | None) -> int | None:
    """Find the number of the first line that shows an ending; None where no line does."""
    for number, line in enumerate(lines):
        if ending.pattern.search(line.text[:_LONGEST]) and _counts(line, ending.failure_class, pid):
            return number
    return None


def _detail(lines: list[Line], number: int, ending: Ending) -> str:
    """Return the line that shows the ending, with the cause that stands before it."""
    text = lines[number].text[:_LONGEST].strip()
    if ending.follow:
        before = next((line for line in reversed(lines[:number]) if line.text), None)
        if before is not None and before.level in ("E", "F"):
            text = f"{before.text[:_LONGEST].strip().rstrip('.')}. {text}"
    elif ending.failure_class == "op_refused":
        node = re.compile(r"Node number \d{1,9} \(([^)]{1,200})\) failed to prepare")
        later = (node.search(line.text[:_LONGEST]) for line in lines[number : number + 5])
        names = [match[1] for match in later if match]
        if names and names[0] not in text:
            text = f"{names[0]}: {text}"
    return text


def _counts(line: Line, failure_class: FailureClass, pid: int | None) -> bool:
    """Whether a line may show this failure of the process `pid`; with None, any line may."""
    if pid is None or line.pid in (None, pid):
        return True
    if failure_class in _OWN:
        return re.search(rf"\b{pid}\b|benchmark", line.text) is not None
    return failure_class == "driver_crash" and _of_driver(line)


def _of_driver(line: Line) -> bool:
    return _DRIVER.search(f"{line.tag}: {line.text}") is not None


def driver_death(lines: list[Line], pid: int) -> Line | None:
    """Find the line of the phone's log that shows the death of NNAPI's driver; None without one.

    The line that tells a process's own crash seldom names it, so its other lines tell what it is.
    """
    others = [line for line in lines if line.pid not in (None, pid)]
    drivers = {line.pid for line in others if _of_driver(line)}
    for line in others:
        if DRIVER_DIED.search(line.text) and _of_driver(line):
            return line
        if PROCESS_DIED.search(line.text) and line.pid in drivers:
            return line
    return None


def _nnapi_result(lines: list[Line]) -> tuple[str | None, str | None]:
    """Find NNAPI's code and phase in the first line that names them."""
    texts = [line.text for line in lines if "NN API returned error" in line.text]
    for text in texts:
        if match := _NNAPI.search(text):
            return _code(match[1]), match[3]
    for text in texts:
        if match := NNAPI_ERROR.search(text):
            return _code(match[1]), None
    return None, None


def _code(text: str) -> str:
    if text.isdigit() and len(text) < 10:
        return f"ANEURALNETWORKS_{CODES.get(int(text), text)}"
    match = _NAMED.match(text)
    return match[1] if match else text


def unparsable(lines: list[Line], exit_code: int | None) -> DeviceFailure:
    """Return the failure of a run without any figure; its detail holds the last lines."""
    words = [line.text.strip() for line in lines if line.text.strip()]
    last = " / ".join(words[-3:])[-300:] if words else "no output at all"
    code = "" if exit_code is None else f"exit code {exit_code}, "
    return DeviceFailure("unparsable", f"{code}last lines: {last}")


def _silent(log: BenchmarkLog) -> DeviceFailure | None:
    """Find the failure of a CompiledModel tool that ended in its set-up without a reason.

    Builds for users print no reason there, so how far it came has to tell.
    """
    if log.generation != "compiled-model" or not log.loaded or log.init_ms is not None:
        return None
    if not log.built:
        return DeviceFailure("model_unreadable", f"the tool could not load {log.model}")
    asked = [kind for kind in log.asked if kind != "cpu"]
    if not asked:
        return None
    seen = [*log.facts.reasons[:1], *map(str, log.replaced)]
    detail = f"{' and '.join(asked)} did not take the whole graph, and the tool gave up"
    return DeviceFailure("delegate_refused", f"{detail}: {', '.join(seen)}" if seen else detail)


def failure_of(
    log: BenchmarkLog, lines: list[Line], exit_code: int | None = None, pid: int | None = None
) -> DeviceFailure | None:
    """Find the failure of one run, apart from what its delegates took; None where there is none.

    A failing inference still prints figures, so an exit code other than 0 is always a failure. With
    `exit_code` None (a saved log) silence is not: an excerpt may end before the numbers.
    """
    on_cpu = is_plain(log) and log.finished and not log.failed and exit_code in (None, 0)
    failure = classify(lines, exit_code, pid, on_cpu)
    if failure is not None:
        return failure
    if log.failed or exit_code not in (None, 0):
        return _silent(log) or unparsable(lines, exit_code)
    if exit_code == 0 and (log.timed is None or log.timed.count < 1):
        return unparsable(lines, exit_code)
    return None
