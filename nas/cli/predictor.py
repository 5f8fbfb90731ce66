"""`nas predictor`: latency from structure, fitted to a device and checked on it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from nas.cli import complete
from nas.cli.console import emit_json, err, out, table
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

if TYPE_CHECKING:
    from nas.predictor.checking import NetworkCheck
    from nas.predictor.predictor import Predictor

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Latency from structure: fitted to a device, checked on it.",
)
_WARNINGS = 5

DeviceOption = Annotated[
    str,
    typer.Option(
        help="host, adb:SERIAL, npu:CHIP or paper:PHONE.", autocompletion=complete.devices
    ),
]
StudyOption = Annotated[
    str,
    typer.Option(
        help="Whose networks, protocol and size: a name or a .py file.",
        autocompletion=complete.studies,
    ),
]
SizeOption = Annotated[
    str | None, typer.Option(help="Picture size, WIDTHxHEIGHT.", show_default="the study's")
]
NetworksOption = Annotated[int, typer.Option(help="Whole networks to measure.")]
AgainOption = Annotated[bool, typer.Option("--again", help="Measure even what is known.")]
UnseenOption = Annotated[int, typer.Option(min=2, max=200, help="Unseen ones to measure.")]
PlotOption = Annotated[
    Path | None, typer.Option(help="The picture (PNG).", show_default="beside the predictor")
]


@app.command("fit")
def fit(
    device: DeviceOption = "host",
    study: StudyOption = "quickstart",
    size: SizeOption = None,
    networks: NetworksOption = 10,
    again: AgainOption = False,
    delegate: DelegateOption = None,
    protocol: ProtocolOption = None,
    benchmark_binary: BinaryOption = None,
    precision: PrecisionOption = None,
    strict: StrictOption = False,
    npu_libraries: LibrariesOption = None,
    limit: LimitOption = None,
    json_: JsonOption = False,
) -> None:
    """Measure a space's operations in one session, then a few networks, and keep the predictor.

    The same command goes on where it was stopped.
    """
    from nas.cli.devices import phone_spec
    from nas.cli.options import parse_size
    from nas.cli.progress import stage_bars
    from nas.cli.search import load_study
    from nas.predictor.fitting import check_count
    from nas.predictor.fitting import fit as run_fit

    check_count(networks)
    spec = phone_spec(
        device, delegate, protocol, benchmark_binary, precision, strict, npu_libraries
    )
    chosen = load_study(study)
    pixels = parse_size(size) if size else None
    started = time.monotonic()
    with stage_bars(f"{spec}, {chosen.name}") as report:
        predictor, path = run_fit(spec, chosen, pixels, networks, report, again, _warn)
    seconds = time.monotonic() - started
    if json_:
        facts = {**_facts(predictor), "file": str(path), "seconds": round(seconds, 1)}
        emit_json("predictor-fit", facts)
        return
    _show_kinds(predictor)
    err.print(f"{path}, {seconds:.0f} s", highlight=False)
    err.print(f"next: [bold]{escape(_check_command(predictor, study))}[/]", highlight=False)


@app.command("check")
def check(
    device: DeviceOption = "host",
    study: StudyOption = "quickstart",
    size: SizeOption = None,
    networks: UnseenOption = 10,
    plot: PlotOption = None,
    delegate: DelegateOption = None,
    protocol: ProtocolOption = None,
    benchmark_binary: BinaryOption = None,
    precision: PrecisionOption = None,
    strict: StrictOption = False,
    npu_libraries: LibrariesOption = None,
    limit: LimitOption = None,
    json_: JsonOption = False,
) -> None:
    """Measure networks that the predictor never saw, and show how near it was."""
    from nas.cli.devices import phone_spec
    from nas.cli.options import parse_size
    from nas.cli.progress import stage_bars
    from nas.cli.search import load_study
    from nas.predictor.checking import check as run_check

    spec = phone_spec(
        device, delegate, protocol, benchmark_binary, precision, strict, npu_libraries
    )
    chosen = load_study(study)
    pixels = parse_size(size) if size else None
    started = time.monotonic()
    with stage_bars(f"{spec}, {chosen.name}") as report:
        predictor, rows = run_check(spec, chosen, pixels, networks, report, _warn)
    document = _check_document(predictor, rows)
    picture = _written(predictor, chosen.name, rows, document, plot)
    if json_:
        emit_json("predictor-check", {**document, "plot": str(picture)})
        return
    _show_scores(rows)
    _show_warnings(rows)
    err.print(f"{picture}, {time.monotonic() - started:.0f} s", highlight=False)


def _written(
    predictor: Predictor,
    study: str,
    rows: Sequence[NetworkCheck],
    document: dict[str, Any],
    plot: Path | None,
) -> Path:
    """Write the check's document beside the predictor and draw its picture; return its path."""
    from nas.predictor.identity import folder_of
    from nas.predictor.plot import plot as plot_check
    from nas.system.files import write_atomically, write_json

    folder = folder_of(predictor.about)
    picture = plot or folder / "check.png"
    width, height = predictor.about["size"]
    title = f"{predictor.device}, {study} at {width}x{height}: networks never seen"
    content = plot_check(rows, title)
    write_atomically(picture, lambda file: file.write(content))
    write_json(folder / "check.json", document)
    return picture


