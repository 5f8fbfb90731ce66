"""The reference's pages have every command, field, figure, failure and public name."""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from documentation.reference import PAGES, documents, failures, files, python_api
from documentation.reference.commands import plain
from documentation.reference.study_fields import classes
from documentation.reference.text import described_fields, docstring, table, without_fields

ROOT = Path(__file__).parents[2]


def leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    inside = getattr(command, "commands", {})
    if not inside:
        yield path, command
    for name, below in inside.items():
        yield from leaves(below, f"{path} {name}")


def test_every_command_with_every_option() -> None:
    from nas.cli.commands import COMMANDS

    page = PAGES["reference/commands.md"]()
    sections = dict(re.findall(r"^### (nas .*?)\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL))
    seen = 0
    for entry in COMMANDS:
        for path, command in leaves(entry.load(), f"nas {entry.name}"):
            assert path in sections
            for parameter in command.params:
                options = [name for name in parameter.opts if name.startswith("-")]
                names = options or [parameter.metavar or parameter.name]
                names = [name for name in names if name != "--help"]
                seen += len(names)
                assert all(name in sections[path] for name in names), (path, names)
    assert seen > 100


def test_a_commands_help_stands_without_marks() -> None:
    assert plain(r"[bold]Search[/]: the run's folder \[runs/STUDY] [x>=1]") == (
        "Search: the run's folder [runs/STUDY] [x>=1]"
    )


def test_every_field_of_a_study() -> None:
    import evaluators
    import search_spaces
    from nas.study import Study

    page = PAGES["reference/study.md"]()
    expected = [Study, *(getattr(search_spaces, name) for name in search_spaces.__all__)]
    expected += [getattr(evaluators, name) for name in evaluators.__all__]
    kinds = [one for one in expected if inspect.isclass(one)]
    assert set(kinds) <= set(classes())
    for kind in classes():
        section = page.split(f"## {kind.__name__}\n")[1].split("\n## ")[0]
        for field in dataclasses.fields(kind):
            assert f"| `{field.name}` |" in section, (kind, field.name)
    fields = {field.name for field in dataclasses.fields(Study)}
    assert fields == set(described_fields(docstring(Study)))  # none without a word on it


def test_every_figure_that_a_trial_has() -> None:
    from studies import STUDIES

    page = PAGES["reference/figures.md"]()
    for study in STUDIES.values():
        for evaluator in study.evaluators:
            for metric in evaluator.metrics(study.devices):
                assert f"| `{metric.partition('[')[0]}` |" in page


def test_every_failure_and_exit_code() -> None:
    from nas import errors
    from nas.devices.failures import FAILURE_CLASSES

    assert set(failures.MEANINGS) == set(FAILURE_CLASSES)
    page = PAGES["reference/failures.md"]()
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, errors.NasError):
            assert name == "NasError" or f"`{name}`" in page
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    told = (ROOT / "nas" / "cli" / "app.py").read_text().split("Exit codes: ")[1].split('"""')[0]
    assert {int(code) for code in re.findall(r"\b(\d+) ", told)} <= listed


def test_every_public_name() -> None:
    page = PAGES["reference/python.md"]()
    modules = {entry for entries in python_api.PUBLIC.values() for entry in entries}
    for module in {entry.partition(":")[0] for entry in modules if ":" not in entry}:
        package = import_module(module)
        for name in package.__all__:
            value = getattr(package, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                assert f"from {module} import {name}\n" in page
    rooms = {path.parent.name for path in (ROOT / "nas").glob("*/__init__.py")}
    public = {r for r in rooms if getattr(import_module(f"nas.{r}"), "__all__", None)}
    left_out = public - {module.split(".")[1] for module in modules if module.startswith("nas.")}
    assert left_out <= {"paper"}  # the paper's study is for `nas paper` alone


def test_every_entry_of_a_document(tmp_path: Path) -> None:
    from nas.cli.pareto import model_json
    from nas.data.image_quality import PSNR_ID
    from nas.report.export import card_document
    from nas.report.restored_page import RestoredPhoto
    from nas.storage.run_folder import RunFolder
    from nas.study.metric import Metric
    from nas.study.trial_result import TrialResult
    from tests.helpers.fake_run import describe

    result = TrialResult(0, "k", "l", {}, "complete", metrics={"psnr_db": Metric(1, "s", PSNR_ID)})
    photo = RestoredPhoto("a", "b", "c", (1, 2), "d", 3, None, 0.5)
    real = {
        "A model": {*model_json(RunFolder(tmp_path), result)},
        "A trial": {*result.to_dict()},
        "A model's card": {*card_document(describe(), result, 1.0, {})},
        "Restored photographs": {*photo.to_dict()},
    }
    for title, entries in documents.ENTRIES.items():
        assert set(entries) == real.pop(title.partition(",")[0]), title
    assert not real


def test_the_files_are_those_of_the_modules() -> None:
    page = files.page()
    assert "trials/00012/result.json" in page
    assert "card.json, README.md" in page
    assert "out/restore.json" in page


@pytest.mark.parametrize("text", ["Words.\n\n`a`: one\nmore.\n`b`: two.\n\nRaises it."])
def test_what_a_docstring_says_of_fields(text: str) -> None:
    assert described_fields(text) == {"a": "one more.", "b": "two."}
    assert without_fields(text).split() == ["Words.", "Raises", "it."]
    assert table(("x", "y"), [("a|b", "c\nd")]).splitlines()[-1] == r"| a\|b | c d |"
    with pytest.raises(ValueError, match="has no docstring"):
        docstring(lambda: None)
