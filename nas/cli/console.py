"""Where output goes: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

out = Console(soft_wrap=True)
err = Console(stderr=True)
_PIPE_WIDTH = 300


def plain(text: str) -> str:
    """Return `text` such that Rich prints its brackets and reads no markup in it."""
    return text.replace("[", r"\[")


def emit_json(value: Any) -> None:
    """Print one JSON document, the only thing on standard output under `--json`."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")
    sys.stdout.flush()


def table(title: str, columns: dict[str, str], rows: list[list[str]]) -> Table:
    """Build a plain table; `columns` gives each heading its justification, "left" or "right"."""
    result = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for heading, justify in columns.items():
        result.add_column(heading, justify="right" if justify == "right" else "left")
    for row in rows:
        result.add_row(*row)
    return result


def print_table(value: Table) -> None:
    """Print a table; where it does not go to a terminal, its lines are never wrapped."""
    console = out if out.is_terminal else Console(width=_PIPE_WIDTH, no_color=True)
    console.print(value, soft_wrap=False)
