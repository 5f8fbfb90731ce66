"""The README's and the documents' commands are commands, and their programs run."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.command_lines import check_command_line

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = DOCUMENTS[0].read_text()


def _commands(text: str) -> list[str]:
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    whole = [re.sub(r"\\\n\s*", "", block) for block in blocks]  # a command of several lines
    lines = [line.strip().removeprefix("$ ") for block in whole for line in block.splitlines()]
    inline = re.findall(r"`((?:nas|make) [^`]+)`", text)
    known = [line for line in [*lines, *inline] if re.match(r"(nas [a-z]|make )", line)]
    return sorted({line.split("#")[0].split(" > ")[0].split(" | ")[0].strip() for line in known})


COMMANDS = sorted(
    {(str(d.relative_to(ROOT)), command) for d in DOCUMENTS for command in _commands(d.read_text())}
)


def test_there_are_commands() -> None:
    names = {command for document, command in COMMANDS if document == "README.md"}
    assert {"nas demo", "nas search quickstart --out runs/a"} <= names
    assert {"make quickstart", "make test"} <= names
    assert {document for document, _ in COMMANDS} >= {"docs/start/install.md", "docs/phones.md"}


def test_what_pip_installs_is_there() -> None:
    text = "\n".join(document.read_text() for document in DOCUMENTS)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set(re.findall(r"pip install [^`\n]*'(?:\.|portable-nas)\[(\w[\w-]*)\]'", text))
    assert {"npu"} <= extras <= set(project["optional-dependencies"])
    wheels = set(re.findall(r"dist/(\S+\.whl)", text))
    assert wheels == {f"portable_nas-{project['version']}-py3-none-any.whl"}


@pytest.mark.parametrize(("document", "command"), COMMANDS)
def test_every_command_is_one(
    document: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if command.startswith("make "):
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert command.split()[1] in targets, document
    else:
        check_command_line(command, tmp_path, monkeypatch)


def _program(page: str, marker: str) -> str:
    text = (ROOT / "docs" / page).read_text()
    return next(b for b in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if marker in b)


@pytest.mark.parametrize("precision", ["float", "int8-ptq"])
def test_the_program_of_a_models_user_needs_litert_only(tmp_path: Path, precision: str) -> None:
    from nas.compression.convert import convert_untrained
    from nas.training.schedule import Schedule
    from search_spaces import UNet

    graph = UNet("depth-to-space", "relu", (4, 8), 1, 3, True).graph()
    schedule = Schedule(steps=1, identity_start=True)
    model = tmp_path / "model.tflite"
    model.write_bytes(convert_untrained(graph, 48, 64, precision, schedule))
    photo = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    blocked = "import sys\nfor name in ('tensorflow', 'nas'): sys.modules[name] = None\n"
    program = tmp_path / "restore.py"
    program.write_text(blocked + _program("tutorials/ship.md", "Interpreter"))
    subprocess.run(
        [sys.executable, str(program), "model.tflite", "photo.png"], cwd=tmp_path, check=True
    )
    restored = np.asarray(Image.open(tmp_path / "restored.png"))
    assert restored.shape == photo.shape
    difference = np.abs(restored.astype(float) - photo).mean()
    assert difference < 40  # an untrained network near the identity, not noise or black


def test_the_python_program_runs(tmp_path: Path) -> None:
    shorter = 'trials=1, schedule=replace(STUDIES["quickstart"].schedule, steps=60)'
    program = tmp_path / "program.py"
    program.write_text(_program("start/quickstart.md", "STUDIES").replace("trials=3", shorter))
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"unet-\S+ .* \d+\.\d+ \d+\.\d+", done.stdout)


def test_the_sampler_works_in_a_plain_study(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(_program("how-to/sampler-in-optuna.md", "EhviSampler"))
    done = subprocess.run(
        [sys.executable, str(program)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    front = eval(done.stdout)
    assert len(front) >= 3
    assert all(latency_ms <= 9 for _, (_, latency_ms) in front)  # the constraint


def test_the_sampler_looks_in_a_plain_study(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(_program("how-to/sampler-in-optuna.md", "look=lambda"))
    done = subprocess.run(
        [sys.executable, str(program)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "Warning" not in done.stderr  # Optuna logs there; no look failed
    assert len(eval(done.stdout)) >= 3


def test_the_study_of_ones_own_loads(tmp_path: Path) -> None:
    from nas.cli.search import load_study
    from nas.data import open_dataset

    text = (ROOT / "docs/studies.md").read_text()
    program, other = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "another_task.py").write_text(other)
    denoising = load_study(str(tmp_path / "another_task.py"))
    denoising.check()
    assert open_dataset(denoising.data).split == "photos-noise25-heldout"
    path = tmp_path / "a_study_of_ones_own.py"
    path.write_text(program)
    study = load_study(str(path))
    assert (study.name, study.data) == ("mine", "pairs:BLURRED_DIR,SHARP_DIR")
    assert not any(side % study.space.reduction for side in (*study.size, study.schedule.patch))
    told = set(re.findall(r"`([a-z_]+)(?:\[DEVICE\])?`", text.split("## Figures")[1]))
    figures = {m.split("[")[0] for e in study.evaluators for m in e.metrics(study.devices)}
    assert figures - {"psnr_db_input"} <= told


def test_the_pictures_are_there() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            path = (document.parent / target).resolve()
            made = path.is_relative_to(ROOT / "docs") and _made(path)
            assert path.exists() or made, f"{document.relative_to(ROOT)}: {target}"


def test_the_readme_has_its_picture_in_both_lights() -> None:
    shown = re.findall(r'(?:srcset|src)="([^"]+)"', README)
    assert len(shown) == 2
    for name in shown:
        assert 100_000 < (ROOT / name).stat().st_size < 1_000_000, name


def _made(path: Path) -> bool:
    """Whether the site makes the page from the code."""
    from documentation.reference import PAGES

    name = path.relative_to(ROOT / "docs").as_posix()
    return name in PAGES or name == "project/changelog.md"


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120
