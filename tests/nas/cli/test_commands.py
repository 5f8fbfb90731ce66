"""The table of commands beside the commands themselves, and what a page of help imports."""

import os
import re
import subprocess
import sys

import pytest
from typer.core import TyperGroup
from typer.testing import CliRunner

from nas import __version__
from nas.cli.app import app
from nas.cli.commands import COMMANDS, Command

HEAVY = (
    "numpy",
    "pandas",
    "ai_edge_litert",
    "optuna",
    "tensorflow",
    "ray",
    "matplotlib",
    "PIL",
    "psutil",
    "studies",
    "search_spaces",
    "evaluators",
)
PAGE = (
    "import sys; sys.argv = ['nas', *sys.argv[1:]]\n"
    "from nas.cli.app import main\n"
    "try: main()\n"
    "except SystemExit: pass\n"
    "print('MODULES', *sorted(sys.modules))"
)


def _modules(*arguments: str, **environment: str) -> set[str]:
    """What is imported in the end of a command line."""
    done = subprocess.run(
        [sys.executable, "-c", PAGE, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return set(done.stdout.rpartition("MODULES ")[2].split())


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_help_line_is_the_first_of_the_commands_own_page(command: Command) -> None:
    page = command.load()
    assert page.name == command.name
    assert page.help.partition("\n\n")[0].replace("\n", " ") == command.help


def test_no_two_commands_have_one_name() -> None:
    assert len({command.name for command in COMMANDS}) == len(COMMANDS)


def test_the_page_of_all_commands_imports_none_of_them() -> None:
    modules = _modules("--help")
    assert not modules & {*HEAVY, "rich.markdown", "typer.rich_utils"}
    ours = {name for name in modules if name.startswith("nas.cli.")}
    assert ours == {f"nas.cli.{name}" for name in ("app", "commands", "console", "help_page")}


@pytest.mark.parametrize(
    "arguments", [(command.name,) for command in COMMANDS], ids=lambda names: " ".join(names)
)
def test_a_commands_page_imports_its_own_module_only(arguments: tuple[str, ...]) -> None:
    modules = _modules(*arguments, "--help")
    assert not modules & set(HEAVY)
    rooms = {name.split(".")[1] for name in modules if name.startswith("nas.")}
    assert rooms == {"cli", "errors"}


def completion(words: str) -> set[str]:
    """What zsh is offered for the last of `words`."""
    done = subprocess.run(
        [sys.executable, "-c", PAGE],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "_NAS_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": words},
    )
    return set(re.findall(r'"([^":]+)', done.stdout))


def test_completion_offers_the_commands_and_imports_none() -> None:
    offered = completion("nas s")
    assert offered >= {"search", "status", "studies", "sweep", "study", "supernet"}
    assert not offered & {"pareto", "data"}
    asked = {"_NAS_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "nas s"}
    assert not _modules(**asked) & set(HEAVY)


@pytest.mark.parametrize(
    ("words", "offered"), [("nas data c", "check"), ("nas search --hal", "--halving")]
)
def test_completion_reaches_into_groups_and_options(words: str, offered: str) -> None:
    assert offered in completion(words)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serch"], "No such command 'serch'. Did you mean 'search'?"),
        (["data", "chek"], "No such command 'chek'. Did you mean 'check'?"),
        (["search", "--nothing"], "No such option: --nothing"),
    ],
)
def test_a_wrong_word_is_told(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "120"})
    assert done.exit_code == 2
    assert message in done.stderr


def test_the_version_is_the_packages() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert done.exit_code == 0
    assert done.stdout == f"nas {__version__}\n"


def test_a_group_has_its_own_commands() -> None:
    for name in ("study", "data", "paper", "predictor", "supernet"):
        (command,) = (command for command in COMMANDS if command.name == name)
        group = command.load()
        assert isinstance(group, TyperGroup)
        assert group.commands
        options = {option for each in group.params for option in each.opts}
        assert "--install-completion" not in options  # nas itself has it
