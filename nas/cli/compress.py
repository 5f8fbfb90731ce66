"""`nas compress`: one network pruned and quantized, without a search."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.console import emit_json, err, out, table
from nas.cli.inspect import named_architecture, parse_size
from nas.cli.options import JsonOption, LimitOption
from nas.errors import ConfigError, DataError, DeviceError, NasError, RunError

if TYPE_CHECKING:
    from nas.cli.compress_job import Source
    from nas.data import Dataset
    from nas.networks.candidate import Architecture, Compression

SMOKE_SHARES = (0.93, 0.8, 0.5)  # of the MACs, by which --smoke narrows a network first
SMOKE_SIDE = 64


def compress(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL_OR_ARCH",
            help="An architecture's name or .json file (trained first), or a model's folder as "
            "`nas export` writes it.",
        ),
    ],
    data: Annotated[str, typer.Option(help="photos | reds:PATH | gopro:PATH,blur | pairs:B,S")],
    out_: Annotated[Path, typer.Option("--out", help="Where the files go; what is there is used.")],
    prune: Annotated[
        list[float] | None,
        typer.Option(
            help="The share of the MACs to take away, 0 to 0.7; several times for a table."
        ),
    ] = None,
    precision: Annotated[
        list[str] | None,
        typer.Option(help="float | int8-ptq | int8-qat (default) | int16-ptq; several times, too."),
    ] = None,
    device: Annotated[
        list[str] | None, typer.Option(help="A device to time on; several times, too.")
    ] = None,
    limit: LimitOption = None,
    method: Annotated[str, typer.Option(help="adaptive | uniform-l1")] = "adaptive",
    size: Annotated[str, typer.Option(help="Deployment size, WIDTHxHEIGHT.")] = "1280x720",
    steps: Annotated[int, typer.Option(min=1, help="Steps of the float training.")] = 600,
    seed: Annotated[int, typer.Option(help="Of the trainings.")] = 0,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="A narrowed network, ten steps: does it work at all?")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Prune a network, quantize it, and score the file beside the float one's.

    Several shares or precisions make every combination of them, and one table.
    """
    from nas.cli.compress_job import Job, Source, Told
    from nas.compression.pruning import Pruning
    from nas.data import open_dataset
    from nas.devices import open_device
    from nas.networks.graph import check_size
    from nas.system.files import held
    from nas.training.schedule import short_schedule

    wanted = _wanted(prune or [0.0], precision or ["int8-qat"])
    deepest = max(one.pruned_share for one in wanted)
    settings = Pruning(method)  # type: ignore[arg-type]
    source = _source(model)
    width, height = parse_size(size)
    schedule = short_schedule(steps)
    if smoke:
        source = Source(_narrowed(source.architecture, deepest), None)
        width = height = source.architecture.graph().fits(SMOKE_SIDE)
        # A network that has hardly left the identity is one large weight among many tiny ones a
        # filter, which 8 bits round away: it would fail for a reason that training removes.
        schedule = replace(schedule, steps=10, batch=2, patch=32, identity_start=False)
    graph = source.architecture.graph()
    check_size(graph.reduction, height, width, graph.smallest)
    _check_reach(source.architecture, deepest, settings)
    devices = tuple(dict.fromkeys(device or []))
    for spec in devices:
        open_device(spec)
    dataset = open_dataset(data)
    _check_pictures(dataset)
    with held(out_):
        job = Job(dataset, (width, height), out_, schedule, seed, settings, devices, Told())
        document, failed = job.run(source, wanted)
        if "rows" in document:
            _write_tables(document, out_)
    if json_:
        emit_json(document)
    else:
        _print(document, out_)
    failed = failed or _first_unmeasured(document)
    if failed is not None:
        raise failed


def _wanted(shares: list[float], precisions: list[str]) -> list[Compression]:
    """Every combination, shallow first: a deeper pruning goes on from a shallower one."""
    from nas.networks.candidate import Compression

    for name, given in (("--prune", shares), ("--precision", precisions)):
        if len(set(given)) != len(given):
            raise ConfigError(f"{name} {' '.join(map(str, given))}: one is given twice")
    return [Compression(p, share) for share in sorted(shares) for p in precisions]  # type: ignore[arg-type]


