"""The table of commands, and the group that imports a command's module when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import Any, final

import typer
from typer.core import TyperCommand, TyperGroup

_USAGE: Any = typer.BadParameter.__mro__[1]  # click's UsageError, wherever typer keeps click


@final
@dataclass(frozen=True)
class Command:
    """A command of `nas`: its name, where its function or its `typer.Typer` lies, its help line.

    `panel` is the group under which `nas --help` lists it.
    """

    name: str
    module: str  # in nas.cli
    attribute: str
    help: str
    panel: str

    def load(self) -> Any:
        """Import the command's module and return the command as click runs it."""
        from nas.cli.examples import finish_page

        value = getattr(import_module(f"nas.cli.{self.module}"), self.attribute)
        if not isinstance(value, typer.Typer):
            function, value = value, typer.Typer(rich_markup_mode="rich", add_completion=False)
            value.command(self.name)(function)
        command = typer.main.get_command(value)
        command.name = self.name
        finish_page(command, self.name)
        return command


START, RUN, RESULTS, PHONES, MODEL, CLUSTER = (
    "Start",
    "Run",
    "Results",
    "Phones",
    "One model",
    "Cluster",
)
PANELS = (START, RUN, RESULTS, PHONES, MODEL, CLUSTER)
"""The groups of commands, in the order in which `nas --help` lists them."""

COMMANDS = (
    Command(
        "demo",
        "demo",
        "demo",
        "See a search and its report in a minute: nothing is trained, no phone is needed.",
        START,
    ),
    Command("studies", "search", "studies", "List the studies that come with the project.", START),
    Command("data", "data", "app", "Look at and prepare blurred and sharp pictures.", START),
    Command(
        "paper",
        "paper",
        "app",
        "The paper's manual search, step by step, and its tables and figures beside ours.",
        START,
    ),
    Command(
        "search",
        "search",
        "search",
        "Search: train, convert and measure candidates, and keep the best trade-offs.",
        RUN,
    ),
    Command(
        "status",
        "status",
        "status",
        "Tell how a run stands: its trials, workers, phones, failures, and when it will end.",
        RUN,
    ),
    Command("supernet", "supernet", "app", "One elastic network for a study's whole space.", RUN),
    Command(
        "pareto",
        "pareto",
        "pareto",
        "List the models that no other one beats, or the one to take within a budget.",
        RESULTS,
    ),
    Command(
        "explain",
        "explain",
        "explain",
        "Say in sentences which model to take, or what became of one trial.",
        RESULTS,
    ),
    Command(
        "trials",
        "trials",
        "trials",
        "List a run's finished trials with their state, and why they ended so.",
        RESULTS,
    ),
    Command(
        "report",
        "results",
        "report",
        "Write RUN/report: one page that can be read offline, and PNG and SVG files.",
        RESULTS,
    ),
    Command(
        "compare",
        "compare",
        "compare",
        "Draw the fronts of several runs in one picture, and say in what the runs differ.",
        RESULTS,
    ),
    Command(
        "export",
        "results",
        "export",
        "Export the front's models and the baselines, each scored once more, and pareto.csv.",
        RESULTS,
    ),
    Command(
        "push",
        "push",
        "push",
        "Put an exported model on the Hugging Face Hub, with its card.",
        RESULTS,
    ),
    Command(
        "track",
        "track",
        "track",
        "Hand a run's trials to TensorBoard, MLflow or Weights & Biases.",
        RESULTS,
    ),
    Command(
        "dashboard",
        "study",
        "dashboard",
        "Open optuna-dashboard on a run's study: a file as it stands now, a database live.",
        RESULTS,
    ),
    Command(
        "devices",
        "devices",
        "devices",
        "List the devices: this machine, phones by adb, simulated NPUs and GPUs, paper's phones.",
        PHONES,
    ),
    Command(
        "doctor",
        "doctor",
        "doctor",
        "Check this computer and its phones; each line says what was seen and what to do.",
        PHONES,
    ),
    Command(
        "probe",
        "devices",
        "probe",
        "Find which operations a device accelerates: operation x data type x neighbour.",
        PHONES,
    ),
    Command(
        "parse-log",
        "devices",
        "parse_log",
        "Tell what a log of the benchmark tool, or of NNAPI, says; of each run in it by itself.",
        PHONES,
    ),
    Command(
        "predictor",
        "predictor",
        "app",
        "Latency from structure: fitted to a device, checked on it.",
        PHONES,
    ),
    Command(
        "restore",
        "restore",
        "restore",
        "Restore whole photographs by a model, and write a page of before and after.",
        MODEL,
    ),
    Command(
        "measure",
        "inspect",
        "measure",
        "Time a model on a device: the median over launches, with its interval and conditions.",
        MODEL,
    ),
    Command(
        "check",
        "check",
        "check",
        "Time exported models again, and fail where one is slower than its baseline.",
        MODEL,
    ),
    Command(
        "sweep",
        "phones",
        "sweep",
        "Measure a model at several picture sizes: figures, failures and a plot.",
        MODEL,
    ),
    Command(
        "fidelity",
        "fidelity",
        "fidelity",
        "Compare a device's outputs with the model's: PSNR with its deviation, per-pixel L2 error.",
        MODEL,
    ),
    Command(
        "compress",
        "compress",
        "compress",
        "Prune a network, quantize it, and score the file beside the float one's.",
        MODEL,
    ),
    Command(
        "describe",
        "inspect",
        "describe",
        "Show an architecture's layers, MACs (both conventions) and parameters.",
        MODEL,
    ),
    Command(
        "node",
        "node",
        "node",
        "Make this machine a node of a Ray cluster, with the phones on its USB; until Ctrl-C.",
        CLUSTER,
    ),
    Command("study", "study", "app", "A run's study, wherever it is kept.", CLUSTER),
    Command(
        "schema",
        "schema",
        "schema",
        "Print the JSON Schema of what a command prints with --json.",
        CLUSTER,
    ),
)


