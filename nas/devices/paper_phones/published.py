"""What the paper published, as data: every cell, every footnote, nothing of our own.

"Deploying Image Deblurring across Mobile Devices: A Perspective of Quality and Latency" (Chiang et
al., CVPR Workshops 2020). The CSV files beside this module were typed from its tables and are
checked against them cell by cell. Its networks are known by the names that `search_spaces` gives to
their reconstructions. The values of Figures 1 and 4 stand nowhere in print: of Figure 1 the tables
hold the points, of Figure 4 the text tells which sizes ran.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, cast, final

from nas.errors import unknown
from nas.networks.candidate import Precision

FOLDER = Path(__file__).parent
"""The folder of the CSV files."""
SIZE = (1280, 720)
"""The picture (width, height) of every latency in Tables 2 to 4."""
PHONES = ("mate30-pro-5g", "reno3-5g", "pixel-4")
"""The paper's phones in the order of its tables."""
OP_FAILED = "ANEURALNETWORKS_OP_FAILED"
"""NNAPI's result where the paper's tables say "Failed"."""
Outcome = Literal["number", "failed", "empty"]
Table = Literal[2, 3, 4]


@final
@dataclass(frozen=True)
class PaperPhone:
    """A phone, as Table 1 describes it in one column; `phone` is its name in specs and data."""

    phone: str
    name: str
    chipset: str
    cpu: str
    gpu: str
    ai_engine: str
    nnapi_runtimes: tuple[str, ...]
    ai_score: int


@final
@dataclass(frozen=True)
class Footnote:
    """A footnote of a table: `operations` are those that "fall back to CPU" by it."""

    table: int
    mark: str
    kind: Literal["fallback", "failure", "runtime", "note"]
    operations: tuple[str, ...]
    text: str


@final
@dataclass(frozen=True)
class Cell:
    """A latency of Tables 2 to 4, in ms; None where the paper says "Failed" or leaves it empty."""

    table: Table
    row: str
    phone: str
    outcome: Outcome
    latency_ms: float | None
    footnote: Footnote | None

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """The operations that ran on the CPU instead of an accelerator, in the footnote's words."""
        return self.footnote.operations if self.footnote else ()


@final
@dataclass(frozen=True)
class Row:
    """One row of Tables 2 to 4: a network at a precision, with its quality, MACs and latencies.

    `network` is the reconstruction's name, `gmacs` the printed figure at 1280x720 (profiler
    convention), `pruned_percent` the row's MAC reduction target, None where it is not pruned.
    PSNR (dB) and SSIM are those of the network in TensorFlow.
    """

    table: Table
    row: str
    label: str
    network: str
    precision: Precision
    pruned_percent: int | None
    psnr_db: float
    ssim: float
    gmacs: int
    cells: tuple[Cell, ...]

    @property
    def step(self) -> int:
        """The step of the search that the row belongs to; combined rows count as quantization."""
        if self.table < 4:
            return self.table - 1
        return 3 if self.precision == "float" else 4

    def cell(self, phone: str) -> Cell:
        """Return the latency on one of `PHONES`; raises ConfigError for any other."""
        for cell in self.cells:
            if cell.phone == phone:
                return cell
        raise unknown("phone of the paper", phone, PHONES)


@final
@dataclass(frozen=True)
class OutputError:
    """A cell of Table 5: how far a phone's output is from TensorFlow's on a desktop.

    PSNR and its deviation over 300 pictures, in dB; `l2_error` a pixel, of values from 0 to 1.
    `network_psnr_db` is the network's own, against the sharp pictures.
    """

    data_type: str
    network_psnr_db: float
    phone: str
    psnr_db: float
    psnr_deviation_db: float
    l2_error: float


@final
@dataclass(frozen=True)
class TradeOff:
    """A point of Figure 1: PSNR (dB) by latency (ms) on OPPO Reno3 5G, and the search's step."""

    step: int
    row: Row
    psnr_db: float
    latency_ms: float


@final
@dataclass(frozen=True)
class SizeOutcome:
    """Whether a phone ran the network at a picture size (Figure 4): "ran" or "failed"."""

    width: int
    height: int
    phone: str
    outcome: Literal["ran", "failed"]


_FILES = {
    2: "table2_networks.csv",
    3: "table3_unet_operations.csv",
    4: "table4_optimizations.csv",
}