def _source(name: str) -> Source:
    from nas.cli.compress_job import Source
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


def _narrowed(architecture: Architecture, prune: float) -> Architecture:
    """A quick likeness that can still be pruned by `prune`; the network itself if it is small."""
    from nas.compression.channels import group_channels
    from nas.compression.compress import expected_architecture
    from nas.compression.pruning import Pruning, largest_share
    from nas.networks.candidate import Narrowable

    if isinstance(architecture, Narrowable):
        narrow = architecture.narrowed()
        if largest_share(group_channels(narrow.graph()), Pruning()) > prune + 0.05:
            return narrow
    for share in SMOKE_SHARES:
        try:
            narrow = expected_architecture(architecture, share)
        except ConfigError:
            continue
        if largest_share(group_channels(narrow.graph()), Pruning()) > prune + 0.05:
            return narrow
    return architecture


def _check_reach(architecture: Architecture, share: float, settings: Any) -> None:
    from nas.compression.channels import group_channels
    from nas.compression.pruning import check_share

    if share:
        check_share(group_channels(architecture.graph()), share, settings)


def _check_pictures(dataset: Dataset) -> None:
    """DataError where the blurred held-out pictures are the sharp ones: nothing can be scored."""
    if all((pair.blurred == pair.sharp).all() for pair in dataset.heldout()):
        raise DataError(
            f"{dataset.spec}: every blurred held-out picture is equal to its sharp one; give the "
            "blurred pictures first, then the sharp ones"
        )


def _first_unmeasured(document: dict[str, Any]) -> NasError | None:
    """The error to end with where a device gave no latency."""
    rows = [document["before"], *(document.get("rows") or [document["after"]])]
    for row in rows:
        for device, found in row.get("devices", {}).items():
            if "failure" in found:
                where = f"p{100 * row['pruned_share']:g}-{row['precision']}"
                return DeviceError(f"{where} has no latency on {device}: {found['failure']}")
    return None


def _write_tables(document: dict[str, Any], folder: Path) -> None:
    """The table as Markdown, and the chart where there are several figures to draw."""
    from functools import partial

    from nas.cli.compress_job import as_results
    from nas.report.compression import compression_rows
    from nas.report.png import save_compression
    from nas.system.files import write_atomically

    columns, rows = _table(document)
    lines = [list(columns), ["---:" if end == "right" else "---" for end in columns.values()]]
    text = "".join(f"| {' | '.join(cells)} |\n" for cells in [*lines, *rows])
    write_atomically(folder / "compression.md", lambda file: file.write(text.encode()))
    shown = compression_rows(as_results(document))
    picture = folder / "compression.png"
    if shown:
        write_atomically(picture, partial(save_compression, shown))
    else:
        picture.unlink(missing_ok=True)


def _table(document: dict[str, Any]) -> tuple[dict[str, str], list[list[str]]]:
    """Headings with their justification, and cells: the network as it was, then each compression.

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


def _latency(found: dict[str, Any]) -> str:
    if "failure" in found:
        return "failed"
    source = "" if found["source"] == "measured" else f" ({found['source']})"
    return f"{found['latency_ms']:.2f}{source}"


def _print(document: dict[str, Any], folder: Path) -> None:
    columns, cells = _table(document)
    before = document["before"]
    rows = document.get("rows") or [document["after"]]
    size = "x".join(map(str, document["conditions"]["size"]))
    out.print(table(f"Pruned and quantized, at {size}", columns, cells))
    made = [row for row in rows if "failure" not in row]
    reached = dict.fromkeys(f"{row['reached_share']:.1%}" for row in made if row["pruned_share"])
    if reached:
        out.print(f"\nof the MACs pruned: {', '.join(reached)}", highlight=False)
    out.print(
        f"the blurred pictures have {before['psnr_db_input']:.2f} dB; scored on "
        + "; ".join(dict.fromkeys(row["scored_on"] for row in (before, *made))),
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
