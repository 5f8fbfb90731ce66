"""`nas pareto`, `nas report` and `nas export` show and save the results of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from nas.cli.console import emit_json, err, out, table
from nas.cli.options import JsonOption
from nas.errors import DataError

if TYPE_CHECKING:
    from nas.devices.names import DeviceName
    from nas.report.export import WriteOnnx
    from nas.storage.run_folder import RunFolder
    from nas.study.trial_result import TrialResult

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.", show_default=False)]

PIPE_WIDTH = 240


def pareto(
    run: Run,
    json_: JsonOption = False,
) -> None:
    """List the models that no other one beats, best first."""
    from nas.report.noise import noise_of, with_intervals
    from nas.storage.run_devices import run_names
    from nas.study.pareto import front

    folder = _opened(run)
    results = folder.results() if folder.description() else []
    results = with_intervals(results, noise_of(folder, results))
    members = front(results, folder.objectives())
    if json_:
        names = {device: name.full for device, name in run_names(folder, results).items()}
        rows = [model_json(folder, member) for member in members]
        emit_json([{**row, "device_names": names} for row in rows])
    elif members:
        _show_front(run, folder, results, members)
    else:
        done = len(results)
        err.print(
            f"no model yet: {done} trial{'s' * (done != 1)} finished, none of them complete and "
            "within the constraints"
        )


def _show_front(
    run: Path, folder: RunFolder, results: Sequence[TrialResult], members: Sequence[TrialResult]
) -> None:
    """Print the table of the front's `members`, and what must be known to believe it."""
    from nas.storage.run_devices import run_names

    devices = folder.description()["study"]["devices"]
    names = run_names(folder, results)
    console = out if out.is_terminal else Console(width=PIPE_WIDTH)  # never wrapped in a pipe
    console.print(
        front_table(members, {d: names[d].name for d in devices}, console.width), soft_wrap=False
    )
    for text in _findings(folder, results, members, names):
        err.print(text, highlight=False, soft_wrap=True)
    phones = [name.full for name in names.values() if name.serial]
    if phones:
        err.print("; ".join(phones), style="dim", highlight=False, soft_wrap=True)
    complete = sum(result.state == "complete" for result in results)
    err.print(
        f"{len(members)} on the front, of {complete} complete trials and {len(results)} in all. "
        f"Latencies at {_size(folder)}{_unmeasured(members)}; every figure with its conditions: "
        f"nas report {run}",
        style="dim",
        highlight=False,
        soft_wrap=True,
    )


def _findings(
    folder: RunFolder,
    results: Sequence[TrialResult],
    members: Sequence[TrialResult],
    names: Mapping[str, DeviceName],
) -> list[str]:
    """Say who beats the baselines, how sure the front is, and which latencies were disturbed."""
    from nas.report.baselines import verdict
    from nas.report.certainty import certainty

    description = folder.description()
    texts = [verdict(results, description, description["study"]["devices"], names)]
    sure = certainty(folder, results, members)
    if sure is not None:
        texts += [sure.said, sure.ties, sure.advice]
    texts.append(_disturbed(members))
    return [text for text in texts if text]


def report(
    run: Run,
    pictures: Annotated[
        int, typer.Option(min=0, max=12, help="Held-out pictures to restore and compare.")
    ] = 3,
) -> None:
    """Write RUN/report: one page that can be read offline, and PNG files."""
    from nas.report import write_report
    from nas.training.tensorflow import quiet_tensorflow

    quiet_tensorflow()
    with err.status("writing the report"):
        page = write_report(_opened(run), pictures)
    out.print(str(page), highlight=False)


def export(
    run: Run,
    out_: Annotated[Path, typer.Option("--out", help="A new folder, or an earlier export.")],
    all_: Annotated[
        bool, typer.Option("--all", help="Every complete model within the constraints.")
    ] = False,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="An ONNX file beside each, checked (extra `npu`).")
    ] = False,
    data: Annotated[
        str | None, typer.Option(help="Where the run's data set is now, if it moved.")
    ] = None,
) -> None:
    """Export the front's models and the baselines, each scored once more, and pareto.csv."""
    from nas.report.export import earlier_folders, export_models

    write_onnx = _onnx_writer() if onnx else None
    folder = _opened(run)
    rescore = _scorer(folder, data)
    with err.status("exporting") as status:

        def progress(index: int, count: int, result: TrialResult) -> None:
            status.update(f"exporting {index + 1} of {count}: trial {result.number}")

        exported = export_models(folder, out_, rescore, all_, progress, write_onnx)
    for model in exported:
        out.print(str(model.folder), highlight=False)
    err.print(
        f"{len(exported)} models in {out_}, each scored again as reported; {out_ / 'pareto.csv'}",
        highlight=False,
        soft_wrap=True,
    )
    left = earlier_folders(out_, exported)
    if left:
        err.print(
            f"of an earlier export and kept: {', '.join(left)}", highlight=False, soft_wrap=True
        )


def _onnx_writer() -> WriteOnnx:
    """Return what writes and checks ONNX files; ConfigError where the extra is missing."""
    from nas.devices.npu.onnx_export import check_exportable, export_onnx

    check_exportable()
    return lambda model, out_file: export_onnx(model, out_file).to_dict()


def _opened(run: Path) -> RunFolder:
    """Open a run's folder; results that only its object store still has are fetched."""
    from nas.storage.run_folder import ARTIFACTS, RunFolder

    folder = RunFolder(run)
    if (run / ARTIFACTS).exists():
        from nas.search.uploads import restored

        restored(folder, None, lambda text: err.print(text, highlight=False, soft_wrap=True))
    return folder


