"""`nas --help` beside the page that typer draws of the same group."""

import typer
from rich.console import Console

from nas.cli import help_page
from nas.cli.app import app


def test_the_page_reads_as_typers_own(monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    group = typer.main.get_command(app)
    context = typer.Context(group, info_name="nas")
    help_page.print_help(group, context)
    ours = capsys.readouterr().out
    from typer.rich_utils import rich_format_help

    rich_format_help(obj=group, ctx=context, markup_mode="rich")
    assert ours == capsys.readouterr().out
    assert "Search, measure and export image-restoration networks" in ours
    assert Console().width == 90
