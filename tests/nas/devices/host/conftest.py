"""Networks for the host device, and scripts in the place of its worker."""

from pathlib import Path

import pytest

from nas.devices.host import worker as host_worker
from tests.helpers.artifacts import artifact, network

CONV = network("resize-bilinear", "relu")


@pytest.fixture
def model(tmp_path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(artifact(CONV, "float"))
    return path


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """Put a script in the place of the true worker."""

    def replace(code: str) -> None:
        path = tmp_path / "worker.py"
        path.write_text(f"import os, signal, sys, time\n{code}\n")
        monkeypatch.setattr(host_worker, "__file__", str(path))

    return replace
