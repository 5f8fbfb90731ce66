"""The house's rules: imports go one way, room by room, and what is heavy is loaded late."""

import ast
import importlib
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import nas
import nas.search
import nas.study

ROOT = Path(__file__).parent.parent
PACKAGES = ("nas", "search_spaces", "evaluators", "studies")
ALLOWED = {
    "nas": {"nas"},
    "search_spaces": {"nas", "search_spaces"},
    "evaluators": {"nas", "evaluators"},
    "studies": {"nas", "search_spaces", "evaluators", "studies"},
    "nas.cli": set(PACKAGES),
}
# The rooms of `nas/`, ground first. A file imports its own room and those before it, no other.
# Late imports and those for type checkers count as well.
ROOMS = (
    "errors",
    "system",
    "networks",
    "data",
    "tflite",
    "training",
    "compression",
    "devices",
    "study",
    "storage",
    "predictor",
    "sampling",
    "execution",
    "search",
    "report",
    "paper",
    "cli",
)
# Who alone may import a library, anywhere in a file.
OWNERS = {
    "ray": {"nas/execution/ray/cluster.py"},
    "adbutils": {"nas/devices/adb/server.py"},
    "tf_keras": {"nas/networks/keras.py"},
    "onnx": {"nas/devices/npu/onnx_graph.py"},
    "tensorboard": {"nas/report/tensorboard_files.py"},
    "mlflow": {"nas/report/mlflow_store.py"},
    "wandb": {"nas/report/wandb_files.py"},
    "onnxruntime": {"nas/devices/npu/compile_worker.py", "nas/devices/npu/onnx_export.py"},
}


def _files() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def _imported(path: Path) -> set[str]:
    return _imports_of(path.read_text())


def _imports_of(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _room(path: Path) -> str | None:
    """The room of a file of `nas/`, from its path below the root; None for `nas/__init__.py`."""
    room = path.parts[1].removesuffix(".py")
    return None if room == "__init__" else room


def _above(room: str, imported: set[str]) -> set[str]:
    """The imports of rooms above `room`."""
    rank = {name: index for index, name in enumerate(ROOMS)}
    rooms = {name: name.split(".")[1] for name in imported if name.startswith("nas.")}
    return {name for name, its in rooms.items() if rank.get(its, -1) > rank[room]}


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    relative = path.relative_to(ROOT)
    house = "nas.cli" if relative.parts[:2] == ("nas", "cli") else relative.parts[0]
    ours = {name.split(".")[0] for name in _imported(path)} & set(PACKAGES)
    assert ours <= ALLOWED[house]
    if house != "nas.cli":
        assert not any(name.startswith("nas.cli") for name in _imported(path))


def test_every_room_of_nas_is_in_the_list() -> None:
    rooms = {_room(path.relative_to(ROOT)) for path in (ROOT / "nas").rglob("*.py")}
    assert rooms - {None} == set(ROOMS)


def test_no_file_imports_a_room_above_its_own() -> None:
    paths = [path for path in _files() if path.is_relative_to(ROOT / "nas")]
    rooms = {path: _room(path.relative_to(ROOT)) for path in paths}
    upwards = {
        str(path): above
        for path, room in rooms.items()
        if room is not None and (above := _above(room, _imported(path)))
    }
    assert not upwards


def test_late_and_typing_imports_count() -> None:
    late = "def f():\n    from nas.search import driver\n"
    typing = "if TYPE_CHECKING:\n    from nas import paper\n"
    assert _above("devices", _imports_of(late)) == {"nas.search", "nas.search.driver"}
    assert _above("devices", _imports_of(typing)) == {"nas.paper"}
    assert not _above("paper", _imports_of(late))


def test_no_file_is_imported_by_what_it_imports() -> None:
    files = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in _files()}
    modules = {name.removesuffix(".__init__"): path for name, path in files.items()}
    graph = {name: (_imported(path) & set(modules)) - {name} for name, path in modules.items()}
    for name in graph:  # `from nas.data import pack` names the package, too: not a need of it
        graph[name] = {other for other in graph[name] if not name.startswith(other + ".")}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize(("old", "new"), nas.MOVED.items())
def test_an_older_name_still_finds_its_module(old: str, new: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"{old} is {new} now"):
        module = importlib.import_module(old)
    home = importlib.import_module(new)
    names = [name for name in vars(home) if not name.startswith("_")]
    assert names
    assert all(getattr(module, name) is getattr(home, name) for name in names)


def test_public_names_are_loaded_when_they_are_asked_for() -> None:
    for package in (nas.study, nas.search):
        for name in package.__all__:
            assert getattr(package, name).__name__ == name
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            _ = package.nothing


@pytest.mark.parametrize("library", OWNERS)
def test_libraries_with_one_owner(library: str) -> None:
    users = {
        str(path.relative_to(ROOT))
        for path in _files()
        if any(name.split(".")[0] == library for name in _imported(path))
    }
    assert users <= OWNERS[library]


@pytest.mark.parametrize(
    "module",
    [
        "nas.cli.app",
        "nas.search.driver",
        "nas.report.write",
        "nas.report.export",
        "nas.devices.host.device",
        "studies",
    ],
)
def test_light_modules_load_neither_tensorflow_nor_ray(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'tensorflow', 'ray'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
