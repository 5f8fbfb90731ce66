"""The page of `nas --help`, drawn as typer draws the pages of the commands.

Typer's own drawing imports Rich's Markdown and its tracebacks, which take longer than the rest of
`nas --help` together.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.align import Align
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import typer
    from typer.core import TyperGroup

_USAGE = "Usage:"


def print_help(group: TyperGroup, context: typer.Context) -> None:
    """Print a group's usage, help, options, commands and epilog to standard output.

    All options are drawn as flags: a group whose options take values is not for this page.
    """
    console = Console()
    console.print(Padding(_usage(group.get_usage(context)), 1), style="bold")
    console.print(Padding(Align(Text(group.help or ""), pad=False), (0, 1, 1, 1)))
    console.print(_panel("Options", _options(group, context)))
    width = max(map(len, group.commands))
    for panel in dict.fromkeys(map(_panel_of, group.commands.values())):
        console.print(_panel(panel, _commands(group, panel, width)))
    if group.epilog:
        console.print(Padding(Align(Text(group.epilog), pad=False), 1))


def _usage(text: str) -> Text:
    usage = Text(text)
    usage.highlight_words([_USAGE], "yellow")
    return usage


def _panel(title: str, table: Table) -> Panel:
    return Panel(table, border_style="dim", title=title, title_align="left")


def _grid(rows: Iterable[tuple[RenderableType, ...]]) -> Table:
    grid = Table(show_header=False, expand=True, box=None, pad_edge=False, padding=(0, 1))
    for row in rows:
        grid.add_row(*row)
    return grid


def _options(group: TyperGroup, context: typer.Context) -> Table:
    records = [option.get_help_record(context) for option in group.get_params(context)]
    return _grid(
        (Text(record[0], "bold cyan"), "", "", "", "", Text(record[1]))
        for record in records
        if record is not None
    )


def _panel_of(command: Any) -> str:
    """Return the name of the group that a command is listed in."""
    return command.rich_help_panel or "Commands"


def _commands(group: TyperGroup, panel: str, width: int) -> Table:
    grid = Table(show_header=False, expand=True, box=None, pad_edge=False, padding=(0, 1))
    grid.add_column(style="bold cyan", no_wrap=True, width=width)
    grid.add_column(ratio=10)
    for name, command in group.commands.items():
        if _panel_of(command) == panel:
            grid.add_row(Text(name), Text.from_markup(command.help or ""))
    return grid
