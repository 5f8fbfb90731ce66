"""`nas sweep` times one network at several picture sizes on phones and the host."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli import complete
from nas.cli.console import emit_json, err, print_table, table
from nas.cli.options import (
    BinaryOption,
    DelegateOption,
    JsonOption,
    LaunchesOption,
    LaunchSecondsOption,
    LibrariesOption,
    LimitOption,
    PrecisionOption,
    ProtocolOption,
    RunsOption,
    StrictOption,
    ThreadsOption,
    parse_size,
)

if TYPE_CHECKING:
    from nas.devices.sweep import SweepRow


def sweep(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A .tflite file, at whatever size.")
    ],
    out_: Annotated[Path, typer.Option("--out", help="Folder for figures, files and the plot.")],
    device: Annotated[
        list[str] | None,
        typer.Option(
            help="host, adb:SERIAL, npu:CHIP or paper:PHONE; repeatable.",
            show_default="host",
            autocompletion=complete.devices,
        ),
    ] = None,
    size: Annotated[
        list[str] | None,
        typer.Option(
            help="WIDTHxHEIGHT; repeatable.", show_default="five, from 640x360 to 1920x1080"
        ),
    ] = None,
    launches: LaunchesOption = 5,
    runs: RunsOption = 10,
    threads: ThreadsOption = 4,
    timeout: LaunchSecondsOption = 300.0,
    delegate: DelegateOption = None,
    protocol: ProtocolOption = None,
    benchmark_binary: BinaryOption = None,
    precision: PrecisionOption = None,
    strict: StrictOption = False,
    npu_libraries: LibrariesOption = None,
    limit: LimitOption = None,
    json_: JsonOption = False,
) -> None:
    """Measure a model at several picture sizes: figures, failures and a plot.

    Latencies are also given as multiples of the first device's at the first size.
    """
    from nas.cli.devices import phone_specs
    from nas.devices import TimingProtocol
    from nas.devices.sweep import SIZES
    from nas.devices.sweep import sweep as run_sweep

    timing = TimingProtocol(launches=launches, runs=runs, threads=threads, timeout_seconds=timeout)
    specs = phone_specs(
        device, delegate, protocol, benchmark_binary, precision, strict, npu_libraries
    )
    sizes = [parse_size(text) for text in size] if size else SIZES
    err.print(f"{model.name}: {len(sizes)} sizes on {', '.join(specs)} ...", highlight=False)
    rows = run_sweep(model, specs, out_, timing, sizes)
    if json_:
        emit_json("sweep", [row.to_dict() for row in rows])
        return
    _show(rows, model)
    err.print(f"{out_ / 'sweep.json'}, {out_ / 'sweep.png'}", highlight=False)


def _show(rows: Sequence[SweepRow], model: Path) -> None:
    columns = {"device": "left", "size": "left", "run at": "left", "ms": "right"}
    columns |= {"ratio": "right", "accelerated": "right", "source": "left", "": "left"}
    cells = [
        [
            row.device,
            f"{row.size[0]}x{row.size[1]}",
            f"{row.run_size[0]}x{row.run_size[1]}" if row.run_size else "",
            "" if row.latency_ms is None else f"{row.latency_ms:.2f}",
            "" if row.ratio is None else f"{row.ratio:.2f}",
            "" if row.accelerated_mac_share is None else f"{row.accelerated_mac_share:.0%}",
            row.source or "",
            (_why(row.failure, row.run_size) or _busy(row.disturbed)).replace("[", r"\["),
        ]
        for row in rows
    ]
    print_table(table("", columns, cells))
    for name in dict.fromkeys(row.name for row in rows if row.device.startswith("adb:")):
        err.print(name, highlight=False, markup=False)
    for text in dict.fromkeys(row.failure for row in rows if row.run_size is None):
        err.print(f"{model.name}: {text}", highlight=False, markup=False)


def _why(failure: str | None, run_size: tuple[int, int] | None) -> str:
    """Put a failure into a cell; one of the file itself is printed in full below the table."""
    return "the file has no such form" if run_size is None else failure or ""


def _busy(disturbed: str | None) -> str:
    return f"taken on a busy processor: {disturbed}" if disturbed else ""
