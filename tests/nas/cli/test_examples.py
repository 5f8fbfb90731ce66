"""The examples on each command's page."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from nas.cli.app import app
from nas.cli.examples import EXAMPLES
from tests.nas.cli.test_documents import ALL

WORDS = {" ".join(words): command for words, command in ALL} | {"paper": None}


def test_every_command_has_examples_and_every_example_a_command() -> None:
    assert EXAMPLES.keys() == WORDS.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_understood(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "qairt").mkdir()  # a library folder that is not there is a usage error
    monkeypatch.chdir(tmp_path)
    for line in EXAMPLES[name]:
        program, *words = shlex.split(line)
        assert program == "nas"
        _parse(words)


def _parse(words: list[str]) -> None:
    """Have the command lines' own parser read them; fails on a wrong option or argument."""
    group: Any = typer.main.get_command(app)
    context = typer.Context(group, info_name="nas")
    while hasattr(group, "commands") and words and words[0] in group.commands:
        _, group, words = group.resolve_command(context, words)
        if hasattr(group, "load"):
            group = group.load()
    group.make_context("nas", list(words), parent=context)


def test_a_page_shows_its_examples_and_kinds_of_values() -> None:
    page = CliRunner().invoke(app, ["pareto", "--help"], env={"COLUMNS": "80"}).stdout
    for line in EXAMPLES["pareto"]:
        assert line in page
    assert "[OPTIONS] RUN" in page
    assert "<bool>" not in page.replace("--help          <bool>", "")
    assert "latency_ms[host]" in page


def test_the_page_of_all_commands_is_in_groups() -> None:
    page = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).stdout
    places = [
        page.index(f"─ {panel} ─")
        for panel in ("Start", "Run", "Results", "Phones", "One model", "Cluster")
    ]
    assert places == sorted(places)
