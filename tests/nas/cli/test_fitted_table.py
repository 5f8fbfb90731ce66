"""Tables at several widths: what is cut tells nothing."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from nas.cli.fitted_table import FittedTable, fill_parts

COLUMNS = {"device": "left", "state": "left", "chip": "left", "ms": "right"}
ROWS = [
    ["npu:sm8850", "ready", "Snapdragon 8 Elite Gen 5", "1.25"],
    ["host", "", "Intel(R) Xeon(R)", "[red]107[/red]"],
]


def _shown(table: FittedTable, width: int) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width, no_color=True).print(table)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_where_there_is_room_a_row_is_a_line() -> None:
    assert _shown(FittedTable("Devices", COLUMNS, ROWS), 49) == [
        "Devices",
        "device      state  chip                        ms",
        "npu:sm8850  ready  Snapdragon 8 Elite Gen 5  1.25",
        "host               Intel(R) Xeon(R)           107",
    ]


def test_cells_are_broken_between_words_into_two_lines() -> None:
    assert _shown(FittedTable("", COLUMNS, ROWS), 44) == [
        "device      state  chip                   ms",
        "npu:sm8850  ready  Snapdragon 8 Elite   1.25",
        "                   Gen 5",
        "host               Intel(R) Xeon(R)      107",
    ]


def test_in_a_narrow_terminal_a_row_is_a_paragraph() -> None:
    assert _shown(FittedTable("", COLUMNS, ROWS), 32) == [
        "npu:sm8850",
        "  state ready,",
        "  chip Snapdragon 8 Elite Gen 5,",
        "  ms 1.25",
        "host",
        "  chip Intel(R) Xeon(R), ms 107",
    ]


def test_a_text_at_the_end_has_the_room_that_is_left() -> None:
    table = FittedTable("", {"name": "left", "what": "left"}, [["a", "some words " * 6]])
    wide, narrow = _shown(table, 40), _shown(table, 20)
    assert wide[1].startswith("a     some words")
    assert len(wide) == 3
    assert narrow[:2] == ["a", "  some words some"]
    for lines in (wide, narrow):
        assert " ".join(lines).count("some") == 6


@pytest.mark.parametrize("width", range(12, 60))
def test_no_width_loses_a_word(width: int) -> None:
    table = FittedTable("A title", COLUMNS, ROWS)
    lines = _shown(table, width)
    assert max(map(len, lines)) <= width
    text = " ".join(lines)
    for word in ("npu:sm8850", "Snapdragon", "Elite", "Xeon(R)", "1.25", "107"):
        assert word in text


def test_no_rows_are_a_head() -> None:
    assert _shown(FittedTable("", {"a": "left", "b": "right"}, []), 30) == ["a  b"]


def test_a_part_stays_whole_where_a_line_can_hold_it() -> None:
    assert fill_parts(["ms host 1.5", "worst ratio 2"], 20) == "ms host 1.5,\n  worst ratio 2"