def _warn(text: str) -> None:
    err.print(f"[yellow]mind:[/] {escape(text)}", highlight=False)


def _facts(predictor: Predictor) -> dict[str, Any]:
    return {
        "about": dict(predictor.about),
        "kinds": [
            {"op": op, "dtype": dtype, "measured": len(kind.rest), "noise": kind.noise}
            for (op, dtype), kind in predictor.kinds.items()
        ],
        "refused": [[op, dtype, why] for (op, dtype), why in predictor.refused.items()],
        "surcharges": [[*key, factor] for key, factor in predictor.surcharges.items()],
        "networks": {dtype: len(rows) for dtype, rows in predictor.observed.items()},
    }


def _check_command(predictor: Predictor, study: str) -> str:
    from nas.predictor.identity import command

    return command(predictor.about, "check", study)


def _show_kinds(predictor: Predictor) -> None:
    from nas.cli.console import print_table

    columns = {"operation": "left", "type": "left", "measured": "right"}
    columns |= {"smallest, ms": "right", "largest, ms": "right", "": "left"}
    rows = []
    for (op, dtype), kind in sorted(predictor.kinds.items()):
        times = kind.times_ms()
        expensive = [up for (o, d, up) in predictor.surcharges if (o, d) == (op, dtype)]
        note = f"dearer after {', '.join(expensive)}" if expensive else ""
        cells = [op, dtype, str(len(times)), f"{min(times):.3g}", f"{max(times):.3g}", note]
        rows.append(cells)
    for (op, dtype), why in sorted(predictor.refused.items()):
        rows.append([op, dtype, "refused", "", "", escape(why)])
    print_table(table("", columns, rows))
    counts = ", ".join(f"{len(rows)} in {dtype}" for dtype, rows in predictor.observed.items())
    out.print(f"\nwhole networks: {counts}", highlight=False)


def _check_document(predictor: Predictor, rows: Sequence[NetworkCheck]) -> dict[str, Any]:
    from nas.predictor.plot import score_of

    precisions = dict.fromkeys(row.precision for row in rows)
    scores = {}
    for precision in precisions:
        own = [row for row in rows if row.precision == precision]
        scores[precision] = {
            "predictor": asdict(score_of(own)),
            "macs": asdict(score_of(own, macs_only=True)),
        }
    return {
        "about": dict(predictor.about),
        "scores": scores,
        "networks": [asdict(row) | {"error": row.error} for row in rows],
    }


def _show_scores(rows: Sequence[NetworkCheck]) -> None:
    from nas.cli.console import print_table
    from nas.predictor.plot import score_of

    columns = {"precision": "left", "": "left", "networks": "right", "mean error": "right"}
    columns |= {"bias": "right", "Kendall's τ": "right", "within 10 %": "right"}
    columns |= {"in the interval": "right"}
    cells = []
    for precision in dict.fromkeys(row.precision for row in rows):
        own = [row for row in rows if row.precision == precision]
        for name, macs_only in (("predictor", False), ("from MACs", True)):
            score = score_of(own, macs_only)
            covered = "" if score.covered is None else f"{score.covered:.0%}"
            cells.append(
                [precision, name, str(score.networks), f"{score.mape:.1%}", f"{score.bias:+.1%}",
                 f"{score.tau:.3f}", f"{score.within_10:.0%}", covered]
            )  # fmt: skip
    print_table(table("", columns, cells))


def _show_warnings(rows: Sequence[NetworkCheck]) -> None:
    texts = list(dict.fromkeys(text for row in rows for text in row.warnings))
    for text in texts[:_WARNINGS]:
        err.print(f"[yellow]outside of what was measured:[/] {escape(text)}", highlight=False)
    if len(texts) > _WARNINGS:
        err.print(f"and {len(texts) - _WARNINGS} more of the kind", highlight=False)