def _disturbed(members: Sequence[TrialResult]) -> str:
    """Name the latencies that other programs disturbed, in words; empty where none are."""
    from nas.report.report_data import disturbed_trials

    disturbed = disturbed_trials(members)
    if not disturbed:
        return ""
    numbers = ", ".join(str(number) for number in disturbed)
    return (
        f"[yellow]![/] taken on a busy processor: trial{'s' * (len(disturbed) > 1)} {numbers} "
        f"({next(iter(disturbed.values()))}). Measure again on a quiet machine before "
        "you choose by it"
    )


def _unmeasured(members: Sequence[TrialResult]) -> str:
    """Name the sources of latency_metrics that were not measured; empty where all were."""
    from nas.report.report_data import latency_metrics

    sources = {m.source for member in members for m in latency_metrics(member).values()}
    others = sorted(sources - {"measured"})
    return f", {' or '.join(others)}: not measured" if others else ""


def model_json(run: RunFolder, result: TrialResult) -> dict[str, Any]:
    """Return a model as `nas pareto --json` prints it; a figure that the trial lacks is None."""
    from nas.report.report_data import latency_metrics

    def value(name: str) -> float | None:
        return result.value(name) if name in result.metrics else None

    timed = latency_metrics(result)
    return {
        "key": result.key,
        "label": result.label,
        "trial": result.number,
        "architecture": result.candidate.get("architecture"),
        "precision": result.candidate.get("compression", {}).get("precision"),
        "baseline": result.baseline,
        "psnr_db": value("psnr_db"),
        "psnr_db_interval": _interval(result, "psnr_db"),
        "psnr_db_input": value("psnr_db_input"),
        "ssim": value("ssim"),
        "gmacs": value("gmacs_conv"),
        "gmacs_conv": value("gmacs_conv"),
        "gmacs_profiler": value("gmacs_profiler"),
        "parameters": value("parameters"),
        "bytes": value("bytes"),
        "latency_ms": {device: metric.value for device, metric in timed.items()},
        "latency_interval_ms": {
            device: list(metric.interval) if metric.interval else None
            for device, metric in timed.items()
        },
        "taken_on_busy_processor": {device: metric.disturbed for device, metric in timed.items()},
        "artifact": str(run.path / result.artifact) if result.artifact else None,
        "sources": {name: metric.source for name, metric in result.metrics.items()},
        "definitions": {
            name: metric.definition for name, metric in result.metrics.items() if metric.definition
        },
    }


def _interval(result: TrialResult, name: str) -> list[float] | None:
    metric = result.metrics.get(name)
    return list(metric.interval) if metric is not None and metric.interval else None


def front_table(members: Sequence[TrialResult], devices: Mapping[str, str], width: int) -> Table:
    """Build the table of models; SSIM, MACs and parameters where labels need not wrap."""

    def figure(result: TrialResult, name: str, form: str) -> str:
        return format(result.value(name), form) if name in result.metrics else "-"

    from nas.report.numbers import short_number

    def brief(result: TrialResult, name: str) -> str:
        return short_number(result.value(name)) if name in result.metrics else "-"

    columns = {"trial": [f"{m.number}{'*' if m.baseline else ''}" for m in members]}
    columns["PSNR dB"] = [figure(m, "psnr_db", ".2f") for m in members]
    widths = [_interval(m, "psnr_db") for m in members]
    if any(widths):
        columns["±"] = [f"{(ends[1] - ends[0]) / 2:.2f}" if ends else "-" for ends in widths]
    for device, name in devices.items():
        metric = f"latency_ms[{device}]"
        columns[f"ms {name}"] = [brief(m, metric) + _mark(m, metric) for m in members]
    further = {
        "GMAC": [brief(m, "gmacs_conv") for m in members],
        "SSIM": [figure(m, "ssim", ".3f") for m in members],
        "parameters": [figure(m, "parameters", ",.0f") for m in members],
    }
    network = [member.label for member in members]
    room = width - max(map(len, network)) - sum(_needs(name, columns[name]) for name in columns)
    for name, cells in further.items():
        room -= _needs(name, cells)
        if room >= 0:
            columns[name] = cells
    columns["network"] = network
    justify = {name: "left" if name == "network" else "right" for name in columns}
    return table("", justify, [list(row) for row in zip(*columns.values(), strict=True)])


def _mark(result: TrialResult, name: str) -> str:
    """Return "!" for a figure that was taken on a busy processor, else an empty text."""
    metric = result.metrics.get(name)
    return "!" if metric is not None and metric.disturbed else ""


def _needs(name: str, cells: Sequence[str]) -> int:
    """Return a column's width in characters, with the gap after it."""
    return max(len(name), *map(len, cells)) + 2


def _size(run: RunFolder) -> str:
    width, height = run.description()["study"]["size"]
    return f"{width}x{height}"


def _scorer(run: RunFolder, spec: str | None) -> Callable[[Path], float]:
    """Return a function that gives a file's PSNR in dB on the run's held-out pictures.

    Raises DataError where the data set is not the one of the run any more.
    """
    from evaluators.quality import score_artifact
    from nas.data import open_dataset
    from nas.system.hashing import canonical_json

    recorded = run.description()["study"]["data"]
    dataset = open_dataset(spec or recorded["spec"])
    if canonical_json(dataset.identity()) != canonical_json(recorded["identity"]):
        raise DataError(
            f"the data set {dataset.spec} is not the one that {run.path} was made with: its "
            "pictures differ. Say where that one is with --data"
        )
    return lambda artifact: score_artifact(artifact, dataset.heldout()).psnr_db
