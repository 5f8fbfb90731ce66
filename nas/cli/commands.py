"""The table of commands, and the group that imports a command's module when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, final

import typer
from typer.core import TyperCommand, TyperGroup


@final
@dataclass(frozen=True)
class Command:
    """A command of `nas`: its name, where its function or its `typer.Typer` lies, its help line."""

    name: str
    module: str  # in nas.cli
    attribute: str
    help: str

    def load(self) -> Any:
        """Import the command's module and return the command as click runs it."""
        value = getattr(import_module(f"nas.cli.{self.module}"), self.attribute)
        if not isinstance(value, typer.Typer):
            function, value = value, typer.Typer(rich_markup_mode="rich", add_completion=False)
            value.command(self.name)(function)
        command = typer.main.get_command(value)
        command.name = self.name
        return command


COMMANDS = (
    Command(
        "search",
        "search",
        "search",
        "Search: train, convert and measure candidates, and keep the best trade-offs.",
    ),
    Command(
        "status",
        "status",
        "status",
        "Tell how a run stands: its trials, workers, phones, failures, and when it will end.",
    ),
    Command(
        "dashboard",
        "study",
        "dashboard",
        "Open optuna-dashboard on a run's study: a file as it stands now, a database live.",
    ),
    Command(
        "node",
        "node",
        "node",
        "Make this machine a node of a Ray cluster, with the phones on its USB; until Ctrl-C.",
    ),
    Command("studies", "search", "studies", "List the studies that come with the project."),
    Command("pareto", "results", "pareto", "List the models that no other one beats, best first."),
    Command(
        "report",
        "results",
        "report",
        "Write RUN/report: one page that can be read offline, and PNG files.",
    ),
    Command(
        "export",
        "results",
        "export",
        "Export the front's models and the baselines, each scored once more, and pareto.csv.",
    ),
    Command(
        "compress",
        "compress",
        "compress",
        "Prune a network, quantize it, and score the file beside the float one's.",
    ),
    Command(
        "describe",
        "inspect",
        "describe",
        "Show an architecture's layers, MACs (both conventions) and parameters.",
    ),
    Command(
        "measure",
        "inspect",
        "measure",
        "Time a model on a device: the median over launches, with its interval and conditions.",
    ),
    Command(
        "devices",
        "devices",
        "devices",
        "List the phones that adb sees, with their state, and the NPUs that are simulated here.",
    ),
    Command(
        "doctor",
        "doctor",
        "doctor",
        "Check this computer and its phones: what is missing, with a remedy for each line.",
    ),
    Command(
        "probe",
        "devices",
        "probe",
        "Measure which operations a phone accelerates: operation x data type x neighbour.",
    ),
    Command(
        "parse-log",
        "devices",
        "parse_log",
        "Tell what a log of the benchmark tool, or of NNAPI, says; of each run in it by itself.",
    ),
    Command(
        "sweep",
        "phones",
        "sweep",
        "Measure a model at several picture sizes: figures, failures and a plot.",
    ),
    Command(
        "fidelity",
        "fidelity",
        "fidelity",
        "Compare a device's outputs with the model's: PSNR with its deviation, per-pixel L2 error.",
    ),
    Command("study", "study", "app", "A run's study, wherever it is kept."),
    Command("data", "data", "app", "Look at and prepare blurred and sharp pictures."),
    Command(
        "paper",
        "paper",
        "app",
        "The paper's manual search, step by step, and its tables and figures beside ours.",
    ),
    Command(
        "predictor",
        "predictor",
        "app",
        "Latency from structure: fitted to a device, checked on it.",
    ),
    Command("supernet", "supernet", "app", "One elastic network for a study's whole space."),
)


@final
class CommandGroup(TyperGroup):
    """The commands of `COMMANDS`: stand-ins with a name and a help line until one is called.

    Help, completion and suggestions read the stand-ins and import no command's module.
    """

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for command in COMMANDS:
            self.commands[command.name] = TyperCommand(command.name, help=command.help)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the name, the imported command and its arguments; see `TyperGroup`."""
        name, _, rest = super().resolve_command(ctx, args)
        (command,) = (command for command in COMMANDS if command.name == name)
        return name, command.load(), rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the group's page."""
        from nas.cli.help_page import print_help

        print_help(self, ctx)
