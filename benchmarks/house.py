"""How the house is built: the rooms, floors, arrows and circles of a checkout, by its imports.

    python benchmarks/house.py [CHECKOUT ...] [--json]

CHECKOUT is a folder that has `nas/` in it; without it, the checkout that this file stands in. The
program reads source text only and needs nothing but Python, so it also measures an older commit.
Of several checkouts it prints a Markdown table, which is that of docs/architecture.md:

    git worktree add /tmp/before 796f9a7
    python benchmarks/house.py /tmp/before .
    git worktree remove /tmp/before

- A room is a folder or a flat module directly below `nas/`; each of the packages beside `nas/` is
  one room, too.
- An arrow leads from a room to another one that it imports, however many imports do so. Imports
  inside of functions and for type checkers count.
- A circle is a set of files, or of rooms, each of which reaches each of the others by imports.
- A room's floor is one above the highest that it imports; the rooms of a circle share a floor.
- Code lines are those of a function from `def` on, without its docstring, blank lines and comments.
- A test mirrors `nas/x/y.py` if it is `tests/nas/x/test_y.py`. `__init__.py` needs none.
"""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, TypeAlias

PACKAGES = ("nas", "search_spaces", "evaluators", "studies")
LONG_FUNCTION = 40  # code lines
LONG_FILE = 400  # lines
LARGEST = 5

Graph: TypeAlias = Mapping[str, set[str]]


def structure(checkout: Path) -> dict[str, Any]:
    """Return every figure of the house in `checkout`, by name, ready for JSON.

    Raises FileNotFoundError where `checkout` has no `nas/`.
    """
    modules = modules_of(checkout)
    trees = {name: ast.parse(path.read_text("utf-8")) for name, path in modules.items()}
    files = {name: imports(name, tree, modules) for name, tree in trees.items()}
    rooms = by_room(files)
    paths = {name: path.relative_to(checkout).as_posix() for name, path in modules.items()}
    lines = {
        paths[name]: len(path.read_text("utf-8").splitlines()) for name, path in modules.items()
    }
    functions = {
        f"{paths[name]}:{function.lineno} {function.name}": code_lines(function, modules[name])
        for name, tree in trees.items()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    own = [path for path in paths.values() if not path.endswith("__init__.py")]
    return {
        "files": len(files),
        "file_arrows": sum(map(len, files.values())),
        "rooms": sorted(rooms),
        "floors": floors(rooms),
        "arrows": sum(map(len, rooms.values())),
        "circles_of_files": circles(files),
        "circles_of_rooms": circles(rooms),
        "flat_modules": sorted(p for p in own if p.startswith("nas/") and p.count("/") == 1),
        "largest_files": dict(_largest(lines)[:LARGEST]),
        "long_files": {path: count for path, count in _largest(lines) if count > LONG_FILE},
        "functions": len(functions),
        "long_functions": {n: count for n, count in _largest(functions) if count > LONG_FUNCTION},
        "modules": len(own),
        "without_mirrored_test": [p for p in own if not (checkout / mirrored_test(p)).exists()],
    }


def modules_of(checkout: Path) -> dict[str, Path]:
    """Return the file of each module of the packages in `checkout`, by the module's dotted name."""
    if not (checkout / "nas").is_dir():
        raise FileNotFoundError(f"{checkout} has no folder nas/: give a checkout of portable-nas")
    modules = {}
    for package in PACKAGES:
        for path in sorted((checkout / package).rglob("*.py")):
            parts = path.relative_to(checkout).with_suffix("").parts
            modules[".".join(part for part in parts if part != "__init__")] = path
    return modules


def imports(name: str, tree: ast.AST, modules: Mapping[str, Path]) -> set[str]:
    """Return the modules that the module `name` imports, itself left out.

    `from nas.data import pack` imports `nas.data.pack`; `from nas.data import Pair` `nas.data`.
    """
    targets: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            full = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            targets |= {path if path in modules else node.module for path in full.values()}
    return (targets & modules.keys()) - {name}


def room_of(module: str) -> str:
    """Return the room of a module: `nas.data.pack` is in `data`, `studies.paper` in `studies`."""
    package, *inside = module.split(".")
    return inside[0] if package == "nas" and inside else package


def by_room(files: Graph) -> dict[str, set[str]]:
    """Return which rooms each room imports; `nas/__init__.py`, which is no room, is left out."""
    rooms: dict[str, set[str]] = {room_of(name): set() for name in files if name != "nas"}
    for name, targets in files.items():
        if name != "nas":
            rooms[room_of(name)] |= {room_of(target) for target in targets if target != "nas"}
    return {room: targets - {room} for room, targets in rooms.items()}


def circles(graph: Graph) -> list[list[str]]:
    """Return each set of nodes that reach one another, the largest first."""
    groups = {node: frozenset(group) for node, group in _groups(graph).items()}
    rings = {group for group in groups.values() if len(group) > 1}
    return sorted((sorted(ring) for ring in rings), key=lambda group: (-len(group), group))


def floors(graph: Graph) -> int:
    """Return how many floors the rooms need so that every arrow leads downwards or in a circle."""
    groups = {node: min(group) for node, group in _groups(graph).items()}
    below: dict[str, set[str]] = {name: set() for name in groups.values()}
    for node, targets in graph.items():
        below[groups[node]] |= {groups[target] for target in targets} - {groups[node]}
    height: dict[str, int] = {}
    for name in TopologicalSorter(below).static_order():
        height[name] = 1 + max((height[other] for other in below[name]), default=0)
    return max(height.values(), default=0)


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef, path: Path) -> int:
    """Return the code lines of a function, as the module's docstring defines them."""
    source = path.read_text("utf-8").splitlines()
    body = set(range(function.lineno, (function.end_lineno or function.lineno) + 1))
    if ast.get_docstring(function, clean=False) is not None:
        body -= set(range(function.body[0].lineno, (function.body[0].end_lineno or 0) + 1))
    texts = (source[line - 1].strip() for line in body)
    return sum(1 for text in texts if text and not text.startswith("#"))


