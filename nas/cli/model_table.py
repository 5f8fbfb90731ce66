"""Lays out networks with their figures for any width: a table, or a paragraph for each network."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nas.cli.console import out, plain, table
from nas.cli.fitted_table import LEAST, fill_parts

_GAP = "  "


@final
@dataclass(frozen=True)
class ModelTable:
    """Networks, one a row: figures that are always shown, further ones, and a text.

    `figures` and `further` hold a cell for each network by the column's heading; `words` is the
    text of each, with the heading `heading`. Columns named in `left` are justified to the left.
    """

    figures: Mapping[str, Sequence[str]]
    words: Sequence[str]
    heading: str = "network"
    further: Mapping[str, Sequence[str]] = field(default_factory=dict)
    left: frozenset[str] = frozenset()

    def laid_out(self, width: int) -> RenderableType:
        """Return the layout for `width` columns; none leaves out a figure or cuts a text.

        Further figures are there where no text has to be broken for them. In a narrower terminal
        texts are broken between words, then stand beneath the figures; in the narrowest a network
        is two paragraphs.
        """
        longest = max((len(text) for text in self.words), default=0)
        room = width - sum(_whole(head, cells) for head, cells in self.figures.items())
        if longest <= room:
            return self._table(dict(self._with_further(room - longest)), 0)
        # a label's first word is never broken
        if room >= max([LEAST, *(len(text.partition(" ")[0]) for text in self.words)]):
            return self._table(self.figures, room)
        widths = [_broken(head, cells) for head, cells in self.figures.items()]
        if sum(widths) + len(_GAP) * (len(widths) - 1) <= width:
            return self._stacked(widths, width)
        return Text("\n".join(self._paragraphs(width)))

    def _with_further(self, room: int) -> Iterator[tuple[str, Sequence[str]]]:
        yield from self.figures.items()
        for head, cells in self.further.items():
            room -= _whole(head, cells)
            if room >= 0:
                yield head, cells

    def _table(self, columns: Mapping[str, Sequence[str]], room: int) -> Table:
        """Build a table; texts are broken at `room` columns, at none where that is 0."""
        sides = {head: "left" if head in self.left else "right" for head in columns}
        cells = [[plain(cell) for cell in column] for column in (*columns.values(), self.words)]
        rows = [list(row) for row in zip(*cells, strict=True)]
        widths = [*(None for _ in columns), room or None]
        return table("", {**sides, self.heading: "left"}, rows).grid(widths)

    def _stacked(self, widths: Sequence[int], width: int) -> Text:
        """Return rows of figures under headings of several lines, with each text beneath."""
        heads = [textwrap.wrap(*one) for one in zip(self.figures, widths, strict=True)]
        tallest = max(map(len, heads))
        shown = Text()
        for line in zip(*([""] * (tallest - len(head)) + head for head in heads), strict=True):
            shown.append(self._line(line, widths) + "\n", "bold")
        for *cells, words in zip(*self.figures.values(), self.words, strict=True):
            shown.append(self._line(cells, widths) + "\n" + _beneath(words, width) + "\n")
        shown.rstrip()
        return shown

    def _line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        sides = (str.ljust if head in self.left else str.rjust for head in self.figures)
        padded = (pad(cell, wide) for pad, cell, wide in zip(sides, cells, widths, strict=True))
        return _GAP.join(padded).rstrip()

    def _paragraphs(self, width: int) -> Iterator[str]:
        """Yield two paragraphs for each network: the figures that it has by name, and its text."""
        for *cells, words in zip(*self.figures.values(), self.words, strict=True):
            known = zip(self.figures, cells, strict=True)
            named = (f"{head} {cell}" for head, cell in known if cell != "-")
            yield fill_parts([*named], width)
            yield _beneath(words, width)


def print_models(models: ModelTable) -> None:
    """Print networks as wide as the terminal is; 80 columns, or $COLUMNS, where there is none."""
    out.print(models.laid_out(out.width), soft_wrap=False)


def _beneath(words: str, width: int) -> str:
    return textwrap.fill(
        words, width, initial_indent=_GAP, subsequent_indent=_GAP, break_on_hyphens=False
    )


def _whole(head: str, cells: Sequence[str]) -> int:
    """Return a column's width with the gap after it."""
    return max(len(head), *map(len, cells), 0) + len(_GAP)


def _broken(head: str, cells: Sequence[str]) -> int:
    """Return the width where the heading is broken between words."""
    return max(*map(len, head.split()), *map(len, cells), 0)
