"""`nas`, the command line: its entry point, its exit codes, and `--ray` without an address.

Exit codes: 0 done; 1 a failure without a code of its own; 2 a wrong option, name or value; 3
unusable pictures; 4 a run's folder that is held, damaged, full or of another study; 5 a
conversion; 6 a training; 7 a device or a cluster; 8 no verdict, as others had the machine; 9 a
model that is slower than its baseline; 130 Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from nas import __version__
from nas.cli.commands import CommandGroup
from nas.cli.console import err, note, plain
from nas.errors import ClusterError, NasError

EPILOG = (
    "Exit codes: 0 done, 2 wrong option or name, 3 unusable pictures, 4 run folder held, damaged "
    "or full, 5 conversion, 6 training, 7 device or cluster, 8 machine too busy for a verdict, 9 "
    "slower than the baseline, 130 interrupted."
)

QUIET = "--quiet"

app = typer.Typer(
    name="nas",
    cls=CommandGroup,
    help="Search, measure and export image-restoration networks for phones.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"nas {__version__}")
        raise typer.Exit


@app.callback()
def nas(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(QUIET, help="No notes and no progress: results and errors only. Anywhere."),
    ] = False,
) -> None:
    """Search, measure and export image-restoration networks for phones."""
    err.quiet = quiet


def main() -> None:
    """Run the command line; every failure that is ours is one line and an exit code."""
    if "--help" not in sys.argv and "_NAS_COMPLETE" not in os.environ:
        _tell_of_locks()
    try:
        app(with_addresses(quiet_first(sys.argv[1:])))
    except NasError as error:
        err.quiet = False
        text = f"[bold red]error:[/] {plain(str(error))}"
        err.print(text, highlight=False, soft_wrap=not err.is_terminal)
        if isinstance(error, ClusterError):
            sys.stdout.flush()
            os._exit(error.exit_code)  # Ray's threads would wait a minute for a head that is gone
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(130)
    except BrokenPipeError:  # `nas pareto ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _tell_of_locks() -> None:
    """Have waits for a lock told above a live view; the import is slow for a page of help."""
    from nas.system.host_lock import teller

    teller.append(note)


def quiet_first(arguments: list[str]) -> list[str]:
    """Return the arguments with a `--quiet` behind the command, or in front of it, in front."""
    rest = [argument for argument in arguments if argument != QUIET]
    return [QUIET, *rest] if len(rest) < len(arguments) else arguments


def with_addresses(arguments: list[str]) -> list[str]:
    """Return the arguments with "local" after a `--ray` that has no address."""
    whole: list[str] = []
    for index, argument in enumerate(arguments):
        whole.append(argument)
        after = arguments[index + 1] if index + 1 < len(arguments) else ""
        if argument == "--ray" and not _is_address(after):
            whole.append("local")
    return whole


def _is_address(text: str) -> bool:
    """Tell whether the word after --ray is its address: neither another option nor the study."""
    if not text or text.startswith("-") or text.endswith(".py"):
        return False
    if text == "local" or ":" in text:
        return True
    from studies import STUDIES

    return text not in STUDIES
