"""The programs of an exported model: compiled where a compiler is, with its very scales."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from nas.errors import ConfigError
from nas.networks.candidate import Precision
from nas.report.programs import Form, cpp_program, form_of, kotlin_program
from nas.tflite.file import read_tflite
from tests.helpers.artifacts import SIDE, artifact, network

HEADERS = Path(__file__).parents[2] / "helpers" / "tflite_headers"
PRECISIONS: tuple[Precision, ...] = ("float", "int8-ptq", "int16-ptq")
TYPES = {"float32": (1, np.float32), "int8": (9, np.int8), "int16": (7, np.int16)}


@pytest.fixture(params=PRECISIONS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(artifact(network("resize-bilinear", "relu"), request.param))
    return path


def test_a_form_is_the_file_s_own(model: Path) -> None:
    form, file = form_of(model), read_tflite(model)
    assert (form.width, form.height) == (SIDE, SIDE)
    assert (form.input_dtype, form.output_dtype) == (file.inputs[0].dtype, file.outputs[0].dtype)
    quantization = file.outputs[0].quantization
    if quantization is not None:
        assert (form.output_scale, form.output_zero) == (
            quantization.scales[0], quantization.zero_points[0],
        )  # fmt: skip


def test_the_c_program_compiles_and_does_what_the_scales_say(model: Path, tmp_path: Path) -> None:
    """Over a network that gives its input back: what is left are the program's own conversions."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler: g++ is not installed")
    form = form_of(model)
    source, program = tmp_path / "restore.cpp", tmp_path / "restore"
    source.write_text(cpp_program(form, "A title"))
    options = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-I", str(HEADERS)]
    subprocess.run([compiler, *options, str(source), "-o", str(program)], check=True)
    picture = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    picture.reshape(-1)[:256] = np.arange(256)
    blurred, restored, stand_in = (tmp_path / name for name in ("a.ppm", "b.ppm", "model.txt"))
    head = f"P6\n{SIDE} {SIDE}\n255\n".encode()
    blurred.write_bytes(head + picture.tobytes())
    code, dtype = TYPES[form.input_dtype]
    stand_in.write_text(f"{code} {picture.size * np.dtype(dtype).itemsize}")
    command = [str(program), str(stand_in), str(blurred), str(restored)]
    subprocess.run(command, check=True)
    found = np.frombuffer(restored.read_bytes().removeprefix(head), np.uint8)
    assert np.array_equal(found, _through(form, picture).reshape(-1))
    stand_in.write_text(f"{code} 5")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "not the model that this program was written for" in done.stderr
    blurred.write_bytes(b"P6\n8 8\n255\n" + bytes(192))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"expected {SIDE}x{SIDE} pixels, but it has 8x8" in done.stderr


def _through(form: Form, picture: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """What NumPy makes of the picture: into the model's numbers, and back by its output's."""
    values = picture.astype(np.float32) / np.float32(255)
    if form.input_scale:
        limits = np.iinfo(TYPES[form.input_dtype][1])
        numbers = np.rint(values / np.float32(form.input_scale)) + form.input_zero
        numbers = np.clip(numbers, limits.min, limits.max)
        values = (numbers - form.output_zero) * np.float32(form.output_scale)
    return np.rint(np.clip(values, 0, 1).astype(np.float32) * np.float32(255)).astype(np.uint8)


def test_the_kotlin_class_has_the_same_constants(model: Path) -> None:
    form = form_of(model)
    text = kotlin_program(form, "A title")
    found = dict(re.findall(r"const val (\w+) = (\S+)", text))
    wanted = {"WIDTH": SIDE, "HEIGHT": SIDE}
    bytes_ = np.dtype(TYPES[form.input_dtype][1]).itemsize
    wanted |= {"INPUT_BYTES": bytes_, "OUTPUT_BYTES": bytes_}
    if form.input_scale:
        wanted |= {"INPUT_ZERO": form.input_zero, "OUTPUT_ZERO": form.output_zero}
        for name, scale in (("INPUT", form.input_scale), ("OUTPUT", form.output_scale)):
            written = np.float32(found.pop(f"{name}_SCALE").removesuffix("f"))
            assert written == np.float32(scale)
    assert {name: int(value) for name, value in found.items()} == wanted
    assert "$" not in text.replace("${WIDTH * HEIGHT}", "").replace("${pixels.size}", "")
    for opening, closing in ("()", "[]", "{}"):
        assert text.count(opening) == text.count(closing)


def test_the_kotlin_class_is_kotlin(model: Path) -> None:
    """Its grammar: no Kotlin compiler and no Android library is asked."""
    kotlin = pytest.importorskip("tree_sitter_kotlin", reason="no parser of Kotlin is installed")
    tree_sitter = pytest.importorskip("tree_sitter", reason="no parser of Kotlin is installed")
    parser = tree_sitter.Parser(tree_sitter.Language(kotlin.language()))
    text = kotlin_program(form_of(model), "A title")
    tree = parser.parse(text.encode()).root_node
    assert not tree.has_error, tree
    (made,) = [node for node in tree.children if node.type == "class_declaration"]
    body = next(node for node in made.children if node.type == "class_body")
    named = [node.child_by_field_name("name") for node in body.children]
    names = {node.text.decode() for node in named if node is not None}
    assert {"restore", "close", "buffer", "eightBit"} <= names
    assert parser.parse(text.replace("IntArray): ", "IntArray: ").encode()).root_node.has_error


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ConfigError, match=r"model\.tflite"):
        form_of(path)
