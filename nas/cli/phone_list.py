"""The phones that `nas devices` lists: their state, and which delegates each can run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.cli.console import err, print_table, table
from nas.cli.modelled import blank_row
from nas.errors import NasError


@dataclass(frozen=True)
class ToolFiles:
    """What the user named for phones: benchmark binaries, and the folder of NPU libraries."""

    binaries: tuple[str, ...]
    libraries: Path | None


def device_rows(
    server: str, connect: list[str], threads: int, files: ToolFiles
) -> list[dict[str, Any]]:
    """Connect to the given addresses and describe every phone that adb then lists."""
    from concurrent.futures import ThreadPoolExecutor

    from nas.devices.adb.server import AdbServer

    adb_server = AdbServer.parse(server) if server else AdbServer.from_environment()
    adb_server.ensure()
    answers = {address: adb_server.connect(address) for address in connect}
    entries = adb_server.settled_entries()
    _tell_unconnected(answers, {entry.serial for entry in entries})
    suffix = f"@{server}" if server else ""
    with ThreadPoolExecutor(max_workers=8) as pool:
        rows = pool.map(lambda e: _device_row(adb_server, e, suffix, threads, files), entries)
        return list(rows)


def show_devices(rows: list[dict[str, Any]]) -> None:
    """Print the phones as a table, and below it what each lacks or why it is not fit."""
    columns = {"device": "left", "state": "left", "model": "left", "chip": "left"}
    columns |= {"Android": "left", "NNAPI drivers": "left", "runs": "left", "mask": "right"}
    columns |= {"battery": "right", "thermal": "right"}
    print_table(table("", columns, [_cells(row) for row in rows]))
    for row in rows:
        if row["advice"]:
            err.print(f"{row['serial']}: {row['advice']}", highlight=False)
        reasons: dict[str, list[str]] = {}
        for delegate, missing in (row["missing_for"] or {}).items():
            reasons.setdefault(missing, []).append(delegate)
        for missing, delegates in reasons.items():
            text = f"{row['serial']}, {', '.join(delegates)}: {missing}"
            err.print(text, highlight=False, markup=False, soft_wrap=True)


def _tell_unconnected(answers: dict[str, str], listed: set[str]) -> None:
    """Print adb's answer for each address that it does not list after all."""
    for address, words in answers.items():
        if not {address, f"{address}:5555"} & listed:
            err.print(f"{address} is not connected; adb said: {words.strip()}", highlight=False)


def _device_row(
    server: Any, entry: Any, suffix: str, threads: int, files: ToolFiles
) -> dict[str, Any]:
    from nas.devices.adb.connection import Adb
    from nas.devices.phone.conditions import read_conditions, strongest_mask
    from nas.devices.phone.device import AdbDevice
    from nas.devices.phone.fitness import Limits
    from nas.devices.phone.idle_state import Habits
    from nas.devices.phone.info import read_info

    row = blank_row() | {"device": f"adb:{entry.serial}{suffix}", "kind": "phone"}
    row |= {"serial": entry.serial, "state": entry.state, "model": None, "chip": None}
    row |= {"accelerators": None, "source": None, "fit": None, "advice": ""}
    try:
        AdbDevice(entry.serial, server=server).check()
        adb = Adb(server, entry.serial)
        info, conditions = read_info(adb), read_conditions(adb)
    except NasError as error:
        return {**row, "advice": str(error)}
    usual = Habits.of(entry.serial).look(conditions)
    complaints = Limits.from_environment().complaints(conditions, usual)
    return row | {
        "model": info.model,
        "manufacturer": info.manufacturer,
        "chip": info.chip,
        "android": info.android,
        "sdk": info.sdk,
        "build": info.fingerprint,
        "abis": list(info.abis),
        "accelerators": list(info.accelerators),
        "source": info.source,
        "big_core_mask": strongest_mask(conditions.cores, threads),
        "battery_percent": conditions.battery_percent,
        "thermal_status": conditions.thermal_status,
        "fit": not complaints,
        "usual": usual.to_dict(),
        "advice": f"not fit to measure now: {', '.join(complaints)}" if complaints else "",
        **_delegates(server, entry.serial, info, files),
    }


def _delegates(server: Any, serial: str, info: Any, files: ToolFiles) -> dict[str, Any]:
    """Tell which delegates a phone can run, what the others lack, and which one is the default."""
    from nas.devices.phone.abilities import abilities
    from nas.devices.phone.benchmark_tool import parse_binaries
    from nas.devices.phone.device import AdbDevice
    from nas.devices.phone.launch import PhoneOptions
    from nas.devices.phone.tool_settings import default_delegate

    options = PhoneOptions(binaries=tuple(parse_binaries(list(files.binaries)).items()))
    tool, why = None, ""
    try:
        tool = AdbDevice(serial, options, server, tell=lambda text: None).tool()
    except NasError as error:
        why = str(error).removeprefix(f"phone {serial}: ")
    rows = abilities(serial, info, tool, files.libraries)
    missing = {row.delegate: why or row.missing for row in rows if row.missing}
    return {
        "delegates": [row.delegate for row in rows if not row.missing],
        "missing_for": missing,
        "default_delegate": default_delegate(info.sdk).kind,
    }


def _cells(row: dict[str, Any]) -> list[str]:
    battery, thermal = row["battery_percent"], row["thermal_status"]
    return [
        row["device"],
        row["state"],
        (row["model"] or "") + (" (synthetic)" if row["source"] == "synthetic" else ""),
        row["chip"] or "",
        row["android"] or "",
        ", ".join(row["accelerators"] or []),
        ", ".join(_marked(row)),
        row["big_core_mask"] or "",
        f"{battery} %" if battery is not None else "",
        str(thermal) if thermal is not None else "",
    ]


def _marked(row: dict[str, Any]) -> list[str]:
    """List the delegates that a phone runs; a star marks the one that is taken by default."""
    return [
        f"{delegate}*" if delegate == row["default_delegate"] else delegate
        for delegate in row["delegates"] or []
    ]
