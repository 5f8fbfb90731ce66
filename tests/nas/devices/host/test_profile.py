"""LiteRT's profile of a file on this machine, taken for real."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.devices.host.profile import profile_on_host
from nas.errors import ConfigError, DeviceStableError
from nas.tflite.file import read_tflite
from tests.helpers.artifacts import artifact, network


def test_every_convolution_of_a_file_has_its_time(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(artifact(network("resize-bilinear", "relu"), "float"))
    rows = profile_on_host(path, threads=1, runs=2)
    assert all(row.average_ms >= 0 for row in rows)
    assert sum(row.average_ms for row in rows) > 0
    convolutions = [row for row in rows if "Convolution" in row.node_type]
    assert len(convolutions) == read_tflite(path).operation_counts["CONV_2D"]


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"no network")
    with pytest.raises(ConfigError, match=r"model\.tflite"):
        profile_on_host(path, threads=1)


def test_a_file_that_litert_can_t_run_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    content = bytearray(artifact(network("resize-bilinear", "relu"), "float"))
    path.write_bytes(content)
    with pytest.raises(DeviceStableError, match="LiteRT can't profile"):
        profile_on_host(path, threads=1, runs=0)
