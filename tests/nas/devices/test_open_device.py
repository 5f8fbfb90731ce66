"""Which spec opens which device, and which devices are phones."""

from __future__ import annotations

import pytest

from nas.devices import Phone, open_device
from nas.errors import ConfigError


def test_a_phone_over_adb_can_be_unplugged_and_set_aside() -> None:
    phone = open_device("adb:NOBODY?delegate=gpu")
    assert phone.spec == "adb:NOBODY?delegate=gpu"
    assert isinstance(phone, Phone)
    assert (phone.failures_in_a_row, phone.set_aside) == (0, False)


@pytest.mark.parametrize("spec", ["host", "paper:pixel-4"])
def test_devices_that_are_always_there_are_no_phones(spec: str) -> None:
    device = open_device(spec)
    assert device.spec == spec
    assert not isinstance(device, Phone)


def test_an_unknown_spec_is_told_with_the_valid_ones() -> None:
    with pytest.raises(ConfigError, match=r"unknown device 'hots'.*'host'"):
        open_device("hots")
