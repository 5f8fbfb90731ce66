"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

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
StorageOption = Annotated[
    str | None,
    typer.Option(help="Keep the study in a database: postgresql://USER@HOST/DATABASE."),
]
ArtifactsOption = Annotated[
    str | None,
    typer.Option(help="Copy finished trials to object storage: s3://BUCKET/PREFIX, ..."),
]
