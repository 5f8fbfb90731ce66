"""`nas devices`, `nas probe` and `nas parse-log`: phones, what they accelerate, what a log says."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli import complete
from nas.cli.console import emit_json, err, note, out, print_table, table
from nas.cli.modelled import blank_row
from nas.cli.options import BinaryOption, DelegateOption, JsonOption, LimitOption, ProtocolOption
from nas.errors import ConfigError, NasError

if TYPE_CHECKING:
    pass


def phone_spec(
    device: str, delegate: str | None, protocol: str | None, binaries: list[str] | None
) -> str:
    """Add a phone's options to its name; raise ConfigError where the device is no phone."""
    from nas.devices.phone.spec import PREFIX, with_options

    if (delegate or protocol or binaries) and not device.startswith(PREFIX):
        raise ConfigError(
            "--delegate, --protocol and --benchmark-binary are for phones (adb:SERIAL), not for "
            f"{device}"
        )
    return with_options(device, delegate, protocol, tuple(binaries or ()))


def phone_specs(
    devices: list[str] | None,
    delegate: str | None,
    protocol: str | None,
    binaries: list[str] | None,
) -> list[str]:
    """Return each device once, with a phone's options added; the host where none is given.

    The host takes no options: they are for the phones beside it. Raises as `phone_spec`.
    """
    return [
        spec if spec == "host" else phone_spec(spec, delegate, protocol, binaries)
        for spec in dict.fromkeys(devices or ["host"])
    ]


def devices(
    server: Annotated[
        str, typer.Option("--adb-server", help="HOST[:PORT] of an adb server elsewhere.")
    ] = "",
    connect: Annotated[
        list[str] | None, typer.Option(help="HOST:PORT of a phone to connect to first.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads that the mask is for.")] = 4,
    modelled: Annotated[
        bool,
        typer.Option("--modelled", help="The paper's phones alone, with their models' errors."),
    ] = False,
    limit: LimitOption = None,
    json_: JsonOption = False,
) -> None:
    """List the devices: this machine, phones by adb, simulated NPUs and GPUs, paper's phones."""
    from nas.cli.modelled import host_row, modelled_rows, show_host, show_modelled

    if modelled:
        rows = modelled_rows(with_errors=True)
        if json_:
            emit_json("devices", rows)
        else:
            show_modelled(rows)
        return
    from nas.cli.gpus import gpu_rows, show_gpus
    from nas.cli.npus import npu_rows, show_npus

    npus = [] if server else npu_rows()  # a server elsewhere is asked for its phones
    gpus = [] if server else gpu_rows()
    papers = [] if server else modelled_rows(with_errors=False)
    rows = _device_rows(server, connect or [], threads)
    if json_:
        hosts = [] if server else [host_row()]
        emit_json("devices", [*hosts, *rows, *npus, *gpus, *papers])
        return
    if not server:
        show_host(host_row())
    if rows:
        _show_devices(rows)
    else:
        other = "" if connect else ", or give --connect HOST:PORT"
        note(
            f"no phone is connected: plug one in with USB debugging on{other} "
            "(docs/phones.md tells how to try an emulated one)"
        )
    if npus:
        show_npus(npus)
    if gpus:
        show_gpus(gpus)
    if papers:
        show_modelled(papers)


def _device_rows(server: str, connect: list[str], threads: int) -> list[dict[str, Any]]:
    """Connect to the given addresses and describe every phone that adb then lists."""
    from concurrent.futures import ThreadPoolExecutor

    from nas.devices.adb.server import AdbServer

    adb_server = AdbServer.parse(server) if server else AdbServer.from_environment()
    adb_server.ensure()
    answers = {address: adb_server.connect(address) for address in connect}
    entries = _settled(adb_server)
    _tell_unconnected(answers, {entry.serial for entry in entries})
    suffix = f"@{server}" if server else ""
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(lambda e: _device_row(adb_server, e, suffix, threads), entries))


def _show_devices(rows: list[dict[str, Any]]) -> None:
    columns = {"device": "left", "state": "left", "model": "left", "chip": "left"}
    columns |= {"Android": "left", "accelerators": "left", "mask": "right", "battery": "right"}
    columns |= {"thermal": "right"}
    print_table(table("", columns, [_cells(row) for row in rows]))
    for row in rows:
        if row["advice"]:
            err.print(f"{row['serial']}: {row['advice']}", highlight=False)


def _tell_unconnected(answers: dict[str, str], listed: set[str]) -> None:
    """Print adb's answer for each address that it does not list after all."""
    for address, words in answers.items():
        if not {address, f"{address}:5555"} & listed:
            err.print(f"{address} is not connected; adb said: {words.strip()}", highlight=False)


def _settled(server: Any, seconds: float = 2.0) -> list[Any]:
    """Wait until no phone is still connecting, at most `seconds`; return the entries of adb."""
    deadline = time.monotonic() + seconds
    while True:
        entries: list[Any] = server.entries()
        passing = {"offline", "connecting", "authorizing"} & {entry.state for entry in entries}
        if not passing or time.monotonic() >= deadline:
            return entries
        time.sleep(0.1)


def _device_row(server: Any, entry: Any, suffix: str, threads: int) -> dict[str, Any]:
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
        row["big_core_mask"] or "",
        f"{battery} %" if battery is not None else "",
        str(thermal) if thermal is not None else "",
    ]


