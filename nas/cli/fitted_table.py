"""Tables that can be read in a terminal of any width: none cuts a cell, or breaks it in a word."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

LEAST = 24
"""Columns that a text needs beside other cells."""
_LINES = 2  # of a cell in a table, at most; the last column's texts may have more
_GAP = 2
_JOINED = "\0"  # stands for a space that no line ends at


@final
@dataclass(frozen=True)
class FittedTable:
    """A table: `columns` gives each heading its side, "left" or "right"; cells may hold markup.

    Where it is wider than the terminal, the last column's texts are broken between words, or cells
    of any column, into two lines. Where that does not do, each row is a paragraph instead: its
    first cell, then the others by their names.
    """

    title: str
    columns: Mapping[str, str]
    rows: Sequence[Sequence[str]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the title, and what fits the console."""
        if self.title:
            yield Text.from_markup(self.title, style="italic")
        widths = self._fitting(options.max_width)
        if widths is None:
            yield Text("\n".join(self._paragraphs(options.max_width)))
        else:
            yield self.grid(widths)

    def grid(self, widths: Sequence[int | None]) -> Table:
        """Return the rows in columns of these widths; None is as wide as the column's cells."""
        made = Table(box=None, pad_edge=False, header_style="bold")
        for (heading, justify), width in zip(self.columns.items(), widths, strict=True):
            side: Literal["left", "right"] = "right" if justify == "right" else "left"
            head = Text.from_markup(heading)
            made.add_column(head, justify=side, overflow="fold", width=width)
        for row in self.rows:
            made.add_row(*row)
        return made

    def _fitting(self, width: int) -> list[int] | None:
        """Return widths of the columns with which the table fits; None where there are none."""
        cells = self._cells()
        widths = [max(map(len, column), default=0) for column in cells]
        spare = width - sum(widths) - _GAP * (len(widths) - 1)
        if spare >= 0:
            return widths
        if self._ends_in_text() and widths[-1] + spare >= LEAST:
            return [*widths[:-1], widths[-1] + spare]
        words = [max(map(len, " ".join(column).split()), default=0) for column in cells]
        while spare < 0:
            wide = max(range(len(widths)), key=lambda at: (widths[at] > words[at], widths[at]))
            if widths[wide] <= words[wide]:
                return None
            widths[wide] -= 1
            spare += 1
        lines = (
            textwrap.wrap(cell, width, break_on_hyphens=False)
            for column, width in zip(cells, widths, strict=True)
            for cell in column
        )
        return widths if all(len(line) <= _LINES for line in lines) else None

    def _cells(self) -> list[list[str]]:
        """Return each column's texts, its heading first."""
        columns = zip(self.columns, *self.rows, strict=True)
        return [[Text.from_markup(cell).plain for cell in column] for column in columns]

    def _ends_in_text(self) -> bool:
        left = [*self.columns.values()][-1] == "left"
        return left and any(" " in row[-1] for row in self.rows)

    def _paragraphs(self, width: int) -> Iterator[str]:
        heads, *rows = zip(*self._cells(), strict=True)
        indent = " " * _GAP
        for row in rows:
            cells = [*row]
            yield textwrap.fill(cells[0] or heads[0], width, break_on_hyphens=False)
            text = cells.pop() if self._ends_in_text() else ""
            named = [*zip(heads, cells, strict=False)][1:]
            parts = [f"{head} {cell}".strip() for head, cell in named if cell]
            yield from (fill_parts(some, width, indent) for some in (parts, [text]) if any(some))


def fill_parts(parts: Sequence[str], width: int, indent: str = "", hanging: str = "  ") -> str:
    """Join parts by commas, broken between them; in a part only where it is wider than a line."""
    room = width - len(hanging)
    whole = [part.replace(" ", _JOINED) if len(part) < room else part for part in parts]
    text = textwrap.fill(
        ", ".join(whole), width, initial_indent=indent, subsequent_indent=hanging,
        break_on_hyphens=False,
    )  # fmt: skip
    return text.replace(_JOINED, " ")
