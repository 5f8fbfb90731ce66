from __future__ import annotations

import pytest

from nas.devices.gpus import may_use_gpu


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("host", False),
        ("npu:sm8650", False),
        ("paper:mate30", False),
        ("gpu", True),
        ("gpu?precision=fp32", True),
        ("adb:A", True),
        ("adb:A@lab:5037?delegate=gpu&precision=fp32", True),
        ("adb:A?delegate=nnapi", False),
        ("adb:A?delegate=npu", False),
        ("adb:A?protocol=paper", False),
        ("adb:A?protocol=paper&delegate=gpu", True),
    ],
)
def test_devices_that_may_be_gpus(device: str, expected: bool) -> None:
    assert may_use_gpu(["host", device]) is expected
