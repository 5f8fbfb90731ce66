"""`nas schema` prints the JSON Schema of a command's `--json`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from nas.cli.complete import kinds
from nas.cli.console import out


def schema(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="KIND", help="A command, such as pareto or data-check.", autocompletion=kinds
        ),
    ] = None,
) -> None:
    """Print the JSON Schema of what a command prints with --json.

    Without KIND it lists the kinds.
    """
    from nas.cli.documents import KINDS, schema_of

    text = "\n".join(KINDS) if kind is None else json.dumps(schema_of(kind), indent=2)
    out.print(text, markup=False, highlight=False)
