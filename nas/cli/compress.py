"""`nas compress`: one network pruned and quantized, without a search."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.console import emit_json, err, out, table
from nas.cli.inspect import _architecture, parse_size
from nas.errors import ConfigError, RunError

if TYPE_CHECKING:
    from evaluators.quality import Score
    from nas.candidate import Architecture, Compression
    from nas.compress import Workshop
    from nas.data import Dataset
    from nas.finetune import Trained
    from nas.schedule import Schedule

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
    prune: Annotated[float, typer.Option(help="The share of the MACs to take away, 0 to 0.7.")] = 0,
    precision: Annotated[
        str, typer.Option(help="float | int8-ptq | int8-qat | int16-ptq")
    ] = "int8-qat",
    method: Annotated[str, typer.Option(help="adaptive | uniform-l1")] = "adaptive",
    size: Annotated[str, typer.Option(help="Deployment size, WIDTHxHEIGHT.")] = "1280x720",
    steps: Annotated[int, typer.Option(min=1, help="Steps of the float training.")] = 600,
    seed: Annotated[int, typer.Option(help="Of the trainings.")] = 0,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="A narrowed network, ten steps: does it work at all?")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Prune a network, quantize it, and score the file beside the float one's."""
    from nas.candidate import Compression
    from nas.data import open_dataset
    from nas.files import held
    from nas.graph import check_size
    from nas.prune import Pruning
    from nas.schedule import short_schedule

    wanted = Compression(precision, prune)  # type: ignore[arg-type]
    settings = Pruning(method)  # type: ignore[arg-type]
    source = _source(model)
    width, height = parse_size(size)
    schedule = short_schedule(steps)
    if smoke:
        source = _Source(_narrowed(source.architecture, prune), None)
        width = height = SMOKE_SIDE
        # A network that has hardly left the identity is one large weight among many tiny ones a
        # filter, which 8 bits round away: it would fail for a reason that training removes.
        schedule = replace(schedule, steps=10, batch=2, patch=32, identity_start=False)
    check_size(source.architecture.graph().reduction, height, width)
    _check_reach(source.architecture, wanted, settings)
    dataset = open_dataset(data)
    with held(out_):
        job = _Job(dataset, (width, height), out_, _Told(), schedule, seed, settings)
        document = job.run(source, wanted)
    if json_:
        emit_json(document)
    else:
        _print(document, out_)


@dataclass(frozen=True)
class _Source:
    """A network, and its trained weights where there are some."""

    architecture: Architecture
    weights: Path | None


def _source(name: str) -> _Source:
    from search_spaces import architecture_from_dict

    folder = Path(name)
    if not (folder / "card.json").is_file():
        return _Source(_architecture(name), None)
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
    return _Source(architecture_from_dict(network or candidate["architecture"]), weights)


def _narrowed(architecture: Architecture, prune: float) -> Architecture:
    """A quick likeness that can still be pruned by `prune`; the network itself if it is small."""
    from nas.channels import group_channels
    from nas.compress import expected_architecture
    from nas.prune import Pruning, largest_share

    for share in SMOKE_SHARES:
        try:
            narrow = expected_architecture(architecture, share)
        except ConfigError:
            continue
        if largest_share(group_channels(narrow.graph()), Pruning()) > prune + 0.05:
            return narrow
    return architecture


def _check_reach(architecture: Architecture, wanted: Compression, settings: Any) -> None:
    from nas.channels import group_channels
    from nas.prune import check_share

    if wanted.pruned_share:
        check_share(group_channels(architecture.graph()), wanted.pruned_share, settings)


class _Told:
    """A line for each stage, and one every few seconds of a long one."""

    def __init__(self) -> None:
        self._stage, self._when = "", 0.0

    def __call__(self, stage: str, done: int, total: int, loss: float) -> None:
        if stage == self._stage and time.monotonic() - self._when < 5:
            return
        self._stage, self._when = stage, time.monotonic()
        where = f" {done}/{total}, L1 {loss:.4f}" if loss else ""
        err.print(f"{stage}{where}", highlight=False)