@final
class CommandGroup(TyperGroup):
    """The commands of `COMMANDS`: stand-ins with a name and a help line until one is called.

    Help, completion and suggestions read the stand-ins and import no command's module.
    """

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for command in COMMANDS:
            self.commands[command.name] = TyperCommand(
                command.name, help=command.help, rich_help_panel=command.panel
            )

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options, all of them flags: a page of help names no type for them."""
        options = super().get_params(ctx)
        for option in options:
            option.metavar = ""
        return options

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the name, the imported command and its arguments; see `TyperGroup`."""
        name, _, rest = super().resolve_command(ctx, args)
        (command,) = (command for command in COMMANDS if command.name == name)
        return name, command.load(), rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; where it fails under --json, its error is a document, too."""
        from nas.cli.console import begin_json

        begin_json()
        words = [*ctx._protected_args, *ctx.args]
        try:
            return super().invoke(ctx)
        except Exception as error:
            if asks_for_json(words):
                _tell_error(kind_of(words), error)
            raise

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the group's page."""
        from nas.cli.help_page import print_help

        print_help(self, ctx)


def asks_for_json(words: Sequence[str]) -> bool:
    """Return whether a command line asks for JSON: by --json, or by --format json."""
    return bool({"--json", "--format=json"} & {*words}) or ("--format", "json") in pairwise(words)


def kind_of(words: Sequence[str]) -> str:
    """Return the kind of a command line's document: "pareto", "data-check"."""
    groups = {command.name for command in COMMANDS if command.attribute == "app"}
    names = [word for word in words if not word.startswith("-")]
    return "-".join(names[: 2 if names[:1] and names[0] in groups else 1])


def _tell_error(kind: str, error: Any) -> None:
    from nas.cli.console import emit_error
    from nas.errors import NasError

    if isinstance(error, NasError):
        code, message, details = error.exit_code, str(error), error.details
    elif isinstance(error, _USAGE):
        code, message, details = error.exit_code, error.format_message(), {}
    else:
        return
    name = type(error).__name__
    emit_error(kind, {"kind": name, "message": message, "exit_code": code, "details": details})
