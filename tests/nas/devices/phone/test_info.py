"""The lasting facts of a phone, as its own commands print them."""

from __future__ import annotations

from nas.devices.phone.info import PhoneInfo, parse_info

TEXT = """[ro.product.manufacturer]: [Maker]\r
[ro.product.model]: [Phone 5G]
[ro.board.platform]: [kirin990]
[ro.build.version.release]: [10]
[ro.build.version.sdk]: [29]
[ro.build.fingerprint]: [maker/phone:10/X/1]
[ro.product.cpu.abilist]: [arm64-v8a,armeabi-v7a]
#accelerators
liteadaptor
armnn
liteadaptor
#commands
/system/bin/taskset
"""


def test_every_fact() -> None:
    assert parse_info(TEXT) == PhoneInfo(
        manufacturer="Maker",
        model="Phone 5G",
        chip="kirin990",
        android="10",
        sdk=29,
        fingerprint="maker/phone:10/X/1",
        abis=("arm64-v8a", "armeabi-v7a"),
        accelerators=("liteadaptor", "armnn"),
        has_taskset=True,
        synthetic=False,
    )


def test_a_phone_that_tells_nothing() -> None:
    found = parse_info("")
    assert found == PhoneInfo("", "", "", "", None, "", (), (), False, False)
    assert found.source == "measured"


def test_figures_of_an_emulated_phone_are_synthetic() -> None:
    found = parse_info("[ro.portable_nas.synthetic]: [1]\n" + TEXT)
    assert found.source == "synthetic"
    assert found.to_dict()["abis"] == ["arm64-v8a", "armeabi-v7a"]
