"""The program that measures the house, on a small house with known faults and on this one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.house import structure, table

ROOT = Path(__file__).parent.parent


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Three rooms: `low` and `high` in a circle, `flat` beside; `studies` above them."""
    long = "def long():\n" + '    """One\n    docstring."""\n' + "    print()\n\n    # why\n" * 40
    files = {
        "nas/__init__.py": "from nas.low import one\n",
        "nas/low/__init__.py": "",
        "nas/low/one.py": "def late():\n    from nas.high import two\n",
        "nas/high/__init__.py": "",
        "nas/high/two.py": "from nas.low.one import late\nfrom nas import flat\n" + long,
        "nas/flat.py": "import os\n" * 401,
        "studies/__init__.py": "from nas.high.two import long\nimport nas.flat\n",
        "tests/nas/low/test_one.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_small_house(small: Path) -> None:
    house = structure(small)
    assert house["rooms"] == ["flat", "high", "low", "studies"]
    assert house["circles_of_rooms"] == [["high", "low"]]
    assert house["circles_of_files"] == [["nas.high.two", "nas.low.one"]]
    assert house["arrows"] == 5  # high <-> low, high -> flat, studies -> high, studies -> flat
    assert house["floors"] == 3  # flat, the circle, studies
    assert house["flat_modules"] == ["nas/flat.py"]
    assert house["long_files"] == {"nas/flat.py": 401}
    assert house["without_mirrored_test"] == ["nas/flat.py", "nas/high/two.py"]
    assert (house["files"], house["modules"], house["functions"]) == (7, 3, 2)


def test_only_code_lines_count(small: Path) -> None:
    assert structure(small)["long_functions"] == {"nas/high/two.py:3 long": 41}


def test_a_folder_without_the_package(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no folder nas/: give a checkout"):
        structure(tmp_path)


def test_this_house_in_words_and_as_json(small: Path) -> None:
    program = [sys.executable, str(ROOT / "benchmarks" / "house.py")]
    words = subprocess.run(program, capture_output=True, text=True, check=True, cwd=small).stdout
    assert "circles of rooms 0\n" in words
    out = subprocess.run([*program, "--json", str(small)], capture_output=True, check=True).stdout
    assert json.loads(out) == structure(small)


def test_several_houses_are_a_table(small: Path) -> None:
    lines = list(table({"before": structure(small), "now": structure(small)}))
    assert lines[:2] == ["| | before | now |", "|---|---:|---:|"]
    assert "| circles of rooms | 1 (of 2) | 1 (of 2) |" in lines
    assert "| functions over 40 code lines | 1 of 2 | 1 of 2 |" in lines
    assert "| lines of the largest file | 401 | 401 |" in lines
