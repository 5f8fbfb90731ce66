"""What a phone is: model, chip, Android, processors, accelerators."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from nas.devices.adb.connection import Adb

_SCRIPT = r"""
getprop
echo '#accelerators'
service list 2>/dev/null | sed -n 's|.*neuralnetworks\.IDevice/\([^:]*\):.*|\1|p'
lshal 2>/dev/null | sed -n 's|.*neuralnetworks@[0-9.]*::IDevice/\([^ ]*\).*|\1|p'
echo '#commands'
command -v taskset
true
"""
SYNTHETIC_PROPERTY = "ro.portable_nas.synthetic"
"""Set by the emulated phone of the tests: its numbers must never pass for measured ones."""


@dataclass(frozen=True)
class PhoneInfo:
    """The lasting facts about a phone; an empty text where it does not tell one."""

    manufacturer: str
    model: str
    chip: str
    android: str
    sdk: int | None
    fingerprint: str
    abis: tuple[str, ...]
    accelerators: tuple[str, ...]
    has_taskset: bool
    synthetic: bool

    @property
    def source(self) -> str:
        """What its numbers are: "measured", or "synthetic" on an emulated phone."""
        return "synthetic" if self.synthetic else "measured"

    def to_dict(self) -> dict[str, Any]:
        """The facts as JSON types."""
        values = asdict(self)
        return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}


def read_info(adb: Adb) -> PhoneInfo:
    """The facts, in one command."""
    return parse_info(adb.shell(_SCRIPT, 20.0).stdout)


def parse_info(text: str) -> PhoneInfo:
    """The facts that the command printed."""
    head, _, tail = text.partition("#accelerators\n")
    accelerators, _, commands = tail.partition("#commands\n")
    values = dict(re.findall(r"^\[([^\]]+)\]: \[(.*)\]\r?$", head, re.MULTILINE))

    def first(*names: str) -> str:
        return next((values[name] for name in names if values.get(name)), "")

    sdk = first("ro.build.version.sdk")
    abis = first("ro.product.cpu.abilist", "ro.product.cpu.abi")
    return PhoneInfo(
        manufacturer=first("ro.product.manufacturer"),
        model=first("ro.product.model"),
        chip=first("ro.soc.model", "ro.board.platform", "ro.hardware"),
        android=first("ro.build.version.release"),
        sdk=int(sdk) if sdk.isdigit() else None,
        fingerprint=first("ro.build.fingerprint"),
        abis=tuple(abi for abi in abis.split(",") if abi),
        accelerators=tuple(dict.fromkeys(accelerators.split())),
        has_taskset="taskset" in commands,
        synthetic=values.get(SYNTHETIC_PROPERTY) == "1",
    )
