"""The examples on each command's page."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.cli.examples import EXAMPLES
from tests.helpers.command_lines import check_command_line
from tests.nas.cli.test_documents import ALL

WORDS = {" ".join(words): command for words, command in ALL} | {"paper": None}


def test_every_command_has_examples_and_every_example_a_command() -> None:
    assert EXAMPLES.keys() == WORDS.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_understood(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for line in EXAMPLES[name]:
        check_command_line(line, tmp_path, monkeypatch)


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
