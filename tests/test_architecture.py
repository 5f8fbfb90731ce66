"""The map of the code is true: its rooms are the rooms, and every name in a document resolves."""

import ast
import difflib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from benchmarks.house import structure

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "architecture.md"
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PACKAGES = "nas|search_spaces|evaluators|studies|benchmarks|tests"
DOTTED = re.compile(rf"(?<![\w./@-])(?:{PACKAGES})(?:\.[A-Za-z_]\w*)+")
PATH = re.compile(rf"(?<![\w./:~-])(?:{PACKAGES})/[\w./-]*")
IMPORT = re.compile(rf"from ((?:{PACKAGES})[\w.]*) import ([\w, ]+)")
CLASS = re.compile(r"\b([A-Z][a-z]+(?:[A-Z]\w+|(?=\()|(?=\.[a-z]+\b(?!\.))))(?:\.([a-z_]\w*))?")
FOREIGN = {  # names that look like classes of ours
    "ArrayDynamicIndexing",
    "CompiledModel",
    "DispatchDelegate",
    "HyperbandPruner",
    "LiteRT",
    "MediaTek",
    "PartialFixedSampler",
    "PaxHeaders",
    "Thumbs",
}
LINK_TARGET = re.compile(r"\]\([^)]*\)")
ROW = re.compile(r"^\| `(\w+)` \| (.*) \|$", re.MULTILINE)


def _rule(name: str) -> Any:
    """A constant of `tests/test_imports.py`, which holds the rules of imports."""
    for node in _tree(ROOT / "tests" / "test_imports.py").body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise KeyError(f"tests/test_imports.py has no {name}")


def _names(text: str) -> set[str]:
    """Every dotted name of the project that a document has, in its programs, too.

    Where a link leads is no name: `studies.md` is a page.
    """
    text = LINK_TARGET.sub("]", text)
    imported = {
        f"{module}.{name.split(' as ')[0].strip()}"
        for module, names in IMPORT.findall(text)
        for name in names.split(",")
    }
    return set(DOTTED.findall(text)) | imported


def _paths(text: str) -> set[str]:
    return {path.rstrip(".") for path in PATH.findall(text)}


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _members(body: list[ast.stmt]) -> dict[str, list[ast.stmt]]:
    """The names that a module or a class defines or imports, each with what is inside."""
    return dict(_defined(body))


