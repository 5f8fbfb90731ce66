import json

import pytest
from rich.console import Console
from rich.text import Text

from nas.cli.console import emit_json, plain, table


def test_json_is_one_document_and_refuses_what_json_has_not(capsys) -> None:
    emit_json({"ms": [1.5, None]})
    assert json.loads(capsys.readouterr().out) == {"ms": [1.5, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        emit_json({"ms": float("nan")})
    assert capsys.readouterr().out == ""


def test_plain_text_keeps_its_brackets() -> None:
    text = "latency_ms[host] is [bold]not[/] below"
    assert Text.from_markup(plain(text)).plain == text


def test_a_table_aligns_its_columns() -> None:
    console = Console(width=40)
    with console.capture() as capture:
        console.print(table("T", {"name": "left", "ms": "right"}, [["a", "1.0"], ["b", "12.0"]]))
    lines = [line.rstrip() for line in capture.get().splitlines()]
    assert lines == ["T", "name    ms", "a      1.0", "b     12.0"]
