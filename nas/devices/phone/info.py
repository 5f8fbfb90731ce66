"""The lasting facts about a phone: model, chip, Android, processors, accelerators."""

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
echo '#libraries'
for folder in /vendor/lib64 /system/vendor/lib64/egl /vendor/lib64/egl /system/lib64; do
  for name in libOpenCL.so libOpenCL-pixel.so libPVROCL.so libGLES_mali.so libedgetpu_litert.so \
      libenn_public_api_cpp.so libneuronusdk_adapter.mtk.so; do
    [ -e $folder/$name ] && echo $name
  done
done
true
"""
SYNTHETIC_PROPERTY = "ro.portable_nas.synthetic"
"""Set by the emulated phone of the tests: its numbers must never pass for measured ones."""


@dataclass(frozen=True)
class PhoneInfo:
    """The lasting facts about a phone; an empty text is a fact that the phone does not tell.

    `fingerprint` names its build, `sdk` is Android's API level, `abis` are its processors' binary
    interfaces, best first, `accelerators` NNAPI's drivers by name. `libraries` are those of its GPU
    and NPU that were looked for in its system and found. `synthetic`: it is the emulated phone of
    the tests.
    """

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
    libraries: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The source of the phone's figures: "measured", or "synthetic" on an emulated phone."""
        return "synthetic" if self.synthetic else "measured"

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON types."""
        values = asdict(self)
        return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}


def read_info(adb: Adb) -> PhoneInfo:
    """Read the facts in one command; raises PhoneError as `Adb.shell`."""
    return parse_info(adb.shell(_SCRIPT, 20.0).stdout)


def parse_info(text: str) -> PhoneInfo:
    """Parse the output of `read_info`'s command."""
    head, _, tail = text.partition("#accelerators\n")
    accelerators, _, tail = tail.partition("#commands\n")
    commands, _, libraries = tail.partition("#libraries\n")
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
        libraries=tuple(dict.fromkeys(libraries.split())),
    )
