"""`nas devices`, `nas probe` and `nas parse-log`: phones, what they accelerate, what a log says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nas.cli import complete
from nas.cli.console import emit_json, err, note, out, print_table, table
from nas.cli.options import (
    BinaryOption,
    DelegateOption,
    JsonOption,
    LibrariesOption,
    LimitOption,
    PrecisionOption,
    ProtocolOption,
    StrictOption,
)
from nas.errors import ConfigError


def phone_spec(
    device: str,
    delegate: str | None,
    protocol: str | None,
    binaries: list[str] | None,
    precision: str | None = None,
    strict: bool = False,
    libraries: Path | None = None,
) -> str:
    """Add a phone's options to its name; raise ConfigError where the device is no phone."""
    from nas.devices.phone.spec import PREFIX, with_options

    given = delegate or protocol or binaries or precision or strict or libraries
    if given and not device.startswith(PREFIX):
        raise ConfigError(
            "--delegate, --protocol, --benchmark-binary, --precision, --strict and --npu-libraries "
            f"are for phones (adb:SERIAL), not for {device}"
        )
    binaries_ = tuple(binaries or ())
    return with_options(device, delegate, protocol, binaries_, precision, strict, libraries)


def phone_specs(
    devices: list[str] | None,
    delegate: str | None,
    protocol: str | None,
    binaries: list[str] | None,
    precision: str | None = None,
    strict: bool = False,
    libraries: Path | None = None,
) -> list[str]:
    """Return each device once, with a phone's options added; the host where none is given.

    The host takes no options: they are for the phones beside it. Raises as `phone_spec`.
    """
    return [
        spec
        if spec == "host"
        else phone_spec(spec, delegate, protocol, binaries, precision, strict, libraries)
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
    benchmark_binary: BinaryOption = None,
    npu_libraries: LibrariesOption = None,
    modelled: Annotated[
        bool,
        typer.Option("--modelled", help="The paper's phones alone, with their models' errors."),
    ] = False,
    limit: LimitOption = None,
    json_: JsonOption = False,
) -> None:
    """List the devices: this machine, phones by adb, simulated NPUs and GPUs, paper's phones.

    Of each phone also which delegates it can run, and what is missing for the others.
    """
    from nas.cli.modelled import host_row, modelled_rows, show_host, show_modelled

    if modelled:
        rows = modelled_rows(with_errors=True)
        emit_json("devices", rows) if json_ else show_modelled(rows)
        return
    from nas.cli.gpus import gpu_rows, show_gpus
    from nas.cli.npus import npu_rows, show_npus
    from nas.cli.phone_list import ToolFiles, device_rows, show_devices

    npus = [] if server else npu_rows()  # a server elsewhere is asked for its phones
    gpus = [] if server else gpu_rows()
    papers = [] if server else modelled_rows(with_errors=False)
    files = ToolFiles(tuple(benchmark_binary or ()), npu_libraries)
    rows = device_rows(server, connect or [], threads, files)
    if json_:
        hosts = [] if server else [host_row()]
        emit_json("devices", [*hosts, *rows, *npus, *gpus, *papers])
        return
    if not server:
        show_host(host_row())
    if rows:
        show_devices(rows)
    else:
        _tell_no_phone(connect)
    if npus:
        show_npus(npus)
    if gpus:
        show_gpus(gpus)
    if papers:
        show_modelled(papers)


def _tell_no_phone(connect: list[str] | None) -> None:
    other = "" if connect else ", or give --connect HOST:PORT"
    note(
        f"no phone is connected: plug one in with USB debugging on{other} "
        "(docs/phones.md tells how to try an emulated one)"
    )


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
    precision: PrecisionOption = None,
    strict: StrictOption = False,
    npu_libraries: LibrariesOption = None,
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
    chosen = (delegate, protocol, benchmark_binary, precision, strict, npu_libraries)
    matrices = [_probed(one, phone_spec(one, *chosen), size, again) for one in device]
    if json_:
        emit_json("probe", [m if isinstance(m, dict) else m.to_dict() for m in matrices])
        return
    for matrix in matrices:
        if isinstance(matrix, dict):
            from nas.cli.npus import show_probe

            show_probe(matrix)
        else:
            _show_matrix(matrix)


def _probed(device: str, spec: str, size: list[str] | None, again: bool) -> Any:
    """Probe a device; `spec` has the options for a phone. A matrix, or an NPU's document."""
    if device.startswith("npu:"):
        from nas.cli.npus import probed

        return probed(device, size, again)
    if size:
        raise ConfigError(f"--size is for NPUs (npu:CHIP), not for {device}")
    if device.partition(":")[0] == "gpu":
        from nas.cli.gpus import probed_gpu

        return probed_gpu(device, again)
    from nas.devices.phone.operation_support import probe_support
    from nas.devices.phone.spec import open_phone

    phone = open_phone(spec)
    err.print(f"probing {device} ...")
    return probe_support(phone, again)


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
