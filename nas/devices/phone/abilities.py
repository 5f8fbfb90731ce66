"""Which delegates a phone can run, and what is missing for the others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nas.devices.phone.benchmark_tool import CACHE_FOLDER, Tool
from nas.devices.phone.info import PhoneInfo
from nas.devices.phone.npu_libraries import choose_npu_libraries, known_chip
from nas.errors import ConfigError

_NNAPI_DEPRECATED_SDK = 35
_OPENCL = ("libOpenCL", "libPVROCL", "libGLES_mali")


@dataclass(frozen=True)
class Ability:
    """One delegate on one phone: `missing` tells why it can't run there, "" where it can.

    `note` is worth knowing all the same.
    """

    delegate: str
    missing: str = ""
    note: str = ""


def abilities(
    serial: str, info: PhoneInfo, tool: Tool | None, libraries: Path | None
) -> tuple[Ability, ...]:
    """Return the phone's abilities: gpu, npu, nnapi, cpu, in this order.

    `tool` is None where the phone has no benchmark tool. `libraries` is a folder here with the
    NPU's libraries, None where nobody named one.
    """
    if tool is None:
        kinds = ("gpu", "npu", "nnapi", "cpu")
        return tuple(Ability(kind, "there is no benchmark tool") for kind in kinds)
    return (_gpu(info, tool), _npu(serial, info, tool, libraries), _nnapi(info, tool), _cpu(tool))


def _gpu(info: PhoneInfo, tool: Tool) -> Ability:
    if not tool.knows("use_gpu"):
        return Ability("gpu", "the benchmark tool does not know --use_gpu")
    seen = any(name.startswith(_OPENCL) for name in info.libraries)
    return Ability("gpu", note="" if seen else "no OpenCL library is seen there: OpenGL, slower")


def _npu(serial: str, info: PhoneInfo, tool: Tool, libraries: Path | None) -> Ability:
    if not tool.knows("use_npu"):
        return Ability("npu", "the classic tool has no NPU: give LiteRT's CompiledModel one")
    try:
        chip = known_chip(serial, info.chip)
        choose_npu_libraries(serial, chip, info.abis, libraries, CACHE_FOLDER)
    except ConfigError as error:
        text = str(error).removeprefix(f"phone {serial}: ")
        return Ability("npu", text.partition("): ")[2] or text)
    if chip.on_the_phone is not None and chip.on_the_phone not in info.libraries:
        return Ability("npu", f"the phone's own system has no {chip.on_the_phone}")
    return Ability("npu")


def _nnapi(info: PhoneInfo, tool: Tool) -> Ability:
    if not tool.knows("use_nnapi"):
        return Ability("nnapi", "the CompiledModel tool has no NNAPI: give the classic one")
    if not info.accelerators:
        return Ability("nnapi", "the phone has no driver of NNAPI")
    old = info.sdk is not None and info.sdk >= _NNAPI_DEPRECATED_SDK
    return Ability("nnapi", note="deprecated since Android 15" if old else "")


def _cpu(tool: Tool) -> Ability:
    known = tool.knows("use_xnnpack") or tool.knows("use_cpu")
    return Ability("cpu", "" if known else "the benchmark tool does not know --use_xnnpack")
