"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, cast, get_args

import typer

from nas.cli import complete
from nas.errors import ConfigError, unknown

Format = Literal["table", "csv", "json"]


def parse_size(text: str) -> tuple[int, int]:
    """Read (width, height) in pixels from "WxH"; raise ConfigError on anything else."""
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise ConfigError(f"size {text!r}: expected WIDTHxHEIGHT in pixels, for example 1280x720")
    return int(width), int(height)


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


def chosen_format(format_: str, json_: bool) -> Format:
    """Return the form of the output that --format and --json ask for.

    Raises ConfigError on an unknown one, and where the two disagree.
    """
    if format_ not in get_args(Format):
        raise unknown("format", format_, get_args(Format))
    if json_ and format_ == "csv":
        raise ConfigError("--json and --format csv: give one of them")
    return "json" if json_ else cast("Format", format_)


RunArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", help="A run's folder.", show_default=False, autocompletion=complete.runs
    ),
]
FormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        help="table, csv or json.",
        autocompletion=lambda incomplete: [f for f in get_args(Format) if f.startswith(incomplete)],
    ),
]
StudyArgument = Annotated[
    str,
    typer.Argument(
        metavar="STUDY",
        help="A name (see `nas studies`) or a .py file.",
        autocompletion=complete.studies,
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        help="photos | reds:PATH | gopro:PATH,blur | pairs:BLURRED,SHARP",
        autocompletion=complete.data_sets,
    ),
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
        "--npu-libraries",
        exists=True,
        file_okay=False,
        help="On phones: a folder here with the NPU's, or GPU's, libraries.",
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
