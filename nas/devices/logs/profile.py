"""Reading the operation profile that benchmark tools print, by tabs, commas or spaces.

Columns are found by their headings: tools differ in which ones they print. A row is a type of one
or more words, a number for each column in the middle, and a name of one or more words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

_TITLE = re.compile(r"^={3,} ?([^=]{1,80}?) ?={3,}$")
_DELEGATE_NODE = re.compile(
    r"Delegate$|Delegate\w{1,40}$|^LITERT_|^Tf[Ll]ite\w{1,40}Kernel$|^DISPATCH_OP"
)
_NUMBER = re.compile(r"-?\d{1,18}(?:\.\d{1,18})?(?:e[+-]?\d{1,3})?%?$|-?nan%?$|-?inf%?$")
_NO_NAME = re.compile(r"^(?:\d{1,6}-)?\[(?:Builtin|Delegate)\]$")
_INSIDE = ("Delegate/", "[Delegate]")
_SECTION = re.compile(
    r"^(?:(?P<start>Profiling Info for Benchmark Initialization)"
    r"|(?P<main>Operator-wise Profiling Info for Regular|Primary graph\b.{0,400}profile:)"
    r"|(?P<other>Subgraph \(index: \d{1,6}.{0,400}profile:|Delegate internal:|Delegate Statistics))"
)
_SEPARATORS = (re.compile(r"[^\t]+"), re.compile(r"[^,]+"), re.compile(r"\S+"))
_NO_NODES = ("ModifyGraphWithDelegate", "AllocateTensors", "Invoke")
_END = re.compile(r"^(?:Number of nodes executed|Timings \(micro|Memory \(bytes|\d{1,9} nodes obs)")


@dataclass(frozen=True)
class ProfileRow:
    """One node of the execution plan in run order.

    `node` is its index among the `.tflite`'s operations (a delegate's node is numbered after
    them); None where the tool prints no index, and for what runs `inside` a delegate's node: a
    delegate counts its own operations from 0. `calls` is how often the tool saw the row, in all
    runs; rows of equal type and index are one to it, which `average_ms` is the mean of.
    """

    node_type: str
    average_ms: float
    name: str
    node: int | None
    inside: bool = False
    calls: int = field(default=1, compare=False)

    @property
    def is_delegate(self) -> bool:
        """Whether the row is a partition that a delegate runs."""
        return not self.inside and bool(_DELEGATE_NODE.search(self.node_type[:200]))

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON types."""
        row: dict[str, Any] = {"node_type": self.node_type, "average_ms": self.average_ms}
        row |= {"name": self.name, "node": self.node}
        return row | ({"inside_delegate": True} if self.inside else {})


@dataclass(frozen=True)
class Profile:
    """The profile of the timed runs of the main graph; `unread` are lines of it that are no rows.

    `summary` tells how many nodes of each type ran.
    """

    rows: tuple[ProfileRow, ...] = ()
    summary: tuple[tuple[str, int], ...] = ()
    unread: tuple[str, ...] = ()


def read_profile(texts: Sequence[str]) -> Profile:
    """Read the last "Run Order" and "Summary by node type" tables of the timed runs.

    Tables of the initialisation, of other subgraphs (which number their own nodes) and of a
    delegate's inside are passed over.
    """
    rows: tuple[ProfileRow, ...] = ()
    summary: tuple[tuple[str, int], ...] = ()
    unread: tuple[str, ...] = ()
    for title, columns, cells, bad in _tables(texts):
        if title == "run order" or (title == "untitled" and not rows):
            nodes = tuple(row for values in cells if (row := _row(columns, values)) is not None)
            rows, unread = (nodes or rows), bad
        elif title == "summary by node type":
            counts = tuple((values[0], int(values[1])) for values in cells if values[1].isdigit())
            summary, unread = (counts or summary), (*unread, *bad)
    return Profile(rows, summary, unread)


