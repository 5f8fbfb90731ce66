"""The operation profile that the benchmark tool prints: a TAB table, or comma separated values.

Columns are found by their headings: tools differ in which ones they print.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_TITLE = re.compile(r"^=+ (.+?) =+$")
_NAME = re.compile(r"^(.*?)(?::(\d+))?$")
_DELEGATE_NODE = re.compile(r"Delegate|^LITERT_|^Tf[Ll]ite.*Kernel$")


@dataclass(frozen=True)
class ProfileRow:
    """One node of the execution plan in run order.

    `node` is its index among the `.tflite`'s operations (a delegate's node is numbered after
    them); None where the tool prints no index.
    """

    node_type: str
    average_ms: float
    name: str
    node: int | None

    @property
    def is_delegate(self) -> bool:
        """Whether the row is a partition that a delegate runs."""
        return bool(_DELEGATE_NODE.search(self.node_type))

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON types."""
        return {
            "node_type": self.node_type,
            "average_ms": self.average_ms,
            "name": self.name,
            "node": self.node,
        }


def read_profile(texts: list[str]) -> tuple[ProfileRow, ...]:
    """The rows of the last "Run Order" table: those of the timed runs, not of the preparation."""
    rows: list[ProfileRow] = []
    for number, text in enumerate(texts):
        match = _TITLE.match(text.strip())
        if match and match[1].strip().lower() == "run order":
            table = list(_table(texts[number + 1 :]))
            rows = table or rows
    return tuple(rows)


def _table(texts: list[str]) -> Iterator[ProfileRow]:
    columns: list[str] = []
    for text in texts:
        if not text.strip() or _TITLE.match(text.strip()):
            return
        separator = "\t" if "\t" in text else ","
        cells = _cells(text)
        if not columns:
            columns = [_heading(cell) for cell in cells]
            if "nodetype" not in columns:
                return
            continue
        row = _row(columns, cells, separator)
        if row is None:
            return
        yield row


def read_summary(texts: list[str]) -> dict[str, int]:
    """How many nodes of each type ran: the last "Summary by node type" table."""
    counts: dict[str, int] = {}
    for number, text in enumerate(texts):
        match = _TITLE.match(text.strip())
        if match and match[1].strip().lower() == "summary by node type":
            counts = dict(_counts(texts[number + 1 :])) or counts
    return counts


def _counts(texts: list[str]) -> Iterator[tuple[str, int]]:
    columns: list[str] = []
    for text in texts:
        cells = _cells(text)
        if not columns:
            columns = [_heading(cell) for cell in cells]
            continue
        values = dict(zip(columns, cells, strict=False))
        if not values.get("count", "").isdigit():
            return
        yield values.get("nodetype", ""), int(values["count"])


def _cells(text: str) -> list[str]:
    cells = [cell.strip() for cell in text.split("\t" if "\t" in text else ",")]
    return cells[1:] if "\t" in text and cells[0] == "" else cells


def _heading(cell: str) -> str:
    return cell.strip("[]").lower().replace("_", " ").replace(" ", "")


def _row(columns: list[str], cells: list[str], separator: str) -> ProfileRow | None:
    """A row, or None where the line is none (it was cut, or something was printed in between)."""
    if len(cells) < len(columns):
        return None
    head = cells[: len(columns) - 1]
    last = (separator + " " if separator == "," else "\t").join(cells[len(columns) - 1 :])
    values = dict(zip(columns, [*head, last], strict=True))
    try:
        average = float(values["avgms"].rstrip("%"))
    except (KeyError, ValueError):
        return None
    match = _NAME.match(values.get("name", ""))
    name, index = (match[1], match[2]) if match else (values.get("name", ""), None)
    return ProfileRow(values["nodetype"], average, name.strip("[]"), int(index) if index else None)
