import io
import json

import pytest
from rich.console import Console
from rich.text import Text

from nas.cli import console
from nas.cli.console import (
    begin_json,
    emit_error,
    emit_json,
    note,
    plain,
    print_csv,
    table,
)


def test_json_is_one_document_and_refuses_what_json_has_not(capsys) -> None:
    emit_json("measure", {"ms": [1.5, None]})
    envelope = {"format": 1, "kind": "measure", "data": {"ms": [1.5, None]}}
    assert json.loads(capsys.readouterr().out) == envelope
    with pytest.raises(ValueError, match="not JSON compliant"):
        emit_json("measure", {"ms": float("nan")})
    assert capsys.readouterr().out == ""


def test_an_error_is_a_document_only_where_no_result_was_printed(capsys) -> None:
    begin_json()
    emit_error("measure", {"kind": "DeviceError"})
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"format": 1, "kind": "measure", "error": {"kind": "DeviceError"}}
    begin_json()
    emit_json("measure", {})
    emit_error("measure", {"kind": "DeviceError"})
    assert "error" not in json.loads(capsys.readouterr().out)


def test_rows_are_csv_with_a_head(capsys) -> None:
    print_csv([{"a": 1, "b, c": None}, {"a": 'say "x"', "b, c": 2.5}])
    assert capsys.readouterr().out == 'a,"b, c"\n1,\n"say ""x""",2.5\n'
    print_csv([])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("width", [40, 80])
def test_a_note_is_broken_between_words(monkeypatch, width: int) -> None:
    stream = io.StringIO()
    terminal = Console(file=stream, width=width, force_terminal=True, no_color=True)
    monkeypatch.setattr(console, "err", terminal)
    text = "From seed to seed PSNR deviates by 0.21 dB [95 %]; 3 networks trained again. " * 3
    note(text)
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert " ".join(" ".join(lines).split()) == text.strip()
    whole = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=whole, width=width))
    note(text)
    assert len(whole.getvalue().splitlines()) == 1


def test_plain_text_keeps_its_brackets() -> None:
    text = "latency_ms[host] is [bold]not[/] below"
    assert Text.from_markup(plain(text)).plain == text


def test_a_table_aligns_its_columns() -> None:
    console = Console(width=40)
    with console.capture() as capture:
        console.print(table("T", {"name": "left", "ms": "right"}, [["a", "1.0"], ["b", "12.0"]]))
    lines = [line.rstrip() for line in capture.get().splitlines()]
    assert lines == ["T", "name    ms", "a      1.0", "b     12.0"]