def probe(
    device: Annotated[
        list[str],
        typer.Option(
            help="adb:SERIAL, npu:CHIP or gpu; repeatable.", autocompletion=complete.devices
        ),
    ],
    delegate: DelegateOption = None,
    protocol: ProtocolOption = None,
    benchmark_binary: BinaryOption = None,
    size: Annotated[
        list[str] | None,
        typer.Option(help="WIDTHxHEIGHT of an NPU's graphs; repeatable."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Measure even what is known.")] = False,
    json_: JsonOption = False,
) -> None:
    """Find which operations a device accelerates: operation x data type x neighbour.

    An NPU is asked at several sizes, and tells the reason of each refusal.
    """
    from nas.devices.phone.operation_support import probe_support
    from nas.devices.phone.spec import open_phone, with_options

    matrices: list[Any] = []
    for spec in device:
        if spec.startswith("npu:"):
            from nas.cli.npus import probed

            phone_spec(spec, delegate, protocol, benchmark_binary)
            matrices.append(probed(spec, size, again))
            continue
        if size:
            raise ConfigError(f"--size is for NPUs (npu:CHIP), not for {spec}")
        if spec.partition(":")[0] == "gpu":
            from nas.cli.gpus import probed_gpu

            phone_spec(spec, delegate, protocol, benchmark_binary)
            matrices.append(probed_gpu(spec, again))
            continue
        binaries = tuple(benchmark_binary or ())
        phone = open_phone(with_options(spec, delegate, protocol, binaries))
        err.print(f"probing {spec} ...")
        matrices.append(probe_support(phone, again))
    if json_:
        emit_json("probe", [m if isinstance(m, dict) else m.to_dict() for m in matrices])
        return
    for matrix in matrices:
        if isinstance(matrix, dict):
            from nas.cli.npus import show_probe

            show_probe(matrix)
        else:
            _show_matrix(matrix)


def _show_matrix(matrix: Any) -> None:
    afters = list(dict.fromkeys(row.after for row in matrix.rows))
    marks = {True: "yes", False: "CPU", None: "?"}
    for dtype in dict.fromkeys(row.dtype for row in matrix.rows):
        columns = {"operation": "left", **dict.fromkeys(afters, "left")}
        rows = []
        for op in dict.fromkeys(row.op for row in matrix.rows):
            supports = [matrix.row(op, dtype, after) for after in afters]
            cells = [
                "fails" if r and r.failure else marks[r.accelerated if r else None]
                for r in supports
            ]
            rows.append([op, *cells])
        title = f"{matrix.device}, {matrix.delegate}, {dtype} ({matrix.source}): accelerated after"
        print_table(table(title, columns, rows))


def parse_log(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A saved output of the tool, or a saved logcat.")
    ],
    exit_code: Annotated[
        int | None, typer.Option(help="The tool's exit code, where it is known.")
    ] = None,
    pid: Annotated[int | None, typer.Option(help="The process of a logcat to read.")] = None,
    json_: JsonOption = False,
) -> None:
    """Tell what a log of the benchmark tool, or of NNAPI, says; of each run in it by itself."""
    from nas.devices.logs import decode_log, parse_runs

    try:
        text = decode_log(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror or error}") from error
    reports = parse_runs(text, exit_code, pid)
    if all(report.empty for report in reports):
        raise ConfigError(
            f"{file} says nothing that is known: expected what the benchmark tool printed, a "
            "logcat, or an excerpt of either"
        )
    if json_:
        runs = [report.to_dict() for report in reports]
        emit_json("parse-log", {"file": str(file), "runs": runs})
        return
    for number, report in enumerate(reports, 1):
        if len(reports) > 1:
            out.print(f"run {number} of {len(reports)}", highlight=False, markup=False)
        for line in _log_lines(report):
            out.print(line, highlight=False, markup=False, soft_wrap=True)


def _log_lines(report: Any) -> list[str]:
    benchmark, lines = report.benchmark, []
    document = report.to_dict()
    if benchmark.option:
        lines.append(f"option: {benchmark.option}")
    if benchmark.generation:
        lines.append(f"tool: {document['tool']}, format of {benchmark.generation}")
    if benchmark.model:
        lines.append(f"model: {benchmark.model}")
    if report.latency_ms is not None:
        of = f" of {report.count}" if report.count is not None else ""
        fallen = report.failure is not None and report.failure.failure_class == "not_delegated"
        where = ", on the CPU" if fallen else ""
        lines.append(f"latency: {report.latency_ms:.6g} ms ({report.latency_statistic}{of}{where})")
    if benchmark.init_ms is not None:
        lines.append(f"init: {benchmark.init_ms:.6g} ms")
    if benchmark.accelerators or report.nnapi.interfaces:
        names = benchmark.accelerators or report.nnapi.interfaces
        lines.append(f"accelerators: {', '.join(names)}")
    if benchmark.delegation:
        lines.append(
            f"delegation: {benchmark.delegation.delegate}, {benchmark.delegation.coverage}"
        )
    if nodes := benchmark.replaced + benchmark.facts.offloaded:
        lines.append(f"nodes: {', '.join(map(str, nodes))}")
    counts = document["operations_by_accelerator"]
    if counts:
        lines.append("operations: " + ", ".join(f"{n} on {name}" for name, n in counts.items()))
    if benchmark.profile:
        lines.append(f"profile: {len(benchmark.profile)} rows (--json shows them)")
    if report.failure:
        lines.append(f"failure: {report.failure}")
    return lines + [f"warning: {text}" for text in report.warnings]
