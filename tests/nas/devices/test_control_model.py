"""The control model runs, and is written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.devices.control_model import control_model
from nas.tflite.file import read_tflite


def test_the_control_model_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path))
    path = control_model()
    assert read_tflite(path).conv_macs == 9 * 128 * 128 * (3 * 16 + 16 * 16 + 16 * 3)
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.invoke()
    assert interpreter.get_output_details()[0]["shape"].tolist() == [1, 128, 128, 3]
    assert control_model().stat().st_mtime_ns == path.stat().st_mtime_ns
