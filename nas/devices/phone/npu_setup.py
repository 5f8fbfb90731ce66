"""The vendor's libraries of a session on a phone: where they are, and the flags that name them."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from nas.devices.adb.connection import Adb
from nas.devices.delegate import Delegate
from nas.devices.logs import LogReport
from nas.devices.phone.benchmark_tool import CACHE_FOLDER, Tool
from nas.devices.phone.info import PhoneInfo
from nas.devices.phone.npu_chips import AOT_OPERATION, NpuChip
from nas.devices.phone.npu_libraries import (
    Libraries,
    choose_gpu_library,
    choose_npu_libraries,
    known_chip,
    send_libraries,
    there_already,
)
from nas.devices.phone.tool_settings import COMPILED_FOLDER, npu_flags
from nas.tflite.file import TfliteFile

_DONE = {
    "now": "at every start",
    "every time": "at every start",
    "kept": "once, then kept",
    "ahead": "ahead of time",
}


@final
@dataclass(frozen=True)
class NpuSetup:
    """What a session needs of a vendor: its libraries, and the chip where the NPU is to be used.

    `ahead`: the network in question was compiled for the NPU ahead of time. Without libraries the
    set-up is empty: nothing is sent, and no flag is added.
    """

    libraries: Libraries | None = None
    chip: NpuChip | None = None
    ahead: bool = False

    def send(self, adb: Adb, progress: Callable[[int, int], None] | None) -> None:
        """Put the libraries on a phone that is held; raises PhoneError as `Adb.push`."""
        if self.libraries is not None:
            send_libraries(adb, self.libraries, CACHE_FOLDER, progress)

    def flags(self, tool: Tool) -> dict[str, str]:
        """Return the tool's flags for the NPU."""
        if self.libraries is None or self.chip is None:
            return {}
        return npu_flags(tool, self.chip, self.libraries, self.ahead)

    def forget_compiled(self, adb: Adb) -> None:
        """Empty the compiler's folder on the phone, so that the next launch compiles."""
        if self.chip is not None:
            folder = shlex.quote(COMPILED_FOLDER)
            adb.shell(f"rm -rf {folder}; mkdir -p {folder}")

    def of(self, file: TfliteFile) -> NpuSetup:
        """Return the set-up for one network."""
        return replace(self, ahead=any(step.name == AOT_OPERATION for step in file.operations))

    def conditions(self, first: LogReport, timed: LogReport) -> dict[str, Any]:
        """Return the libraries, the chip and when the network was compiled, as JSON types."""
        if self.libraries is None:
            return {}
        values: dict[str, Any] = {"libraries": self.libraries.to_dict()}
        if self.chip is not None:
            log = timed.benchmark.compilation or first.benchmark.compilation
            values["npu"] = {"vendor": self.chip.vendor, "generation": self.chip.generation}
            values["npu"]["performance_mode"] = self.chip.mode
            values["npu"]["compiled"] = _DONE.get("ahead" if self.ahead else log or "")
        return values


def npu_setup(adb: Adb, info: PhoneInfo, delegate: Delegate, folder: Path | None) -> NpuSetup:
    """Find what a delegate needs on a phone, in `folder` here or in the delegate's folder there.

    Raises ConfigError, with names, where something is missing or does not fit.
    """
    serial = adb.serial
    if delegate.kind == "gpu" and folder is not None:
        return NpuSetup(choose_gpu_library(serial, info.abis, folder, CACHE_FOLDER))
    if delegate.kind != "npu":
        return NpuSetup()
    chip = known_chip(serial, info.chip)
    if delegate.detail is not None:
        return NpuSetup(there_already(adb, chip, delegate.detail), chip)
    return NpuSetup(choose_npu_libraries(serial, chip, info.abis, folder, CACHE_FOLDER), chip)