@dataclass(frozen=True)
class _Job:
    dataset: Dataset
    size: tuple[int, int]
    folder: Path
    progress: _Told
    schedule: Schedule
    seed: int
    settings: Any

    def run(self, source: _Source, wanted: Compression) -> dict[str, Any]:
        """Train, compress, convert, score, write; what `--json` prints."""
        from nas.candidate import Compression
        from nas.compress import Workshop, compressed
        from nas.files import write_atomically, write_json
        from nas.pruned import pruned_share
        from nas.quietlogs import prepare_tensorflow

        prepare_tensorflow(self.schedule.threads)
        graph = source.architecture.graph()
        side = -(-self.schedule.patch // graph.reduction) * graph.reduction
        schedule = replace(self.schedule, patch=side)
        pack = self.dataset.prepare(side)
        weights = self.folder / "weights"
        shop = Workshop(pack, schedule, self.seed, weights, self.progress, self.settings)
        trained = self._trained(source, shop)
        made = compressed(trained, wanted, shop)
        before = self._file(trained, "float", shop, "float.tflite")
        after = self._file(made, wanted.precision, shop, "model.tflite")
        narrow = made.architecture.graph()
        document = {
            "candidate": {
                "architecture": source.architecture.to_dict(),
                "compression": wanted.to_dict(),
            },
            "conditions": {
                "network": made.architecture.to_dict(),
                "data": self.dataset.spec,
                "split": self.dataset.split,
                "schedule": schedule.to_dict(),
                "pruning": self.settings.to_dict(),
                "seed": self.seed,
                "size": list(self.size),
            },
            "pruned_share": pruned_share(graph, narrow),
            "before": {**_costs(graph, self.size), **before},
            "after": {**_costs(narrow, self.size), **after},
        }
        content = made.weights.read_bytes()
        write_atomically(self.folder / "model.weights.h5", lambda file: file.write(content))
        write_json(self.folder / "card.json", document)
        if wanted == Compression():
            err.print("nothing was asked for: --prune is 0 and the precision float")
        return document

    def _trained(self, source: _Source, shop: Workshop) -> Trained:
        from nas.canonical import file_sha256
        from nas.compress import float_training
        from nas.finetune import Trained

        if source.weights is None:
            return float_training(source.architecture, self.dataset.identity(), shop)
        key = file_sha256(source.weights)[:12]
        return Trained(source.architecture, source.weights, key)

    def _file(self, made: Trained, precision: Any, shop: Workshop, name: str) -> dict[str, Any]:
        """Convert, write, score."""
        from evaluators.quality import score_artifact
        from nas.convert import convert_trained
        from nas.files import write_atomically

        self.progress(f"converting to {precision}, scoring", 0, 1, 0.0)
        width, height = self.size
        graph = made.architecture.graph()
        content = convert_trained(graph, made.weights, height, width, precision, shop.pack)
        write_atomically(self.folder / name, lambda file: file.write(content))
        score: Score = score_artifact(self.folder / name, self.dataset.heldout())
        return {
            "precision": precision,
            "bytes": len(content),
            "psnr_db": score.psnr_db,
            "ssim": score.ssim,
            "psnr_db_input": score.input_psnr_db,
            "scored_on": f"{score.pictures} pictures, {score.fitting}",
        }


def _costs(graph: Any, size: tuple[int, int]) -> dict[str, float]:
    width, height = size
    macs = graph.macs(height, width)
    return {
        "gmacs_conv": macs.conv / 1e9,
        "gmacs_profiler": macs.profiler / 1e9,
        "parameters": graph.parameters(),
    }


def _print(document: dict[str, Any], folder: Path) -> None:
    rows = [
        [
            "before" if name == "before" else "after",
            row["precision"],
            f"{row['gmacs_profiler']:.3f}",
            f"{row['parameters']:,}",
            f"{row['bytes']:,}",
            f"{row['psnr_db']:.2f}",
            f"{row['ssim']:.4f}",
        ]
        for name, row in ((name, document[name]) for name in ("before", "after"))
    ]
    headings = ("", "precision", "GMAC", "parameters", "bytes", "PSNR dB", "SSIM")
    columns = {heading: "left" if index < 2 else "right" for index, heading in enumerate(headings)}
    size = "x".join(map(str, document["conditions"]["size"]))
    drop = document["after"]["psnr_db"] - document["before"]["psnr_db"]
    out.print(table(f"{document['pruned_share']:.1%} of the MACs pruned, at {size}", columns, rows))
    out.print(
        f"\n[bold]{drop:+.2f} dB[/]; the blurred pictures have "
        f"{document['before']['psnr_db_input']:.2f} dB. {document['after']['scored_on']}",
        highlight=False,
    )
    out.print(f"{folder / 'model.tflite'}", highlight=False, soft_wrap=True)
