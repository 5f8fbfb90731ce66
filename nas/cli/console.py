"""Where output goes: results to standard output, everything else to standard error."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType

if TYPE_CHECKING:
    from nas.cli.fitted_table import FittedTable

out = Console(soft_wrap=True)
err = Console(stderr=True)
_PIPE_WIDTH = 300
FORMAT = 1
"""The version of the envelope in which `--json` prints."""
_printed: list[str] = []  # the kinds of what one command printed as JSON


def note(text: str, style: str = "") -> None:
    """Print a sentence for people to standard error, its lines broken between words.

    Markup and highlighting are off. Where standard error is no terminal it stays one line.
    """
    err.print(text, style=style, markup=False, highlight=False, soft_wrap=not err.is_terminal)


def counted(amount: int, noun: str, ending: str = "s") -> str:
    """Write an amount and its noun, in the plural where it should be: "1 pair", "1,200 pairs"."""
    return f"{amount:,} {noun}{'' if amount == 1 else ending}"


def plain(text: str) -> str:
    """Return `text` such that Rich prints its brackets and reads no markup in it."""
    return text.replace("[", r"\[")


def emit_json(kind: str, data: Any) -> None:
    """Print a command's result in the envelope of `--json`; `kind` is one of `documents.KINDS`.

    It is the only thing on standard output then.
    """
    _emit({"format": FORMAT, "kind": kind, "data": data})


def emit_error(kind: str, error: Mapping[str, Any]) -> None:
    """Print why a command failed in the envelope of `--json`, unless it printed a result before."""
    if not _printed:
        _emit({"format": FORMAT, "kind": kind, "error": error})


def begin_json() -> None:
    """Forget what was printed: another command begins."""
    _printed.clear()


def _emit(envelope: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(envelope, indent=2, allow_nan=False) + "\n")
    sys.stdout.flush()
    _printed.append(str(envelope["kind"]))


def print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows of the same columns as CSV, with a line of the columns' names; nothing for none.

    A value that is not known is an empty cell.
    """
    if rows:
        writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def table(title: str, columns: dict[str, str], rows: list[list[str]]) -> FittedTable:
    """Build a plain table; `columns` gives each heading its justification, "left" or "right"."""
    from nas.cli.fitted_table import FittedTable

    return FittedTable(title, columns, rows)


def print_table(value: RenderableType) -> None:
    """Print a table as wide as the terminal.

    Where it does not go to a terminal, its lines are as wide as $COLUMNS says, or never wrapped.
    """
    fixed = out.is_terminal or "COLUMNS" in os.environ
    console = out if fixed else Console(width=_PIPE_WIDTH, no_color=True)
    console.print(value, soft_wrap=False)
