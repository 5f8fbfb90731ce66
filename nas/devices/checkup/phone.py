"""The check-up of one phone: its connection, storage, tool, heat, battery, delegates, libraries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nas.devices.adb.connection import Adb
from nas.devices.adb.server import AdbServer
from nas.devices.adb.wire import AdbEntry
from nas.devices.checkup.finding import Finding, State
from nas.devices.failures import ADVICE, PhoneError
from nas.devices.phone.abilities import abilities
from nas.devices.phone.benchmark_tool import Tool
from nas.devices.phone.conditions import read_conditions
from nas.devices.phone.device import AdbDevice
from nas.devices.phone.fitness import Limits
from nas.devices.phone.idle_state import Habits
from nas.devices.phone.info import PhoneInfo, read_info
from nas.devices.phone.launch import PhoneOptions
from nas.devices.phone.presence import NOT_CONNECTED
from nas.devices.phone.tool_settings import default_delegate, file_flags
from nas.errors import NasError

LEAST_FREE_MB = 200.0
"""Free megabytes on a phone for a tool, a network and an NPU's libraries."""
_WANTED = {
    "gpu": (
        "result_file_path",
        "model_runtime_info_output_file",
        "gpu-precision",
        "require_full_delegation",
    ),
    "npu": ("compiler_plugin_library_path", "compiler_cache_path"),
}
"""Flags that newer CompiledModel tools have, by the delegate that needs them."""


def check_phone(server: AdbServer, entry: AdbEntry, options: PhoneOptions) -> Iterator[Finding]:
    """Look at a phone, line by line; it ends where the phone can't be asked any further."""
    name = f"adb:{entry.serial}"
    device = AdbDevice(entry.serial, options, server, tell=lambda text: None)
    try:
        device.check()
        adb = Adb(server, entry.serial)
        info = read_info(adb)
    except NasError as error:
        seen, remedy = _split(error, entry.serial)
        yield Finding(name, "connection", "failed", seen, remedy)
        return
    yield Finding(
        name,
        "connection",
        "ok",
        f"{info.model}, {info.chip}, Android {info.android}"
        + (" (emulated)" if info.synthetic else ""),
    )
    try:
        yield _storage(name, adb)
        tool, finding = _tool(name, device)
        yield finding
        yield from _fitness(name, adb)
        yield from _delegates(name, entry.serial, info, tool, options.libraries)
        if tool is not None and tool.compiled_model:
            yield _flags(name, tool)
    except PhoneError as error:
        seen, remedy = _split(error, entry.serial)
        yield Finding(name, "connection", "failed", seen, remedy)


def _split(error: NasError, serial: str) -> tuple[str, str]:
    """Split an error's line into what was seen and what to do."""
    text = str(error).removeprefix(f"phone {serial}").lstrip(": ").removeprefix("is ")
    if isinstance(error, PhoneError):
        remedy = ADVICE.get(error.failure.failure_class, "")
        if remedy and (text.endswith(f"; {remedy}") or error.failure.detail == NOT_CONNECTED):
            return text.removesuffix(f"; {remedy}"), remedy
    seen, _, remedy = text.partition("; ")
    return seen, remedy or "see docs/phones.md"


def _storage(name: str, adb: Adb) -> Finding:
    free = adb.free_bytes("/data/local/tmp")
    if free is None:
        return Finding(
            name, "storage", "note", "`df` does not tell", "look by hand: `adb shell df`"
        )
    seen = f"{free / 1e6:,.0f} MB free at /data/local/tmp"
    if free < LEAST_FREE_MB * 1e6:
        remedy = f"free {LEAST_FREE_MB:g} MB (its cache is /data/local/tmp/portable-nas)"
        return Finding(name, "storage", "failed", seen, remedy)
    return Finding(name, "storage", "ok", seen)


def _tool(name: str, device: AdbDevice) -> tuple[Tool | None, Finding]:
    try:
        tool = device.tool()
    except PhoneError:
        raise
    except NasError as error:
        seen, remedy = _split(error, device.serial)
        return None, Finding(name, "tool", "failed", seen, remedy)
    kind = "LiteRT's CompiledModel tool" if tool.compiled_model else "the classic tool"
    seen = f"{kind}, {len(tool.flags)} flags, {tool.path}"
    return tool, Finding(name, "tool", "ok", seen)


def _fitness(name: str, adb: Adb) -> Iterator[Finding]:
    state = read_conditions(adb)
    complaints = Limits.from_environment().complaints(state, Habits.of(adb.serial).look(state))
    battery = (
        "no battery" if state.battery_percent is None else f"battery {state.battery_percent} %"
    )
    heat = "" if state.thermal_status is None else f", thermal status {state.thermal_status}"
    load = "" if state.load is None else f", load {state.load:g} on {len(state.cores)} cores"
    for reason in complaints:
        kind = reason.split(" ")[0]
        remedies = {"hot": "let it cool down", "throttled": "let it cool down"}
        remedies |= {"low": "charge it", "busy": "end what runs there"}
        yield Finding(name, "fitness", "warning", reason, remedies.get(kind, "wait, or allow it"))
    if not complaints:
        yield Finding(name, "fitness", "ok", f"{battery}{heat}{load}")


def _delegates(
    name: str, serial: str, info: PhoneInfo, tool: Tool | None, libraries: Path | None
) -> Iterator[Finding]:
    if tool is None:
        return
    default = default_delegate(info.sdk).kind
    for row in abilities(serial, info, tool, libraries):
        what = f"delegate {row.delegate}"
        own = " (the default here)" if row.delegate == default else ""
        if not row.missing:
            yield Finding(name, what, "ok", f"can run{own}" + (f"; {row.note}" if row.note else ""))
            continue
        seen, _, remedy = row.missing.rpartition("; ")
        if not seen:
            seen, _, remedy = row.missing.partition(": ")
        state: State = "failed" if row.delegate == default else "note"
        remedy = remedy or "take another delegate with --delegate"
        yield Finding(name, what, state, f"{seen}{own}", remedy)


def _flags(name: str, tool: Tool) -> Finding:
    missing = [flag for flags in _WANTED.values() for flag in flags if not tool.knows(flag)]
    if missing:
        seen = f"the tool does not know {', '.join(f'--{flag}' for flag in missing)}"
        remedy = (
            "take a newer CompiledModel tool (LiteRT 2.2 or newer) with --benchmark-binary PATH"
        )
        return Finding(name, "tool's flags", "warning", seen, remedy)
    files = ", ".join(f"--{flag}" for flag in file_flags(tool))
    return Finding(name, "tool's flags", "ok", f"all that is used, files by {files}")
