"""What tests of logs share."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.tflite.file import Operation, read_tflite
from tests.emulated_phone import models


@pytest.fixture
def unet_operations(tmp_path: Path) -> list[Operation]:
    """The operations of a small network."""
    return list(read_tflite(models.plain(tmp_path / "m.tflite")).operations)
