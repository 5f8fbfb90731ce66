"""The page of the command line, from the commands themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import typer

from documentation.reference.text import table

INTRODUCTION = """\
# Commands

This page is made from the commands themselves: what `nas COMMAND --help` prints, in one place. Every
command sends its data to standard output and all else to standard error. `--json` prints one document
and nothing else. What it holds is under [JSON](json.md), the exit codes are under
[failures](failures.md).
"""


def commands() -> Iterator[tuple[str, str, Any, Any]]:
    """Yield every command: its group, what a user types, its click command and context."""
    from nas.cli.app import app
    from nas.cli.commands import COMMANDS

    root = typer.main.get_command(app)
    context = typer.Context(root, info_name="nas")
    for entry in COMMANDS:
        for path, command, below in _below(entry.load(), entry.name, context):
            yield entry.panel, path, command, below


def _below(command: Any, name: str, parent: Any) -> Iterator[tuple[str, Any, Any]]:
    context = typer.Context(command, info_name=name, parent=parent)
    inside = getattr(command, "commands", {})
    if not inside or command.invoke_without_command:
        yield context.command_path, command, context
    for below, subcommand in inside.items():
        yield from _below(subcommand, below, context)


def page() -> str:
    """Return the page's Markdown."""
    parts = [INTRODUCTION]
    for panel, group in groupby(commands(), key=lambda entry: entry[0]):
        parts.append(f"## {panel}")
        parts += [_section(*entry) for _, *entry in group]
    return "\n\n".join(parts) + "\n"


def _section(path: str, command: Any, context: Any) -> str:
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    rows = [
        (f"`{names}`", plain(words))
        for names, words in filter(None, records)
        if not names.startswith("--help")
    ]
    usage = " ".join(command.get_usage(context).removeprefix("Usage: ").split())
    parts = [f"### {path}", plain(command.help or ""), f"```\n{usage}\n```"]
    if rows:
        parts.append(table(("Argument or option", "What it does"), rows))
    if command.epilog:
        parts.append(_epilog(command.epilog))
    return "\n\n".join(parts)


def _epilog(text: str) -> str:
    """Return what stands below a command's help: its examples, as a program."""
    lines = [plain(line).strip() for line in text.splitlines()]
    return "```\n" + "\n".join(line for line in lines if line not in ("", "Examples:")) + "\n```"


def plain(text: str) -> str:
    """Return a help text without Rich's marks; an escaped bracket becomes a bracket."""
    marks = r"(?<!\\)\[/?(?:bold|dim|italic|cyan|green|yellow|red)?(?: [a-z]+)*\]"
    return re.sub(marks, "", text).replace(r"\[", "[")
