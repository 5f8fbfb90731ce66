"""Emulated phones for every test of devices, and small artifacts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emulated_phone import models
from tests.helpers.phones import adb_server, own_folders, start_phone

__all__ = ["adb_server", "own_folders", "start_phone"]


@pytest.fixture
def unet(tmp_path: Path) -> Path:
    return models.small_unet(tmp_path / "unet.tflite")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return models.plain(tmp_path / "plain.tflite")
