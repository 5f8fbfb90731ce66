"""The page of failures and exit codes, from the classes of errors."""

from __future__ import annotations

from documentation.reference.text import docstring, table

INTRODUCTION = """\
# Failures and exit codes

A message says what was expected, what came, where, and what to do. It is one line on standard error. A
traceback is a fault of portable-nas: please report it. This page is made from the code.

## Exit codes

`nas` ends with one of these:
"""
FURTHER = {
    0: ("", "Done."),
    1: ("", "A fault of portable-nas, with a traceback."),
    130: ("", "Interrupted by Ctrl-C; nothing finished is lost."),
    141: ("", "The program that reads the output ended first, as in `nas pareto RUN | head -3`."),
}
MEANINGS = {
    "device_offline": "the phone is not there: a cable, a restart, a lost network",
    "unauthorized": "the phone has not accepted this computer's key",
    "held": "somebody else measures on the phone",
    "timeout": "the benchmark took longer than it may",
    "throttled": "the phone stayed too hot, too busy or too low on battery",
    "storage_full": "the phone's storage is full, or can't be written",
    "tool_not_started": "the benchmark tool is missing, may not be run, or lacks a library",
    "npu_libraries": "the vendor's libraries for the NPU are missing, or of another chip or version",
    "oom": "it needs more memory than the phone has",
    "crash": "the benchmark tool crashed",
    "driver_crash": "an accelerator's driver crashed",
    "nnapi_error": "NNAPI refused the network, or failed while it ran",
    "op_refused": "the tool has no such operation, or can't prepare it",
    "invoke_failed": "an operation failed while it ran",
    "delegate_refused": "the delegate refused the network",
    "not_delegated": "it ended well, but all ran on the CPU: the number is refused",
    "partially_delegated": "a part ran on the CPU, where all of it was to run on the NPU",
    "model_unreadable": "the file can't be read as a model",
    "bad_input": "the network can't be fed",
    "unparsable": "the tool's output was not understood",
    "compiler_refused": "the vendor's compiler refused the network",
    "compiler_timeout": "the vendor's compiler took longer than it may",
    "not_simulated": "the vendor's simulator gave no latency",
}


def exit_codes() -> dict[int, list[tuple[str, str]]]:
    """Return the errors of each exit code, by name with what they mean."""
    from nas.errors import NasError

    codes: dict[int, list[tuple[str, str]]] = {code: [row] for code, row in FURTHER.items()}
    waiting = list(NasError.__subclasses__())
    while waiting:
        error = waiting.pop(0)
        if error.__module__ == "nas.errors":
            waiting += error.__subclasses__()
            row = (error.__name__, docstring(error).split("\n\n")[0])
            codes.setdefault(error.exit_code, []).append(row)
    return dict(sorted(codes.items()))


def page() -> str:
    """Return the page's Markdown."""
    from nas.devices.failures import ADVICE, FAILURE_CLASSES, RETRIED, TRANSIENT

    codes = [
        (str(code) if index == 0 else "", f"`{name}`" if name else "", words)
        for code, rows in exit_codes().items()
        for index, (name, words) in enumerate(rows)
    ]
    classes = [
        (
            f"`{name}`",
            MEANINGS.get(name, ""),
            "the phone or the moment" if name in TRANSIENT else "the network there",
            "tried again" if name in RETRIED else "told at once",
            ADVICE.get(name, ""),
        )
        for name in FAILURE_CLASSES
    ]
    parts = [
        INTRODUCTION,
        table(("Code", "Error", "Meaning"), codes),
        "## Why a device gave no latency",
        "Such a failure is a result: it is kept with the trial, and `failure.class` of a document "
        "names it. One that is about the network makes the candidate infeasible on that device.",
        table(("Class", "What happened", "It is about", "What follows", "What to do"), classes),
        "## States of a trial",
        table(
            ("State", "Meaning"),
            [
                ("`complete`", "trained, converted, scored and measured"),
                ("`infeasible`", "it broke a constraint, or a required device refused it"),
                ("`failed`", "it could not be evaluated; its `failure` says why"),
                ("`stopped`", "halving ended it early: others were better"),
            ],
        ),
    ]
    return "\n\n".join(parts) + "\n"
