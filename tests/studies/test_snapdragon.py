"""The study over four Galaxy phones' NPUs: its parts fit together."""

from __future__ import annotations

import numpy as np

from nas.devices import open_device
from nas.devices.npu.device import NpuDevice
from nas.networks.candidate import PRECISIONS
from nas.networks.graph import check_size
from nas.predictor.design import RandomTrial
from studies import STUDIES

STUDY = STUDIES["snapdragon"]


def test_its_devices_are_four_phones_and_its_reference_is_the_papers_network_in_int8() -> None:
    STUDY.check()
    devices = [open_device(spec) for spec in STUDY.devices]
    phones = [device.chip.stands_for for device in devices if isinstance(device, NpuDevice)]
    assert phones == ["Galaxy S22", "Galaxy S24", "Galaxy S25", "Galaxy S26"]
    reference = STUDY.reference_candidate
    assert reference is not None
    macs = reference.architecture.graph().macs(720, 1280)
    assert round(macs.conv / 1e9) == 256  # as published
    assert reference.compression.precision == "int8-ptq"


def test_every_network_of_its_space_takes_its_pictures_and_its_patches() -> None:
    random = np.random.default_rng(0)
    precisions = set()
    for _ in range(50):
        candidate = STUDY.sample(RandomTrial(random))
        graph, (width, height) = candidate.architecture.graph(), STUDY.size
        check_size(graph.reduction, height, width)
        check_size(graph.reduction, STUDY.schedule.patch, STUDY.schedule.patch)
        precisions.add(candidate.compression.precision)
    assert precisions == set(PRECISIONS) - {"int8-qat"}
