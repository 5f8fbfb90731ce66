"""The chips that `npu:CHIP` names."""

from __future__ import annotations

import re

import pytest

from nas.devices import open_device
from nas.devices.npu.calibration import rows
from nas.devices.npu.chips import CHIPS, ESTIMATED_AS, chip_named
from nas.errors import ConfigError


def test_a_chip_by_its_device_name() -> None:
    chip = chip_named("npu:sm8650")
    assert (chip.stands_for, chip.hexagon, chip.compiler_name) == ("Galaxy S24", "v75", "SM8650")
    assert chip.estimated_as == ESTIMATED_AS
    assert chip_named("npu:SM8650") is chip
    assert chip_named("npu:qcs9075").estimated_as == CHIPS["qcs9075"].number


def test_an_unknown_chip_is_named_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"unknown chip 'sm8651'. Did you mean 'sm8650'\?"):
        open_device("npu:sm8651")
    with pytest.raises(ConfigError, match=re.escape("Did you mean 'npu:sm8650'?")):
        open_device("nqu:sm8650")


def test_every_chip_has_a_source_of_latencies() -> None:
    published = {row["device"] for row in rows("published.csv")}
    for chip in CHIPS.values():
        assert chip.simulated != (chip.published_device in published)
        assert open_device(chip.spec).spec == chip.spec
