"""`nas doctor`: what this computer and its phones lack, with a remedy for each line."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.console import emit_json, note, out, plain
from nas.cli.options import BinaryOption, JsonOption, LibrariesOption, LimitOption
from nas.errors import NasError

if TYPE_CHECKING:
    from nas.devices.adb.server import AdbServer
    from nas.devices.checkup.finding import Finding
    from nas.devices.phone.launch import PhoneOptions

HOST_FAILED, PHONE_FAILED = 1, 7
_COLOURS = {"ok": "green", "note": "dim", "warning": "yellow", "failed": "bold red"}


def doctor(
    device: Annotated[
        list[str] | None, typer.Option(help="adb:SERIAL; repeatable. [all that adb lists]")
    ] = None,
    server: Annotated[
        str, typer.Option("--adb-server", help="HOST[:PORT] of an adb server elsewhere.")
    ] = "",
    benchmark_binary: BinaryOption = None,
    npu_libraries: LibrariesOption = None,
    limit: LimitOption = None,
    json_: JsonOption = False,
) -> None:
    """Check this computer and its phones; each line says what was seen and what to do.

    The exit code is 0 where nothing failed, 1 where this computer lacks something, 7 where a phone
    can't be used. Notes and warnings are no failures.
    """
    from nas.devices.adb.server import AdbServer
    from nas.devices.phone.benchmark_tool import parse_binaries
    from nas.devices.phone.launch import PhoneOptions

    adb = AdbServer.parse(server) if server else AdbServer.from_environment()
    binaries = tuple(parse_binaries(list(benchmark_binary or ())).items())
    options = PhoneOptions(binaries=binaries, libraries=npu_libraries)
    findings = []
    for finding in _findings(adb, options, device):
        findings.append(finding)
        if not json_:
            _show(finding)
    if json_:
        emit_json("doctor", [finding.to_dict() for finding in findings])
    failed = [finding for finding in findings if finding.state == "failed"]
    if not json_:
        note(_summary(findings))
    if failed:
        host = any(finding.about == "host" for finding in failed)
        raise typer.Exit(HOST_FAILED if host else PHONE_FAILED)


def _findings(
    adb: AdbServer, options: PhoneOptions, devices: list[str] | None
) -> Iterator[Finding]:
    from nas.devices.adb.wire import AdbEntry
    from nas.devices.checkup.host import check_adb, check_host
    from nas.devices.checkup.phone import check_phone

    yield from check_host()
    yield from check_adb(adb)
    try:
        entries = adb.settled_entries()
    except NasError:
        entries = []  # told above
    if devices:
        listed = {entry.serial: entry for entry in entries}
        serials = [spec.removeprefix("adb:").partition("?")[0] for spec in devices]
        entries = [listed.get(serial, AdbEntry(serial, "absent")) for serial in serials]
    with ThreadPoolExecutor(max_workers=8) as pool:
        looks = pool.map(lambda entry: list(check_phone(adb, entry, options)), entries)
        for findings in looks:
            yield from findings


def _show(finding: Finding) -> None:
    colour = _COLOURS[finding.state]
    first, *more = _lines(f"{finding.about}, {finding.what}: {finding.seen}")
    out.print(f"[{colour}]{finding.state:<7}[/] {plain(first)}", highlight=False, soft_wrap=True)
    for line in [*more, *(_lines(finding.remedy) if finding.remedy else [])]:
        out.print(f"        {plain(line)}", highlight=False, soft_wrap=True)


def _lines(text: str) -> list[str]:
    """Break a text at words where a person's screen is narrow; a pipe gets it as it is."""
    width = max(out.width - 8, 40)
    if not out.is_terminal:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _summary(findings: list[Finding]) -> str:
    counts = {state: sum(f.state == state for f in findings) for state in _COLOURS}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count)
