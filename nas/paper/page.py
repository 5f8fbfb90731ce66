"""Writes the comparison's page and its CSV files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from nas.devices.names import DeviceName
from nas.devices.paper_phones.latency_model import leave_one_out
from nas.devices.paper_phones.published import PHONES, footnotes, phones
from nas.networks.candidate import Architecture
from nas.paper import charts, rows
from nas.paper.cells import ComparedCell
from nas.paper.compare import Comparison, compare, phone_name
from nas.paper.figure3 import Pictures, pictures
from nas.paper.figure4 import SizeCell, size_cells
from nas.paper.steps import PaperScale
from nas.paper.table5 import OutputRow, ReadArchitecture, output_rows
from nas.paper.today import Tell, TodayLine, today_lines
from nas.report.numbers import number
from nas.report.offline import ICON, chart_scripts, policy
from nas.report.page import webp
from nas.report.templates import environment
from nas.storage.run_devices import run_names
from nas.storage.run_folder import RunFolder
from nas.system.files import write_atomically

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent
REPORT = HERE.parent / "report"


@final
@dataclass(frozen=True)
class Pages:
    """The files of a comparison: its page, and its CSV files."""

    html: Path
    csvs: tuple[Path, ...]


def write_comparison(
    run: RunFolder,
    scales: Mapping[str, PaperScale],
    networks: Mapping[str, Architecture],
    read: ReadArchitecture,
    measure: bool = True,
    tell: Tell | None = None,
) -> Pages:
    """Write `paper/` into the run's folder: index.html and CSV files.

    `networks` are the paper's at full size, by name; `read` makes an architecture of its JSON. With
    `measure`, what Table 5 and Figure 4 need of our devices is taken, unless it is kept, and the
    paper's networks are compiled for the run's NPUs, which `tell` is told of. It works on an
    unfinished run. Raises RunError where the folder is no run of the staged study, is
    damaged, or can't be written.
    """
    comparison = compare(run, scales, networks)
    outputs = output_rows(comparison, run, read, measure)
    sizes = size_cells(comparison, run, networks, measure)
    shown = pictures(comparison, run)
    today = today_lines(comparison.devices, networks, measure, tell)
    folder = run.path / "paper"
    files = {
        "cells.csv": rows.cell_rows(comparison),
        "devices.csv": rows.device_rows(comparison),
        "orders.csv": rows.order_rows(comparison),
        "table1.csv": rows.table1_rows(comparison),
        "table5.csv": rows.table5_rows(outputs, comparison.scale.name),
        "figure4.csv": rows.size_rows(sizes, comparison.scale.name),
        **({"today.csv": rows.today_rows(today)} if today else {}),
    }
    for name, lines in files.items():
        rows.write_csv(folder / name, lines)
    names = run_names(run, run.results())
    page = comparison_html(comparison, outputs, sizes, shown, files, names, today)
    write_atomically(folder / "index.html", lambda file: file.write(page.encode()))
    return Pages(folder / "index.html", tuple(folder / name for name in files))


def comparison_html(
    comparison: Comparison,
    outputs: Sequence[OutputRow],
    sizes: Sequence[SizeCell],
    shown: Pictures,
    files: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    names: Mapping[str, DeviceName] | None = None,
    today: Sequence[TodayLine] = (),
) -> str:
    """Render the page as one HTML text that needs no network.

    `files` are rows by the name of a CSV file to download; `names` are people's for devices.
    """
    from markupsafe import Markup

    called = {device: name.name for device, name in (names or {}).items()}
    css = (REPORT / "report.css").read_text() + (HERE / "paper.css").read_text()
    return _environment(called).get_template("paper.html.j2").render(
        comparison=comparison,
        outputs=outputs,
        output_devices=list(dict.fromkeys(one.device for row in outputs for one in row.here)),
        sizes=sizes,
        shown=shown,
        today=today,
        today_devices=list(dict.fromkeys(cell.device for line in today for cell in line.cells)),
        crops=[webp(version.image) for version in shown.versions],
        files=[(name, rows.csv_link(lines)) for name, lines in (files or {}).items()],
        icon=ICON,
        css=Markup(css),
        policy=policy(),
        scripts=chart_scripts(
            {"charts": _charts(comparison, sizes, called)}, (HERE / "paper.js").read_text()
        ),
        phones=phones(),
        phone_names={phone: phone_name(phone) for phone in PHONES},
        table1=rows.table1_rows(comparison),
        counts=_counts(comparison),
        fallbacks={one.number: _fallbacks(comparison, one.number) for one in comparison.tables},
        models=[leave_one_out(phone) for phone in PHONES],
        notes5=[note for note in footnotes() if note.table == 5],
    )  # fmt: skip


def _environment(called: Mapping[str, str]) -> Environment:
    """Return the page's templates with their filters; `called` has people's names by device."""
    made = environment(HERE)
    made.filters["figure"] = paper_figure
    made.filters["signed"] = signed
    made.filters["called"] = lambda device: called.get(device, device)
    return made


def paper_figure(value: float, column: str) -> str:
    """Write a figure as the paper prints those of its column."""
    if column in ("psnr_db", "score"):
        return f"{value:.2f}"
    if column == "ssim":
        return f"{value:.3f}"
    if column == "gmacs":
        return f"{value:.1f}"
    return number(value)


def signed(cell: ComparedCell) -> str:
    """Write a cell's signed difference: relative for latencies and MACs, else in its unit."""
    if cell.difference is None or cell.relative is None:
        return ""
    if cell.unit in ("ms", "GMAC"):
        digits = 1 if cell.unit == "GMAC" else 0
        text = f"{100 * cell.relative:+.{digits}f} %"
    else:
        text = f"{cell.difference:+.{3 if cell.column == 'ssim' else 2}f}"
    return text.replace("-", "\u2212")


def _charts(
    comparison: Comparison, sizes: Sequence[SizeCell], called: Mapping[str, str]
) -> dict[str, Any]:
    modelled = [cell for cell in sizes if cell.device in PHONES]
    measured = [cell for cell in sizes if cell.device not in PHONES]
    unit = "latency / Mate30 at 640x360"
    first = comparison.devices[0]
    own = f"latency / {called.get(first, first)} at 640x360"
    drawn = {
        "figure1": charts.published_trade_off(),
        "figure1-here": charts.own_trade_off(comparison, called),
        "order": charts.order_chart(comparison),
        "models": charts.model_chart(),
        "figure4": charts.size_chart(modelled, unit),
        "figure4-here": charts.size_chart(measured, own, called),
    }
    return {name: chart for name, chart in drawn.items() if chart["data"]}


def _counts(comparison: Comparison) -> dict[str, int]:
    """Count the published latency cells by outcome."""
    timed = [cell for cell in comparison.cells if cell.column.startswith("latency_ms")]
    outcomes = ("number", "failed", "empty")
    return {name: sum(cell.outcome == name for cell in timed) for name in outcomes}


def _fallbacks(comparison: Comparison, table: int) -> dict[str, tuple[int, int]]:
    """Count each fallback footnote's cells of which the rules say the same, and all of them."""
    counts: dict[str, tuple[int, int]] = {}
    for cell in comparison.cells:
        note = cell.footnote
        if cell.table != table or note is None or note.kind != "fallback" or cell.here is None:
            continue
        # "some CONV_2D", "CONV_2D after CONCATENATION": the operation is CONV_2D
        operations = {
            operation.removeprefix("some ").split(" ")[0] for operation in note.operations
        }
        agree, of = counts.get(note.mark, (0, 0))
        counts[note.mark] = (agree + (operations == set(cell.here.fallbacks)), of + 1)
    return counts