def _defined(body: list[ast.stmt]) -> Iterator[tuple[str, list[ast.stmt]]]:
    for node in body:
        match node:
            case ast.ClassDef():
                yield node.name, node.body
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name, []
            case ast.Assign():
                yield from ((t.id, []) for t in node.targets if isinstance(t, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name, []
            case ast.Import() | ast.ImportFrom():
                yield from ((alias.asname or alias.name, []) for alias in node.names)
            case ast.If(body=inside):
                yield from _defined(inside)


def _exported(path: Path) -> set[str]:
    """The strings in a module's `__all__`: names that it may load lazily."""
    return {
        constant.value
        for node in _tree(path).body
        if isinstance(node, ast.Assign) and "__all__" in ast.unparse(node.targets[0])
        for constant in ast.walk(node.value)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    }


def _fault(name: str, root: Path = ROOT) -> str | None:
    """What is wrong with a dotted name, in words; None where it leads to something."""
    parts = name.split(".")
    place, used = root / parts[0], 1
    while used < len(parts) and (place / parts[used]).is_dir():
        place, used = place / parts[used], used + 1
    if used < len(parts) and (place / parts[used]).with_suffix(".py").exists():
        place, used = (place / parts[used]).with_suffix(".py"), used + 1
    elif used == len(parts):
        return None
    module = place if place.is_file() else place / "__init__.py"
    near = [path.stem for path in module.parent.iterdir()] if module.stem == "__init__" else []
    if not module.exists():
        return f"there is no `{name}`: {place.relative_to(root)}/ has no {parts[used]}.py"
    members, exported = _members(_tree(module).body), _exported(module)
    for index in range(used, len(parts)):
        part = parts[index]
        if part not in members and not (index == used and part in exported):
            hints = difflib.get_close_matches(part, [*members, *near])
            hint = f"; did {' or '.join(hints)} take its place?" if hints else ""
            where = ".".join(parts[:index])
            return f"there is no `{name}`: {where} has no {part}{hint}"
        members, near = _members(members.get(part, [])), []
    return None


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_name_in_a_document_leads_to_something(document: Path) -> None:
    text = document.read_text()
    faults = [fault for name in sorted(_names(text)) if (fault := _fault(name))]
    faults += [f"there is no {path}" for path in sorted(_paths(text)) if not (ROOT / path).exists()]
    assert not faults, f"{document.relative_to(ROOT)}:\n" + "\n".join(faults)


def test_the_map_names_much() -> None:
    text = PAGE.read_text()
    walk = text.split("## One candidate")[1].split("\n## ")[0]
    assert len(_names(walk)) >= 25
    assert len(_paths(text)) >= 40


def test_the_rooms_of_the_map_are_the_rooms() -> None:
    text = PAGE.read_text().split("## The rooms of nas")[1].split("\n## ")[0]
    rows = ROW.findall(text)
    assert tuple(room for room, _ in rows) == _rule("ROOMS")
    for room, sentence in rows:
        assert re.fullmatch(r"[A-Z].{20,}\.", sentence), f"{room} lacks its sentence: {sentence!r}"


def test_the_packages_of_the_map_are_the_packages() -> None:
    text = PAGE.read_text().split("## The rooms of nas")[0]
    assert {package for package, _ in ROW.findall(text)} == set(_rule("PACKAGES"))


def test_the_owners_of_libraries_are_named() -> None:
    text = PAGE.read_text()
    for owners in _rule("OWNERS").values():
        assert all(f"`{owner}`" in text for owner in owners)


def test_the_counted_structure_has_no_circle_of_rooms() -> None:
    now = structure(ROOT)
    counted = dict(re.findall(r"^\| ([^|]+) \| .* \| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE))
    assert counted["rooms, with the packages beside `nas`"] == f"{len(now['rooms'])}"
    assert counted["circles of rooms"] == f"{len(now['circles_of_rooms'])}" == "0"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("nas.search.driver.search", None),
        ("nas.study.Study", None),  # handed on lazily
        ("nas.sampling.EhviSampler", None),
        ("nas.storage.run_folder.RunFolder.write_result", None),
        ("nas.search.driver.serch", "nas.search.driver has no serch; did search take its place"),
        ("nas.search.drivers", "nas.search has no drivers; did driver take its place"),
        ("nas.storage.run_folder.RunFolder.read_results", "RunFolder has no read_results; did"),
        ("nas.objectstore", "nas has no objectstore"),
    ],
)
def test_a_name_that_leads_nowhere_is_told(name: str, fault: str | None) -> None:
    told = _fault(name)
    assert told is None if fault is None else fault in (told or "")


def test_names_and_paths_are_seen_in_text_and_programs() -> None:
    text = "`a.b`, `nas.study.x(1)`, nas/a/b.py. https://x.y/nas/c.py ./nas/d.py runs/nas/e"
    text += "\nfrom nas.data import Pair, open_dataset\n`nas.cli`"
    assert _names(text) == {
        "nas.study.x",
        "nas.data",
        "nas.data.Pair",
        "nas.data.open_dataset",
        "nas.cli",
    }
    assert _paths(text) == {"nas/a/b.py"}


@cache
def _classes() -> dict[str, set[str]]:
    """Every class of the project with its members, those of classes of one name together."""
    classes: dict[str, set[str]] = {}
    for package in PACKAGES.split("|"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(_tree(path)):
                if isinstance(node, ast.ClassDef):
                    classes.setdefault(node.name, set()).update(_members(node.body))
    return classes


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_class_in_a_document_is_one(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    named = {match for code in re.findall(r"`([^`]+)`", text) for match in CLASS.findall(code)}
    ours = {(name, member) for name, member in named if name not in FOREIGN}
    assert {name for name, _ in ours} <= _classes().keys()
    members = {(name, member) for name, member in ours if member not in ("", "kt")}  # Restorer.kt
    assert not [f"{n}.{m}" for n, m in members if m not in _classes()[n]]


def _commands(command: Any, path: str) -> Iterator[str]:
    """The command's name as a user types it, or those of its subcommands."""
    below = getattr(command, "commands", {})
    if not below:
        yield path
    for name, subcommand in below.items():
        yield from _commands(subcommand, f"{path} {name}")


def test_every_command_is_in_a_document() -> None:
    from nas.cli.app import app

    text = "\n".join(document.read_text() for document in DOCUMENTS)
    commands = list(_commands(typer.main.get_command(app), "nas"))
    assert len(commands) >= 20
    assert not [command for command in commands if not re.search(rf"{command}\b", text)]
