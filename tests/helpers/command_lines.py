"""Command lines of documents and help pages, read as the command line reads them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from nas.cli.app import app

LIBRARIES = "--npu-libraries"


def check_command_line(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `nas` parse a line in `folder`; raises on a wrong command, option or argument.

    A line without arguments only has to name a command. A folder of libraries is made: one that is
    not there is a usage error.
    """
    program, *words = shlex.split(line)
    assert program == "nas", line
    monkeypatch.chdir(folder)
    if LIBRARIES in words:
        Path(words[words.index(LIBRARIES) + 1]).mkdir(exist_ok=True)
    group: Any = typer.main.get_command(app)
    context, name = typer.Context(group, info_name="nas"), "nas"
    while hasattr(group, "commands") and words and not words[0].startswith("-"):
        if group.invoke_without_command and words[0] not in group.commands:
            break  # `nas paper`, and `nas paper report`
        assert words[0] in group.commands, f"{line}: there is no {words[0]!r}"
        name, group, words = group.resolve_command(context, words)
        context = typer.Context(group, info_name=name, parent=context)
    if words:
        group.make_context(name, list(words))
