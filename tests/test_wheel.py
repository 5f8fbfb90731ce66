"""A built wheel holds what the source tree holds, and works from elsewhere."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("nas", "search_spaces", "evaluators", "studies")
BUILD = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"


def source_files() -> set[str]:
    """The files of the packages, by path."""
    return {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked; built of a copy, as building leaves files behind."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    (copy / "dist").mkdir()
    command = [sys.executable, "-W", "ignore", "-c", BUILD]
    subprocess.run(command, cwd=copy, check=True, capture_output=True, text=True, timeout=300)
    (built,) = (copy / "dist").glob("portable_nas-*-py3-none-any.whl")
    unpacked = folder / "unpacked"
    with zipfile.ZipFile(built) as archive:
        archive.extractall(unpacked)
    return unpacked


def test_the_wheel_has_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    held = {p.relative_to(wheel).as_posix() for p in wheel.rglob("*") if p.is_file()}
    code = {name for name in held if ".dist-info/" not in name}
    assert code == source_files()
    assert any(name.endswith("licenses/LICENSE") for name in held)


def test_the_wheel_works_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    """Reports' templates and published tables are found where the wheel was unpacked."""
    program = (
        "import sys, nas, studies\n"
        "from nas.devices.paper_phones.published import rows\n"
        "from nas.report.restored_page import restored_html\n"
        "from pathlib import Path\n"
        "assert 'after' in restored_html('m', [], Path())\n"
        "print(nas.__file__, len(studies.STUDIES), len(rows()))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(wheel)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.match(rf"{re.escape(str(wheel))}/nas/__init__\.py \d+ \d+", done.stdout)
