"""Names of devices for people."""

from __future__ import annotations

from nas.devices.names import DeviceName, device_name, distinct_names

CONDITIONS = {
    "phone": {"model": "Mate30-like", "chip": "kirin990-like", "android": "10"},
    "tool": {"sha256": "abc"},
}


def test_a_phones_name_has_its_model_chip_and_android() -> None:
    found = device_name("adb:S1?delegate=gpu", CONDITIONS)
    assert (found.name, found.serial, found.options) == ("Mate30-like", "S1", "gpu")
    assert found.full == "Mate30-like, kirin990-like, Android 10 (adb:S1?delegate=gpu)"
    assert found.to_dict() == {
        "full_name": found.full,
        "device": "adb:S1?delegate=gpu",
        "name": "Mate30-like",
        "serial": "S1",
        "options": "gpu",
        "processor": "kirin990-like",
        "android": "10",
        "tool_sha256": "abc",
    }


def test_a_precision_is_part_of_the_name() -> None:
    found = device_name("adb:S1?delegate=gpu&precision=fp32&strict=true&binary=x", CONDITIONS)
    assert found.options == "gpu, fp32, strict"


def test_a_phone_that_was_never_measured_keeps_its_spec() -> None:
    assert device_name("adb:S1", {}).full == "adb:S1"


def test_equal_names_get_their_options_or_else_their_serials() -> None:
    rows = [
        DeviceName("a", "Mate", "S1", "gpu"),
        DeviceName("b", "Mate", "S2"),
        DeviceName("c", "Mate", "S3"),
        DeviceName("d", "Reno", "S4", "gpu"),
    ]
    names = [row.name for row in distinct_names(rows)]
    assert names == ["Mate, gpu", "Mate, S2", "Mate, S3", "Reno"]