@cache
def phones() -> tuple[PaperPhone, ...]:
    """Read Table 1: the three phones."""
    return tuple(
        PaperPhone(
            phone=row["phone"],
            name=row["name"],
            chipset=row["chipset"],
            cpu=row["cpu"],
            gpu=row["gpu"],
            ai_engine=row["ai_engine"],
            nnapi_runtimes=tuple(row["nnapi_runtimes"].split(";")),
            ai_score=int(row["ai_score"]),
        )
        for row in read("table1_devices.csv")
    )


@cache
def footnotes() -> tuple[Footnote, ...]:
    """Read every footnote of Tables 2 to 5; `mark` is the number or sign that the paper prints."""
    return tuple(
        Footnote(
            table=int(row["table"]),
            mark=row["mark"],
            kind=cast("Literal['fallback', 'failure', 'runtime', 'note']", row["kind"]),
            operations=tuple(row["operations"].split(";")) if row["operations"] else (),
            text=row["text"],
        )
        for row in read("footnotes.csv")
    )


@cache
def rows() -> tuple[Row, ...]:
    """Read Tables 2, 3 and 4; two rows that stand in two tables come twice, too."""
    cells: dict[tuple[int, str], list[Cell]] = {}
    for cell in latencies():
        cells.setdefault((cell.table, cell.row), []).append(cell)
    return tuple(
        Row(
            table=cast("Table", table),
            row=row["row"],
            label=row["label"],
            network=row["network"],
            precision=cast("Precision", row["precision"]),
            pruned_percent=int(row["pruned_percent"]) if row["pruned_percent"] else None,
            psnr_db=float(row["psnr_db"]),
            ssim=float(row["ssim"]),
            gmacs=int(row["gmacs"]),
            cells=tuple(cells[table, row["row"]]),
        )
        for table, name in _FILES.items()
        for row in read(name)
    )


@cache
def latencies() -> tuple[Cell, ...]:
    """Read all 69 cells of Tables 2 to 4."""
    notes = {(note.table, note.mark): note for note in footnotes()}
    return tuple(
        Cell(
            table=cast("Table", int(row["table"])),
            row=row["row"],
            phone=row["phone"],
            outcome=cast("Outcome", row["outcome"]),
            latency_ms=float(row["latency_ms"]) if row["latency_ms"] else None,
            footnote=notes[int(row["table"]), row["footnote"]] if row["footnote"] else None,
        )
        for row in read("latencies.csv")
    )


@cache
def output_errors() -> tuple[OutputError, ...]:
    """Read the figures of Table 5, without the two dashes of its 16-bit row."""
    return tuple(
        OutputError(
            data_type=row["data_type"],
            network_psnr_db=float(row["network_psnr_db"]),
            phone=row["phone"],
            psnr_db=float(row["psnr_db"]),
            psnr_deviation_db=float(row["psnr_deviation_db"]),
            l2_error=float(row["l2_error"]),
        )
        for row in read("table5_device_error.csv")
    )


def trade_offs() -> tuple[TradeOff, ...]:
    """List the points of Figure 1, from the tables that it draws; steps as Section 3 counts them.

    The steps are 1 the networks, 2 up-sampling and activation, 3 pruning, 4 quantization. A row
    that the tables repeat comes once. The text does not tell which of Table 4's combined rows the
    figure shows.
    """
    points: dict[tuple[str, Precision, int | None], TradeOff] = {}
    for row in rows():
        latency = row.cell("reno3-5g").latency_ms
        if latency is None:
            continue
        key = (row.network, row.precision, row.pruned_percent)
        points.setdefault(key, TradeOff(row.step, row, row.psnr_db, latency))
    return tuple(points.values())


FIGURE3_PICTURE = "000/00000039.png"
"""What Figure 3 shows crops of: REDS, validation, after each of Table 4's quantizations and after
prunings; their figures are those of Table 4."""


@cache
def sizes() -> tuple[SizeOutcome, ...]:
    """Read which picture sizes of Figure 4 ran on which phone, as far as the text tells.

    The figure's own values (latencies over Mate30's at 360p) are printed nowhere.
    """
    return tuple(
        SizeOutcome(
            width=int(row["width"]),
            height=int(row["height"]),
            phone=row["phone"],
            outcome=cast("Literal['ran', 'failed']", row["outcome"]),
        )
        for row in read("figure4_sizes.csv")
    )


def read(name: str) -> list[dict[str, str]]:
    """Read the rows of one of this package's CSV files."""
    with (FOLDER / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