def mirrored_test(path: str) -> str:
    """Return where the test of a module belongs: `nas/x/y.py` has `tests/nas/x/test_y.py`."""
    folder, _, name = path.rpartition("/")
    return f"tests/{folder}/test_{name}"


def _groups(graph: Graph) -> dict[str, set[str]]:
    """For each node, the nodes that it reaches and that reach it; it is one of them."""
    reach = {node: set(_reached(graph, node)) for node in graph}
    return {node: {node} | {o for o in reach[node] if node in reach[o]} for node in graph}


def _reached(graph: Graph, start: str) -> Iterator[str]:
    seen, stack = set[str](), list(graph[start])
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            yield node
            stack.extend(graph[node])


def _largest(sizes: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(sizes.items(), key=lambda item: (-item[1], item[0]))


def in_words(house: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that the program prints."""
    outside = len(set(house["rooms"]) & set(PACKAGES))
    yield f"rooms {len(house['rooms'])}, {outside} of them packages beside nas/"
    yield f"floors {house['floors']}"
    yield f"arrows between rooms {house['arrows']}"
    for kind in ("files", "rooms"):
        groups = house[f"circles_of_{kind}"]
        yield f"circles of {kind} {len(groups)}"
        yield from (f"  {len(group)}: {', '.join(group)}" for group in groups)
    yield f"flat modules in nas/ {len(house['flat_modules'])}"
    yield f"files {house['files']}, over {LONG_FILE} lines {len(house['long_files'])}; the largest:"
    yield from (f"  {count} {path}" for path, count in house["largest_files"].items())
    long = house["long_functions"]
    yield f"functions {house['functions']}, over {LONG_FUNCTION} code lines {len(long)}"
    yield from (f"  {count} {name}" for name, count in long.items())
    missing = house["without_mirrored_test"]
    yield f"modules {house['modules']}, without a mirrored test {len(missing)}"
    yield from (f"  {path}" for path in missing)


def table(houses: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of a Markdown table with a column for each house, by its heading."""
    yield f"| | {' | '.join(houses)} |"
    yield f"|---|{'---:|' * len(houses)}"
    for label, cell in ROWS.items():
        yield f"| {label} | {' | '.join(cell(house) for house in houses.values())} |"


def _circles(groups: Sequence[Sequence[str]]) -> str:
    sizes = ", ".join(str(len(group)) for group in groups)
    return f"{len(groups)} (of {sizes})" if groups else "0"


ROWS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "files": lambda house: f"{house['files']}",
    "rooms, with the packages beside `nas`": lambda house: f"{len(house['rooms'])}",
    "floors": lambda house: f"{house['floors']}",
    "arrows between rooms": lambda house: f"{house['arrows']}",
    "circles of rooms": lambda house: _circles(house["circles_of_rooms"]),
    "circles of files": lambda house: _circles(house["circles_of_files"]),
    "flat modules in `nas/`": lambda house: f"{len(house['flat_modules'])}",
    f"files over {LONG_FILE} lines": lambda house: f"{len(house['long_files'])}",
    "lines of the largest file": lambda house: f"{max(house['largest_files'].values())}",
    f"functions over {LONG_FUNCTION} code lines": (
        lambda house: f"{len(house['long_functions'])} of {house['functions']:,}"
    ),
    "code lines of the longest function": (
        lambda house: f"{max(house['long_functions'].values(), default=0)}"
    ),
    "modules without a mirrored test": (
        lambda house: f"{len(house['without_mirrored_test'])} of {house['modules']}"
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkout", nargs="*", type=Path, default=[Path(__file__).parent.parent])
    parser.add_argument(
        "--json", action="store_true", help="print JSON: of several checkouts an object"
    )
    arguments = parser.parse_args()
    houses = {str(path): structure(path.resolve()) for path in arguments.checkout}
    first, *others = houses.values()
    if arguments.json:
        print(json.dumps(houses if others else first, indent=2))
    else:
        print(*(table(houses) if others else in_words(first)), sep="\n")


if __name__ == "__main__":
    main()
