"""Every `--json` has a kind with a schema, and a test that holds its output to it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.cli.commands import COMMANDS, asks_for_json, kind_of
from nas.cli.documents import KINDS, schema_of
from nas.errors import ConfigError
from tests.helpers.envelope import error_of

TESTS = Path(__file__).parents[2]


def leaves(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield a command's words and itself, or those of the commands below it."""
    below = getattr(command, "commands", {})
    if not below:
        yield words, command
    for word, one in below.items():
        yield from leaves(one, (*words, word))


ALL = [pair for command in COMMANDS for pair in leaves(command.load(), (command.name,))]


def test_each_command_with_json_has_a_kind_and_each_kind_a_command() -> None:
    printing = {
        kind_of(words)
        for words, command in ALL
        if any("--json" in param.opts for param in command.params)
    }
    assert printing == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_valid_and_strict(kind: str) -> None:
    schema = schema_of(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    checker = jsonschema.Draft202012Validator(schema)
    error = {"kind": "DataError", "message": "no", "exit_code": 3, "details": {}}
    assert checker.is_valid({"format": 1, "kind": kind, "error": error})
    assert not checker.is_valid({"format": 2, "kind": kind, "error": error})
    assert not checker.is_valid({"format": 1, "kind": f"{kind}x", "error": error})
    assert not checker.is_valid({"format": 1, "kind": kind, "error": {**error, "more": 1}})
    assert not checker.is_valid({"format": 1, "kind": kind})
    assert not checker.is_valid({"format": 1, "kind": kind, "data": "text"})


@pytest.mark.parametrize("kind", KINDS)
def test_a_test_holds_the_command_to_its_schema(kind: str) -> None:
    held = re.compile(rf'data_of\([^#]*?,\s*"{kind}"\s*\)', re.DOTALL)
    others = (path for path in TESTS.rglob("test_*.py") if path != Path(__file__))
    assert any(held.search(path.read_text()) for path in others), f"no test reads {kind}'s JSON"


def test_nas_schema_prints_one_and_lists_all() -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["schema"]).stdout.split() == list(KINDS)
    assert json.loads(runner.invoke(app, ["schema", "pareto"]).stdout) == schema_of("pareto")
    wrong = runner.invoke(app, ["schema", "paretto"])
    assert isinstance(wrong.exception, ConfigError)
    assert "Did you mean 'pareto'?" in str(wrong.exception)


def test_errors_are_documents(tmp_path: Path) -> None:
    runner = CliRunner()
    failed = runner.invoke(app, ["pareto", str(tmp_path), "--json"])
    error = error_of(failed.stdout, "pareto")
    assert error["message"] == str(failed.exception)
    assert (error["kind"], error["exit_code"]) == ("RunError", 4)
    usage = runner.invoke(app, ["describe", "fpn", "--sise", "1x1", "--json"])
    assert usage.exit_code == 2
    assert "--sise" in error_of(usage.stdout, "describe")["message"]
    below = runner.invoke(app, ["data", "check", "fotos", "--json"])
    assert error_of(below.stdout, "data-check")["kind"] == "ConfigError"
    assert runner.invoke(app, ["pareto", str(tmp_path)]).stdout == ""


def test_a_command_line_that_asks_for_json() -> None:
    assert asks_for_json(["pareto", "run", "--json"])
    assert asks_for_json(["pareto", "run", "--format", "json"])
    assert asks_for_json(["pareto", "run", "--format=json"])
    assert not asks_for_json(["pareto", "run", "--format", "csv"])
    assert kind_of(["parse-log", "data"]) == "parse-log"
    assert kind_of(["data", "--help"]) == "data"
