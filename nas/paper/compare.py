"""Puts every published cell beside ours, as values; other modules draw them.

A figure of ours says where it comes from and at which scale it was taken. Two kinds of scale meet:
the run's own, and "full size", the paper's networks at 1280x720, of which MACs are computed and the
latencies on its phones modelled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from nas.devices.measurement import Placement
from nas.devices.paper_phones.published import PHONES, SIZE, Footnote, Row, footnotes, phones, rows
from nas.devices.placement import fallbacks
from nas.errors import RunError
from nas.networks.candidate import Architecture
from nas.paper.cells import FULL, ComparedCell, FigureUnit, OwnFigure
from nas.paper.modelled import modelled_latency
from nas.paper.rank_order import RankOrder, rank_order
from nas.paper.run import Select, StepChoice, choose_network, parse_run_name, results_by_key
from nas.paper.steps import PaperScale
from nas.report.report_data import latency_metrics
from nas.storage.run_folder import RunFolder
from nas.study.metric import Metric, least_trusted, ntire_smartphone_score
from nas.study.trial_result import TrialResult
from nas.system.files import read_json

SCORED_ON = "pixel-4"  # the phone of the NTIRE 2020 challenge
RowKey = tuple[str, str, int | None]  # network's published name, precision, pruned percent
TITLES = {
    2: "Networks",
    3: "Up-sampling and activation of the U-Net",
    4: "Pruning and quantization",
}


@final
@dataclass(frozen=True)
class TableLine:
    """A row of a table: what the paper prints, our trial of it, and the cells by column."""

    row: Row
    trial: TrialResult | None
    cells: Mapping[str, ComparedCell]


@final
@dataclass(frozen=True)
class DeviceCell:
    """A row of a table on one of the run's own devices.

    `ratio` is over the latency of the run's U-Net on the same device. `published_ratios` are the
    same ratios of the published latencies, by phone; None where the paper has none.
    """

    table: int
    row: str
    device: str
    here: OwnFigure
    ratio: float | None
    published_ratios: Mapping[str, float | None]


@final
@dataclass(frozen=True)
class ComparedTable:
    """One of the paper's Tables 2 to 4, with ours beside it.

    `devices` has the rows on the run's own devices.
    """

    number: int
    title: str
    lines: tuple[TableLine, ...]
    footnotes: tuple[Footnote, ...]
    devices: tuple[DeviceCell, ...]


@final
@dataclass(frozen=True)
class Comparison:
    """Everything that the comparison says, except Table 5, sizes and pictures.

    `trials` are the run's, by published row; `expected` counts the candidates of all steps.
    `compressed` is the network that steps 3 and 4 compress, None until the step before has chosen.
    `phones` are the facts that each phone of the run told of itself (`nas.devices.PhoneInfo`).
    """

    name: str
    scale: PaperScale
    select: Select
    description: Mapping[str, Any]
    devices: tuple[str, ...]
    tables: tuple[ComparedTable, ...]
    orders: tuple[RankOrder, ...]
    choices: tuple[StepChoice, ...]
    compressed: str | None
    trials: Mapping[RowKey, TrialResult]
    expected: int
    phones: Mapping[str, Mapping[str, Any]]

    @property
    def cells(self) -> list[ComparedCell]:
        """Return all cells of Tables 2 to 4."""
        return [
            cell for table in self.tables for line in table.lines for cell in line.cells.values()
        ]

    @property
    def complete(self) -> int:
        """Count the trials that have a PSNR."""
        return sum("psnr_db" in trial.metrics for trial in self.trials.values())


def compare(
    run: RunFolder, scales: Mapping[str, PaperScale], networks: Mapping[str, Architecture]
) -> Comparison:
    """Put a run of the staged study beside the paper, finished or not.

    `networks` are the paper's at full size, by name. Raises RunError where the folder is no run of
    the staged study, or is damaged.
    """
    description = run.description()
    parsed = parse_run_name(str(description["study"]["name"]))
    if parsed is None or parsed[0] not in scales:
        raise RunError(
            f"{run.path} is a run of the study {description['study']['name']!r}, not of `nas paper`"
            "; its own report is `nas report`"
        )
    scale, select = scales[parsed[0]], parsed[1]
    trials = {row_key(result): result for result in run.results()}
    chosen = _choices(scale, select, run)
    compressed = _compressed(scale, chosen)
    study = description["study"]
    devices = (*study["devices"], *study.get("optional_devices", ()))
    author = _CellMaker(run, scale, networks, trials, compressed, tuple(devices), study)
    tables = tuple(author.table(number) for number in TITLES)
    return Comparison(
        run.path.resolve().name, scale, select, description, tuple(devices), tables,
        _orders(tables), tuple(chosen), compressed, trials, len({*author.keys()}),
        _phones(run, trials),
    )  # fmt: skip


def row_key(result: TrialResult) -> RowKey:
    """Return the published row that a trial stands for."""
    compression = result.candidate["compression"]
    share = compression["pruned_share"]
    network = str(result.parameters.get("network", ""))
    return network, compression["precision"], round(100 * share) if share else None


def _phones(run: RunFolder, trials: Mapping[RowKey, TrialResult]) -> dict[str, Mapping[str, Any]]:
    """Return what each phone told of itself, from the measurements that the run keeps."""
    phones: dict[str, Mapping[str, Any]] = {}
    for result in trials.values():
        for device, note in result.conditions.get("devices", {}).items():
            path = run.path / "measurements" / f"{note.get('measurement')}.json"
            if device.startswith("adb:") and device not in phones and path.exists():
                phone = read_json(path).get("conditions", {}).get("phone")
                if isinstance(phone, dict):
                    phones[device] = phone
    return phones


def _choices(scale: PaperScale, select: Select, run: RunFolder) -> list[StepChoice]:
    """Return what has been chosen so far.

    By our measurements a step chooses once all of its candidates are there.
    """
    found, choices = results_by_key(run), []
    for step in scale.steps:
        if step.choice is not None:
            whole = all(entry.candidate.key in found for entry in step.entries())
            if select == "measured" and not whole:
                break
            try:
                choices.append(choose_network(scale, step, select, found))
            except RunError:
                break
    return choices


def _compressed(scale: PaperScale, choices: Sequence[StepChoice]) -> str | None:
    last = [step.number for step in scale.steps if step.choice is not None][-1]
    return next((choice.network for choice in choices if choice.step == last), None)


def _orders(tables: Sequence[ComparedTable]) -> tuple[RankOrder, ...]:
    orders = []
    for table in tables:
        rows_ = [
            (line.row.row, line.cells["psnr_db"].published, line.cells["psnr_db"].here)
            for line in table.lines
        ]
        pairs = [
            (name, published, here.value)
            for name, published, here in rows_
            if published is not None and here is not None and here.value is not None
        ]
        orders.append(
            rank_order(f"Table {table.number}: {table.title[0].lower()}{table.title[1:]}", pairs)
        )
    return tuple(orders)


@final
@dataclass(frozen=True)
class _CellMaker:
    """Makes the cells of one comparison from a run's trials."""

    run: RunFolder
    scale: PaperScale
    networks: Mapping[str, Architecture]
    trials: Mapping[RowKey, TrialResult]
    compressed: str | None
    devices: tuple[str, ...]
    study: Mapping[str, Any]

    @property
    def same(self) -> bool:
        """Tell whether a quality of ours may be put beside a published one."""
        return self.scale.name == "paper" and str(self.study["data"]["spec"]).startswith("reds")

    def keys(self) -> list[RowKey]:
        return [self.key(row) for row in rows()]

    def key(self, row: Row) -> RowKey:
        network = row.network if row.table < 4 else self.compressed
        return network or "", row.precision, row.pruned_percent

    def is_the_papers(self, row: Row) -> bool:
        """Tell whether our trial of the row has the network that the paper's row has."""
        return self.key(row)[0] == row.network

    def table(self, number: int) -> ComparedTable:
        lines = tuple(self._line(row) for row in rows() if row.table == number)
        notes = tuple(note for note in footnotes() if note.table == number)
        timed = tuple(
            cell
            for line in lines
            for device in self.devices
            if (cell := self._on_device(line, device)) is not None
        )
        return ComparedTable(number, TITLES[number], lines, notes, timed)

    def _line(self, row: Row) -> TableLine:
        trial = self.trials.get(self.key(row))
        figures = {
            "psnr_db": self._quality(row, trial, "psnr_db", "dB", row.psnr_db),
            "ssim": self._quality(row, trial, "ssim", "", row.ssim),
            "gmacs": self._macs(row, trial),
            **{f"latency_ms[{phone}]": self._latency(row, phone) for phone in PHONES},
            "score": self._score(row, trial),
        }
        return TableLine(row, trial, figures)

    def _quality(
        self, row: Row, trial: TrialResult | None, name: str, unit: FigureUnit, published: float
    ) -> ComparedCell:
        here = self._figure(trial, name)
        comparable = self.same and self.is_the_papers(row)
        return ComparedCell(row.table, row.row, name, unit, published, "number", here, comparable)

    def _figure(self, trial: TrialResult | None, name: str) -> OwnFigure | None:
        """Return a figure of a trial, or why it has none; None where it was not run."""
        if trial is None:
            return None
        if name in trial.metrics:
            metric = trial.metrics[name]
            about = f"{trial.label}; {metric.conditions or 'no conditions kept'}"
            return OwnFigure(metric.value, metric.source, self.scale.name, about, metric.interval)
        why = trial.failure.message if trial.failure else f"the trial is {trial.state}"
        return OwnFigure(None, "measured", self.scale.name, trial.label, failure=why)

    def _macs(self, row: Row, trial: TrialResult | None) -> ComparedCell:
        """Count the whole network's MACs at 1280x720 as the profiler does, less what was pruned."""
        name = self.key(row)[0] or row.network
        whole = self.networks[name].graph().macs(*SIZE[::-1]).profiler / 1e9
        here: OwnFigure | None = OwnFigure(
            whole, "computed", FULL, f"{name} at 1280x720, by the profiler's convention"
        )
        if row.pruned_percent is not None:
            here = self._pruned(row, trial, whole)
        return ComparedCell(
            row.table, row.row, "gmacs", "GMAC", float(row.gmacs), "number", here,
            name == row.network and (row.pruned_percent is None or not self.scale.narrowed),
        )  # fmt: skip

    def _pruned(self, row: Row, trial: TrialResult | None, whole: float) -> OwnFigure | None:
        """Apply the share that the run's pruning left of its own network to the whole one."""
        base = self.trials.get((self.compressed or "", "float", None))
        name = "gmacs_profiler"
        if trial is None or base is None or name not in base.metrics or name not in trial.metrics:
            return None
        left = trial.value(name) / base.value(name)
        about = f"{trial.label}: {1 - left:.2%} of the MACs of the network of this run are gone"
        return OwnFigure(whole * left, "computed", self.scale.name, about)

    def _latency(self, row: Row, phone: str) -> ComparedCell:
        cell = row.cell(phone)
        return ComparedCell(
            row.table, row.row, f"latency_ms[{phone}]", "ms", cell.latency_ms, cell.outcome,
            modelled_latency(row, phone), True, cell.footnote,
        )  # fmt: skip

    def _score(self, row: Row, trial: TrialResult | None) -> ComparedCell:
        """Compute the NTIRE 2020 smartphone score of the published cells and of this run's."""
        latency = row.cell(SCORED_ON).latency_ms
        published = None if latency is None else ntire_smartphone_score(row.psnr_db, latency)
        return ComparedCell(
            row.table, row.row, "score", "dB", published,
            "empty" if published is None else "number", self._own_score(trial), False,
        )  # fmt: skip

    def _own_score(self, trial: TrialResult | None) -> OwnFigure | None:
        name = f"latency_ms[{self.devices[0]}]"
        if trial is None or "psnr_db" not in trial.metrics or name not in trial.metrics:
            return None
        value = ntire_smartphone_score(trial.value("psnr_db"), trial.value(name))
        source = least_trusted(trial.metrics[n].source for n in ("psnr_db", name))
        width, height = self.study["size"]
        return OwnFigure(
            value, source, self.scale.name, f"on {self.devices[0]} at {width}x{height}"
        )  # fmt: skip

    def _on_device(self, line: TableLine, device: str) -> DeviceCell | None:
        if line.trial is None:
            return None
        own = latency_metrics(line.trial).get(device)
        here = self._timed(line.trial, device, own)
        unit = self.trials.get((_UNET, "float", None))
        base = latency_metrics(unit).get(device) if unit else None
        ratio = own.value / base.value if own and base else None
        ratios = {phone: _published_ratio(line.row, phone) for phone in PHONES}
        return DeviceCell(line.row.table, line.row.row, device, here, ratio, ratios)

    def _timed(self, trial: TrialResult, device: str, own: Metric | None) -> OwnFigure:
        note = trial.conditions.get("devices", {}).get(device, {})
        fallen = _fallen(self.run, note.get("measurement")) if device != "host" else ()
        if own is not None:
            about = f"{trial.label}; {own.conditions or ''}"
            scale = self.scale.name
            return OwnFigure(own.value, own.source, scale, about, own.interval, None, fallen)
        why = note.get("failure") or (trial.failure.message if trial.failure else "not timed")
        source = {"paper": "modelled", "npu": "simulated"}.get(device.split(":")[0], "measured")
        return OwnFigure(None, source, self.scale.name, trial.label, None, str(why), fallen)


def _fallen(run: RunFolder, key: str | None) -> tuple[str, ...]:
    """Return the operations that no accelerator of a phone took, from the kept measurement."""
    path = run.path / "measurements" / f"{key}.json"
    if key is None or not path.exists():
        return ()
    rows_ = read_json(path).get("placement", [])
    return tuple(fallbacks(tuple(Placement(**row) for row in rows_)))


_UNET = "unet-transposeconv-relu"


def _published_ratio(row: Row, phone: str) -> float | None:
    own = row.cell(phone).latency_ms
    unit = rows()[0].cell(phone).latency_ms
    return None if own is None or unit is None else own / unit


def phone_name(phone: str) -> str:
    """Return a phone's name as the paper prints it."""
    return next(entry.name for entry in phones() if entry.phone == phone)
