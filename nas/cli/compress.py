"""`nas compress` prunes and quantizes one network, without a search."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, final

import typer

from nas.cli import complete
from nas.cli.console import emit_json, err, out, print_table, table
from nas.cli.inspect import named_architecture
from nas.cli.options import JsonOption, LimitOption, parse_size
from nas.errors import ConfigError, RunError

if TYPE_CHECKING:
    from nas.data import Pair
    from nas.networks.candidate import Architecture, Compression
    from nas.report.compression_job import Job, PictureScore, Source


SIZE = "1280x720"

ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL_OR_ARCH",
        autocompletion=complete.networks,
        help="An architecture's name, label, .json or .py file (trained first), or a model's "
        "folder as `nas export` writes it.",
    ),
]
DataOption = Annotated[
    str,
    typer.Option(
        help="photos | reds:PATH | gopro:PATH,blur | pairs:B,S", autocompletion=complete.data_sets
    ),
]
OutOption = Annotated[
    Path, typer.Option("--out", help="Where the files go; what is there is used.")
]
PruneOption = Annotated[
    list[float] | None,
    typer.Option(
        help="The share of the MACs to take away, 0 to 0.7; repeatable, for a table.",
        show_default="0",
    ),
]
PrecisionOption = Annotated[
    list[str] | None,
    typer.Option(
        help="float | int8-ptq | int8-qat | int16-ptq; repeatable.",
        show_default="int8-qat",
        autocompletion=complete.precisions,
    ),
]
DeviceOption = Annotated[
    list[str] | None,
    typer.Option(
        help="A device to time on; repeatable.",
        show_default="none",
        autocompletion=complete.devices,
    ),
]
MethodOption = Annotated[str, typer.Option(help="adaptive | uniform-l1")]
SizeOption = Annotated[
    str | None, typer.Option(help="Deployment size, WIDTHxHEIGHT.", show_default=SIZE)
]
StepsOption = Annotated[int, typer.Option(min=1, help="Steps of the float training.")]
SeedOption = Annotated[int, typer.Option(help="Of the trainings.")]
SmokeOption = Annotated[
    bool, typer.Option("--smoke", help="A narrowed network, ten steps: does it work at all?")
]


def compress(
    model: ModelArgument,
    data: DataOption,
    out_: OutOption,
    prune: PruneOption = None,
    precision: PrecisionOption = None,
    device: DeviceOption = None,
    limit: LimitOption = None,
    method: MethodOption = "adaptive",
    size: SizeOption = None,
    steps: StepsOption = 600,
    seed: SeedOption = 0,
    smoke: SmokeOption = False,
    json_: JsonOption = False,
) -> None:
    """Prune a network, quantize it, and score the file beside the float one's.

    Several shares or precisions make every combination of them, and one table.
    """
    from nas.compression.pruning import Pruning
    from nas.data import open_dataset
    from nas.report.compression_job import Job, check_pictures, check_reach, smoke_test
    from nas.training.schedule import short_schedule

    wanted = _wanted(prune or [0.0], precision or ["int8-qat"])
    deepest = max(compression.pruned_share for compression in wanted)
    settings = Pruning(method)  # type: ignore[arg-type]
    source, pixels, schedule = _source(model), parse_size(size or SIZE), short_schedule(steps)
    if smoke:
        if size is not None:
            raise ConfigError(f"--smoke and --size {size}: a smoke test has a size of its own")
        source, pixels, schedule = smoke_test(source, deepest, schedule)
    check_reach(source.architecture, pixels, deepest, settings)
    devices = _devices(device or [])
    dataset = open_dataset(data)
    check_pictures(dataset)
    job = Job(dataset, pixels, out_, schedule, seed, settings, devices, _score, StageLines())
    _run(job, source, wanted, json_)


def _run(job: Job, source: Source, wanted: list[Compression], json_: bool) -> None:
    """Run the job and print its document; in the end raise the first error of several rows."""
    from nas.report.compression_job import first_unmeasured
    from nas.system.files import held

    with held(job.folder):
        document, failed = job.run(source, wanted)
        if "rows" in document:
            _write_tables(document, source.architecture, job.folder)
    if json_:
        emit_json("compress", document)
    else:
        _print(document, job.folder)
    failed = failed or first_unmeasured(document)
    if failed is not None:
        raise failed


def _devices(specs: list[str]) -> tuple[str, ...]:
    """Return each device once; ConfigError on an unknown one."""
    from nas.devices import open_device

    devices = tuple(dict.fromkeys(specs))
    for spec in devices:
        open_device(spec)
    return devices


def _score(path: Path, pairs: Iterable[Pair]) -> PictureScore:
    from evaluators.quality import score_artifact

    return score_artifact(path, pairs)


@final
class StageLines:
    """Prints a line for each stage, and one every few seconds of a long one."""

    def __init__(self) -> None:
        self._stage, self._when = "", 0.0

    def __call__(self, stage: str, done: int, total: int, loss: float) -> None:
        """Take the progress that `nas.compression.compress.Progress` describes."""
        if stage == self._stage and time.monotonic() - self._when < 5:
            return
        self._stage, self._when = stage, time.monotonic()
        where = f" {done}/{total}, L1 {loss:.4f}" if loss else ""
        err.print(f"{stage}{where}", highlight=False)


def _wanted(shares: list[float], precisions: list[str]) -> list[Compression]:
    """Combine shares and precisions, small shares first: a larger one prunes on from a smaller."""
    from nas.networks.candidate import Compression

    for name, given in (("--prune", shares), ("--precision", precisions)):
        if len(set(given)) != len(given):
            raise ConfigError(f"{name} {' '.join(map(str, given))}: one is given twice")
    return [Compression(p, share) for share in sorted(shares) for p in precisions]  # type: ignore[arg-type]


def _source(name: str) -> Source:
    """Return the named architecture, or the network and the weights of a model's folder."""
    from nas.report.compression_job import Source
    from search_spaces import architecture_from_dict

    folder = Path(name)
    if not (folder / "card.json").is_file():
        return Source(named_architecture(name), None)
    try:
        card = json.loads((folder / "card.json").read_text())
        candidate, network = card["candidate"], card["conditions"].get("network")
        precision = candidate["compression"]["precision"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{folder / 'card.json'} is no exported model's card: {error}") from error
    if precision == "int8-qat":
        raise ConfigError(
            f"{folder} holds weights that were trained for int8; compress the float model"
        )
    weights = folder / "model.weights.h5"
    if not weights.is_file():
        raise RunError(f"{weights} is missing; export the model again")
    return Source(architecture_from_dict(network or candidate["architecture"]), weights)


def _write_tables(document: dict[str, Any], architecture: Architecture, folder: Path) -> None:
    """Write the table as Markdown, and a chart where several figures can be drawn."""
    from functools import partial

    from nas.report.compression import compression_rows
    from nas.report.compression_job import as_results
    from nas.report.png import save_compression
    from nas.system.files import write_atomically

    columns, rows = _table(document)
    lines = [list(columns), ["---:" if end == "right" else "---" for end in columns.values()]]
    text = "".join(f"| {' | '.join(cells)} |\n" for cells in [*lines, *rows])
    write_atomically(folder / "compression.md", lambda file: file.write(text.encode()))
    shown = compression_rows(as_results(document, architecture))
    picture = folder / "compression.png"
    if shown:
        write_atomically(picture, partial(save_compression, shown))
    else:
        picture.unlink(missing_ok=True)


def _table(document: dict[str, Any]) -> tuple[dict[str, str], list[list[str]]]:
    """Return headings with their justification, and rows: the float network, then its compressions.

    Latencies are columns of their own, one a device.
    """
    before = document["before"]
    rows = document.get("rows") or [document["after"]]
    devices = list(before["devices"])
    columns = {"pruned": "right", "precision": "left"}
    names = ("GMAC", "parameters", "bytes", "PSNR dB", "change", "SSIM")
    columns |= dict.fromkeys((*names, *(f"{device} ms" for device in devices)), "right")
    whole = {"pruned_share": 0.0, "precision": "float"}
    shown = [row for row in rows if {name: row[name] for name in whole} != whole]
    return columns, [_cells(row, before, devices) for row in (before, *shown)]


def _cells(row: dict[str, Any], before: dict[str, Any], devices: list[str]) -> list[str]:
    first = [f"{100 * row['pruned_share']:g} %", row["precision"]]
    if "failure" in row:
        return [*first, "failed", *[""] * (5 + len(devices))]
    change = row["psnr_db"] - before["psnr_db"]
    return [
        *first,
        f"{row['gmacs_profiler']:.3f}",
        f"{row['parameters']:,}",
        f"{row['bytes']:,}",
        f"{row['psnr_db']:.2f}",
        "" if row is before else f"{change:+.2f}",
        f"{row['ssim']:.4f}",
        *(_latency(row["devices"][device]) for device in devices),
    ]


def _latency(figure: dict[str, Any]) -> str:
    if "failure" in figure:
        return "failed"
    source = "" if figure["source"] == "measured" else f" ({figure['source']})"
    return f"{figure['latency_ms']:.2f}{source}"


def _print(document: dict[str, Any], folder: Path) -> None:
    columns, cells = _table(document)
    before = document["before"]
    rows = document.get("rows") or [document["after"]]
    size = "x".join(map(str, document["conditions"]["size"]))
    print_table(table(f"Pruned and quantized, at {size}", columns, cells))
    whole = [row for row in rows if "failure" not in row]
    reached = dict.fromkeys(f"{row['reached_share']:.1%}" for row in whole if row["pruned_share"])
    if reached:
        out.print(f"\nof the MACs pruned: {', '.join(reached)}", highlight=False)
    out.print(
        f"the pictures have {before['psnr_db_input']:.2f} dB before restoration; scored on "
        + "; ".join(dict.fromkeys(row["scored_on"] for row in (before, *whole))),
        highlight=False,
    )
    for row in rows:
        if "failure" in row:
            where = f"p{100 * row['pruned_share']:g}-{row['precision']}"
            err.print(f"{where}: {row['failure']}", highlight=False)
    if "rows" not in document:
        if rows[0]["pruned_share"] == 0 and rows[0]["precision"] == "float":
            err.print("nothing was asked for: --prune is 0 and the precision float")
        out.print(f"{folder / 'model.tflite'}", highlight=False, soft_wrap=True)
    else:
        out.print(f"{folder / 'compression.md'}", highlight=False, soft_wrap=True)
