"""The page of JSON documents: what commands print under `--json`, and what files hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, get_args, get_origin

from documentation.reference.text import docstring, table

INTRODUCTION = """\
# JSON

`--json` prints one document on standard output and nothing else. Names have their unit
(`latency_ms`), times are seconds or milliseconds, a figure that is not known is `null`, and no value is
NaN.

## The envelope
Every command prints the same envelope:

```json
{"format": 1, "kind": "pareto", "data": {}}
```

`kind` is the command's name, `data-check` for `nas data check`. Where a command fails there is no `data`,
but `error`, with `kind` (the error's class), `message` (its line), `exit_code` and `details` (such as a
phone's failure with its class and code). The exit code is the same as without `--json`. `nas schema KIND`
prints the JSON Schema; the project's tests hold every command to it.
"""
# What the documents' entries mean, by document. A test compares the names with real documents.
ENTRIES: dict[str, dict[str, str]] = {
    "A model, as `nas pareto RUN --json` lists it in `models`": {
        "key": "12 hexadecimal digits that are equal exactly where candidates are",
        "label": "the network's short name",
        "trial": "the trial's number",
        "architecture": "the network as a value; `family` says which kind",
        "precision": "`float`, `int8-ptq`, `int8-qat` or `int16-ptq`",
        "baseline": "whether it is one of the study's baselines",
        "psnr_db": "PSNR of the file, in dB",
        "psnr_db_interval": "where the mean over seeds lies: lowest, highest",
        "psnr_db_input": "PSNR of the pictures before restoration",
        "ssim": "SSIM of the file",
        "gmacs": "as `gmacs_conv`",
        "gmacs_conv": "10^9 MACs, convolutions alone",
        "gmacs_profiler": "10^9 MACs, as TensorFlow's profiler counts",
        "parameters": "number of weights",
        "bytes": "size of the file",
        "latency_ms": "by device",
        "latency_interval_ms": "by device: lowest, highest",
        "taken_on_busy_processor": "by device: who else had the processor, or null",
        "artifact": "the `.tflite`",
        "sources": "by figure: measured, simulated, computed, published, modelled or synthetic",
        "definitions": "by figure: its recipe",
    },
    "A trial, `trials/NNNNN/result.json`": {
        "format": "the version of this layout",
        "number": "the trial's number",
        "key": "the candidate's key",
        "label": "the network's short name",
        "candidate": "`architecture` and `compression` as values",
        "state": "complete, infeasible, failed or stopped",
        "parameters": "Optuna's parameters",
        "metrics": "by figure: value, source, definition, interval, conditions",
        "violations": "by constraint: how far beyond, as a share of the bound; fine where <= 0",
        "failure": "`kind` and `message`, or null",
        "artifact": "the `.tflite`, below the run's folder",
        "weights": "the float weights, below the run's folder",
        "baseline": "whether it is one of the study's baselines",
        "timings_s": "seconds by stage",
        "conditions": "versions, data, schedule, placement by device",
    },
    "A model's card, `card.json` of `nas export`": {
        "format": "the version of this layout",
        "key": "the candidate's key",
        "label": "the network's short name",
        "trial": "the trial's number",
        "candidate": "`architecture` and `compression` as values",
        "metrics": "by figure: value, source, definition, interval, conditions",
        "rescored": "the PSNR that the exported file scored, and how near it had to be",
        "devices": "by device: its name, chip, Android and the benchmark tool's SHA-256",
        "constraints": "by constraint: how far beyond",
        "size": "width and height that the file takes",
        "data": "the data set, its split and its identity",
        "schedule": "how it was trained",
        "study": "name, seed and date of the search",
        "conditions": "versions and machine",
        "files": "by file: SHA-256 and bytes",
    },
    "Restored photographs, `restore.json`": {
        "photo": "the photograph that was given",
        "photo_sha256": "its checksum",
        "file": "the restored file",
        "size": "width and height",
        "fitting": "how it was fitted to the model's size",
        "tiles": "how often the model ran",
        "seam_levels": "the largest difference of two tiles where they meet, of 255; null: no seam",
        "seconds": "how long it took, with whatever else ran",
    },
}


def page() -> str:
    """Return the page's Markdown."""
    from documentation.reference.study_fields import section
    from nas.cli.documents import KINDS
    from nas.devices.measurement import Measurement

    rows = [(f"`{kind}`", _of(kind), _about(kind)) for kind in KINDS]
    parts = [INTRODUCTION, "## The kinds", table(("Kind", "Data", "What it is"), rows)]
    for title, entries in ENTRIES.items():
        rows = [(f"`{name}`", words) for name, words in entries.items()]
        parts += [f"## {title}", table(("Entry", "Meaning"), rows)]
    measured = section(Measurement).partition("\n\n")[2]
    parts += ["## A measurement, as `nas measure MODEL --json` prints it", measured]
    return "\n\n".join(parts) + "\n"


def _classes(kind: str) -> tuple[Any, ...]:
    from nas.cli.documents import KINDS

    return tuple(_members(KINDS[kind]))


def _members(type_: Any) -> Iterator[Any]:
    """Yield the classes that a list or a union, or both, is made of."""
    inner = get_args(type_)
    if not inner:
        yield type_
    for one in inner:
        yield from _members(one)


def _of(kind: str) -> str:
    """Say whether a kind's data is an object or a list, and name its fields."""
    from nas.cli.documents import KINDS

    names = [
        f"`{field.name}`"
        for field in dict.fromkeys(field for one in _classes(kind) for field in fields(one))
    ]
    listed = "a list of objects with " if get_origin(KINDS[kind]) is list else ""
    return listed + ", ".join(dict.fromkeys(names))


def _about(kind: str) -> str:
    return " ".join(docstring(one).split("\n\n")[0] for one in _classes(kind))
