"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def use_limits(values: list[str] | None) -> list[str] | None:
    """Judge phones by these limits, in this process and in those that it starts.

    Raises ConfigError on an unknown name or a value that makes no sense.
    """
    if values:
        from nas.devices.phone.fitness import LIMITS_VARIABLE, Limits

        Limits.parse(values)
        given = os.environ.get(LIMITS_VARIABLE, "")
        os.environ[LIMITS_VARIABLE] = ",".join(filter(None, [given, *values]))
    return values


StudyArgument = Annotated[str, typer.Argument(help="A name (see `nas studies`) or a .py file.")]
DataOption = Annotated[
    str | None,
    typer.Option(help="photos | reds:PATH | gopro:PATH,blur | pairs:BLURRED,SHARP"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document.")]
DelegateOption = Annotated[
    str | None,
    typer.Option(
        help="On phones: nnapi[:NAME], gpu, cpu, hexagon, external:LIBRARY, npu. [gpu from Android "
        "15 on, before it nnapi]"
    ),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(help="On phones: fp16 or fp32, of float networks on gpu and nnapi."),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="On phones: refuse what would run on the CPU in part.")
]
LibrariesOption = Annotated[
    Path | None,
    typer.Option(
        "--npu-libraries", help="On phones: a folder here with the NPU's, or GPU's, libraries."
    ),
]
ProtocolOption = Annotated[
    str | None, typer.Option(help="On phones: robust, or paper (the paper's arguments).")
]
BinaryOption = Annotated[
    list[str] | None,
    typer.Option(help="On phones: the benchmark tool, PATH, or ABI=PATH several times."),
]
SizeOption = Annotated[
    str | None,
    typer.Option(help="WIDTHxHEIGHT, of a file that leaves its picture's size open."),
]
LimitOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        callback=use_limits,
        help="When a phone may be measured: load (a core), thermal (status), battery (percent), "
        "frequency (share), wait (seconds); repeatable.",
    ),
]
LaunchesOption = Annotated[int, typer.Option(min=1, help="Fresh processes.")]
RunsOption = Annotated[int, typer.Option(min=1, help="Timed inferences a launch.")]
ThreadsOption = Annotated[int, typer.Option(min=1, help="Threads of the interpreter.")]
LaunchSecondsOption = Annotated[float, typer.Option(min=1, help="Seconds a launch may take.")]
StorageOption = Annotated[
    str | None,
    typer.Option(help="Keep the study in a database: postgresql://USER@HOST/DATABASE."),
]
ArtifactsOption = Annotated[
    str | None,
    typer.Option(help="Copy finished trials to object storage: s3://BUCKET/PREFIX, ..."),
]