def _tables(
    texts: Sequence[str],
) -> Iterator[tuple[str, list[str], list[list[str]], tuple[str, ...]]]:
    """Yield each table of the main graph: title, columns, rows' cells, and lines without cells."""
    title, wanted, number = "", True, 0
    while number < len(texts):
        text = texts[number]
        number += 1
        if match := _SECTION.match(text):
            wanted, title = match["main"] is not None, ""
        elif match := _TITLE.match(text):
            title = match[1].strip().lower()
        elif columns := _columns(text):
            stop = _end(texts, number, columns)
            kind = title or ("untitled" if columns[-1] == "name" else "summary by node type")
            if wanted:
                yield kind, columns, *_cells(texts[number:stop], columns)
            number, title = stop, ""


def _columns(text: str) -> list[str]:
    """Return the column names of a heading; empty for any other line."""
    low = text[:400].lower()
    if not ("node type" in low and ("avg ms" in low or "avg_ms" in low)):
        return []
    names = re.findall(r"\[([^\]]{1,40})\]", text) or text.split(",")
    columns = [name.strip().lower().replace("_", "").replace(" ", "") for name in names]
    return columns if columns[0] == "nodetype" and "avgms" in columns else []


def _end(texts: Sequence[str], start: int, columns: list[str]) -> int:
    """Find a table's end: a title, a known line, or a blank one that no further row follows."""
    for number in range(start, len(texts)):
        text = texts[number]
        if _TITLE.match(text) or _SECTION.match(text) or _END.match(text) or _columns(text):
            return number
        if not text:
            following = next((later for later in texts[number + 1 : number + 3] if later), "")
            if _split(following, columns) is None:
                return number
    return len(texts)


def _cells(texts: Sequence[str], columns: list[str]) -> tuple[list[list[str]], tuple[str, ...]]:
    rows, unread = [], []
    for text in texts:
        cells = _split(text, columns)
        if cells is not None:
            rows.append(cells)
        elif text:
            unread.append(text)
    return rows, tuple(unread)


def _split(text: str, columns: list[str]) -> list[str] | None:
    """Split a row into cells, one a column; None where the line is no row of the table.

    The numbers in the middle tell where the type ends and the name begins: both may have several
    words, and commas.
    """
    for separator in _SEPARATORS:
        pieces = [match.span() for match in separator.finditer(text)]
        cells = _fitted(text, pieces, columns)
        if cells is not None:
            return cells
    return None


def _fitted(text: str, pieces: list[tuple[int, int]], columns: list[str]) -> list[str] | None:
    """Find the pieces that are the numbers of the middle columns; returns the cells, or None."""
    named = columns[-1] == "name"
    middle = columns[1:-1] if named else columns[1:]
    words = [text[start:stop].strip() for start, stop in pieces]
    for first in range(1, len(words) - len(middle) + 1):
        stop = first + len(middle)
        if _fits(words[first:stop], middle):
            kind = text[: pieces[first - 1][1]].strip()
            name = [text[pieces[stop - 1][1] :].strip(" \t,")] if named else []
            return [kind, *words[first:stop], *name]
    return None


def _fits(words: list[str], columns: list[str]) -> bool:
    """Whether the words are the numbers of these columns, shares with a percent sign."""
    return all(
        _NUMBER.match(word[:60]) is not None
        and ("%" not in column or word.endswith("%"))
        and ("%" in column or not word.endswith("%"))
        for word, column in zip(words, columns, strict=True)
    )


def _row(columns: list[str], cells: list[str]) -> ProfileRow | None:
    """Make a row of its cells; None for the runtime's own steps, which are no nodes."""
    values = dict(zip(columns, cells, strict=True))
    kind, name = values["nodetype"], values.get("name", "")
    if kind in _NO_NODES:
        return None
    head, colon, tail = name.rpartition(":")
    index = int(tail) if colon and tail.isdecimal() and len(tail) < 10 else None
    name = head if index is not None else name
    inside = name.startswith(_INSIDE)
    if _NO_NAME.match(name[:40]):
        name = ""
    return ProfileRow(
        kind,
        float(values["avgms"].rstrip("%")),
        name.strip("[]"),
        None if inside else index,
        inside,
        int(calls) if (calls := values.get("timescalled", "")).isdigit() else 1,
    )
