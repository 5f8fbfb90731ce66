"""Options that several commands share."""

from __future__ import annotations

import os
from typing import Annotated

import typer


def use_limits(values: list[str] | None) -> list[str] | None:
    """Have phones judged by these limits, in this process and in those that it starts.

    Raises ConfigError on an unknown name or a value that makes no sense.
    """
    if values:
        from nas.devices.phone.fitness import LIMITS_VARIABLE, Limits

        Limits.parse(values)
        given = os.environ.get(LIMITS_VARIABLE, "")
        os.environ[LIMITS_VARIABLE] = ",".join(filter(None, [given, *values]))
    return values


JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document.")]
DelegateOption = Annotated[
    str | None,
    typer.Option(help="On phones: nnapi[:NAME], gpu, cpu, hexagon, external:LIBRARY, npu."),
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
StorageOption = Annotated[
    str | None,
    typer.Option(help="Keep the study in a database: postgresql://USER@HOST/DATABASE."),
]
ArtifactsOption = Annotated[
    str | None,
    typer.Option(help="Copy finished trials to object storage: s3://BUCKET/PREFIX, ..."),
]
