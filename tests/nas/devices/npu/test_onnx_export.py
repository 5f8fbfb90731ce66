"""ONNX files beside exported models, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas.devices.npu import onnx_export, requirements
from nas.devices.npu.onnx_export import check_exportable, compared, export_onnx
from nas.devices.npu.requirements import Machine
from nas.errors import ConfigError, ConversionError
from tests.helpers.npu_graphs import RandomBuilder, needs_extra, write_operation


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    without = replace(Machine.here(), packages={"onnx": "1.20"})
    monkeypatch.setattr(requirements.Machine, "here", lambda: without)
    with pytest.raises(ConfigError, match=r"--onnx needs the extra `npu` \(onnxruntime missing\)"):
        check_exportable()


@needs_extra
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_an_exported_file_computes_what_its_model_does(tmp_path: Path, dtype: str) -> None:
    import onnxruntime

    model = write_operation(tmp_path / "m.tflite", "RESIZE_BILINEAR", dtype)
    agreement = export_onnx(model, tmp_path / "m.onnx")
    assert (agreement.width, agreement.height, agreement.dtype) == (16, 12, dtype)
    assert agreement.largest <= (1e-5 if dtype == "float32" else 1)
    session = onnxruntime.InferenceSession(
        str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"]
    )
    assert session.get_inputs()[0].shape == [1, 12, 16, 16]


@needs_extra
def test_a_large_picture_is_compared_on_a_crop(tmp_path: Path) -> None:
    model = write_operation(tmp_path / "m.tflite", "TRANSPOSE_CONV", "int8", (1, 160, 144, 16))
    agreement = export_onnx(model, tmp_path / "m.onnx")
    assert (agreement.width, agreement.height) == (128, 128)
    assert agreement.mean < 1


@needs_extra
def test_a_form_that_computes_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_operation(tmp_path / "m.tflite", "RELU", "float32")
    rightly = onnx_export._by_onnxruntime
    monkeypatch.setattr(onnx_export, "_by_onnxruntime", lambda *a: rightly(*a) + np.float32(0.01))
    with pytest.raises(ConversionError, match=r"they differ by 0\.01 at most, 0\.01 in the mean"):
        export_onnx(model, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


@needs_extra
def test_what_is_not_one_picture_is_refused(tmp_path: Path) -> None:
    graph = RandomBuilder("float32", (1, 4, 4, 3))
    other = graph.add_input((1, 4, 4, 3))
    total = graph.add("ADD", [graph.input, other], (1, 4, 4, 3), graph.options("AddOptions"))
    content = graph.write([total], tmp_path / "two.tflite").read_bytes()
    with pytest.raises(ConfigError, match="two: expected one picture as input, and one output"):
        compared(content, "two")
