"""`nas`: the command line.

Exit codes: 0 done; 1 a failure without a code of its own; 2 a wrong option, name or value; 3
unusable pictures; 4 a run's folder that is held, damaged, full or of another study; 5 a
conversion; 6 a training; 7 a device or a cluster; 8 no verdict, as others had the machine; 130
Ctrl-C.
"""

from __future__ import annotations

import os
import sys

import typer

from nas.cli import (
    compress,
    data,
    devices,
    fidelity,
    inspect,
    node,
    paper,
    phones,
    predictor,
    results,
    search,
    status,
    study,
    supernet,
)
from nas.cli.console import err
from nas.errors import ClusterError, NasError
from nas.system.host_lock import teller

EPILOG = (
    "Exit codes: 0 done, 2 wrong option or name, 3 unusable pictures, 4 run folder held, damaged "
    "or full, 5 conversion, 6 training, 7 device or cluster, 8 machine too busy for a verdict, 130 "
    "interrupted."
)

app = typer.Typer(
    name="nas",
    help="Search, measure and export image-restoration networks for phones.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("search")(search.search)
app.command("status")(status.status)
app.command("dashboard")(study.dashboard)
app.add_typer(study.app, name="study")
app.command("node")(node.node)
app.command("studies")(search.studies)
app.command("pareto")(results.pareto)
app.command("report")(results.report)
app.command("export")(results.export)
app.command("compress")(compress.compress)
app.command("describe")(inspect.describe)
app.command("measure")(inspect.measure)
app.command("devices")(devices.devices)
app.command("probe")(devices.probe)
app.command("parse-log")(devices.parse_log)
app.command("sweep")(phones.sweep)
app.command("fidelity")(fidelity.fidelity)
app.add_typer(data.app, name="data")
app.add_typer(paper.app, name="paper")
app.add_typer(predictor.app, name="predictor")
app.add_typer(supernet.app, name="supernet")


def main() -> None:
    """Run the command line; every failure that is ours is one line and an exit code."""
    teller.append(lambda text: err.print(_plain(text), highlight=False, soft_wrap=True))
    try:
        app(_with_addresses(sys.argv[1:]))
    except NasError as error:
        err.print(f"[bold red]error:[/] {_plain(str(error))}", highlight=False, soft_wrap=True)
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


def _with_addresses(arguments: list[str]) -> list[str]:
    """`--ray` alone means `--ray local`."""
    whole: list[str] = []
    for index, argument in enumerate(arguments):
        whole.append(argument)
        after = arguments[index + 1] if index + 1 < len(arguments) else ""
        if argument == "--ray" and not _is_address(after):
            whole.append("local")
    return whole


def _is_address(text: str) -> bool:
    """Whether what follows --ray belongs to it: neither another option nor the study."""
    if not text or text.startswith("-") or text.endswith(".py"):
        return False
    if text == "local" or ":" in text:
        return True
    from studies import STUDIES

    return text not in STUDIES


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
