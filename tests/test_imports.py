"""The house's rules: imports go one way, and what is heavy is loaded late."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("nas", "search_spaces", "evaluators", "studies")
ALLOWED = {
    "nas": {"nas"},
    "search_spaces": {"nas", "search_spaces"},
    "evaluators": {"nas", "evaluators"},
    "studies": {"nas", "search_spaces", "evaluators", "studies"},
    "nas.cli": set(PACKAGES),
}
# Who alone may import a library, anywhere in a file.
OWNERS = {
    "ray": {"nas/execution/ray/cluster.py"},
    "adbutils": {"nas/devices/adb/server.py"},
    "tf_keras": {"nas/networks/keras.py"},
}


def _files() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    relative = path.relative_to(ROOT)
    house = "nas.cli" if relative.parts[:2] == ("nas", "cli") else relative.parts[0]
    ours = {name.split(".")[0] for name in _imported(path)} & set(PACKAGES)
    assert ours <= ALLOWED[house]
    if house != "nas.cli":
        assert not any(name.startswith("nas.cli") for name in _imported(path))


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
