"""The operations of the paper's networks."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from nas.devices.paper_phones import networks, published

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    ("name", "gmacs"),
    [("edsr", 247.90), ("rdn", 242.71), ("dbpn", 241.41), ("fpn", 250.19), ("sgn", 246.31),
     ("unet-transposeconv-relu", 237.76), ("unet-depthtospace-relu", 222.25),
     ("unet-resizebilinear-prelu", 255.69)],
)  # fmt: skip
def test_macs_of_the_operations(name: str, gmacs: float) -> None:
    steps = networks.network(name).steps
    assert sum(step.conv_macs for step in steps) / 1e9 == pytest.approx(gmacs, abs=0.005)


def test_pruned_networks_come_near_their_macs() -> None:
    for row in published.rows():
        if row.pruned_percent is not None:
            steps = networks.network(row.network, row.pruned_percent).steps
            missing = row.gmacs - sum(step.conv_macs for step in steps) / 1e9
            assert 0 <= missing < 2.5  # biases, poolings, and widths are whole channels


def test_operations_are_those_of_the_search_spaces() -> None:
    program: Any = _program("published_operations")
    assert (published.FOLDER / "operations.csv").read_text() == program.content()


def _program(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
