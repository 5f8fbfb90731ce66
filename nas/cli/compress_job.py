"""What `nas compress` does: one network in several compressions, each converted and scored."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.cli.console import err
from nas.data.image_quality import PSNR_ID, SSIM_ID
from nas.errors import ConfigError, NasError, RunError
from nas.networks.candidate import Architecture, Candidate, Compression
from nas.study.metric import Metric
from nas.study.trial_result import TrialResult

if TYPE_CHECKING:
    from evaluators.quality import Score
    from nas.compression.finetuning import Trained
    from nas.compression.pruning import Pruning
    from nas.data import Dataset
    from nas.training.schedule import Schedule
    from nas.training.workshop import Workshop

Row = dict[str, Any]
FEW_STEPS = 50  # with fewer, a network is hardly trained: the gate turns only nonsense away


@dataclass(frozen=True)
class Source:
    """A network, and its trained weights where there are some."""

    architecture: Architecture
    weights: Path | None


class Told:
    """A line for each stage, and one every few seconds of a long one."""

    def __init__(self) -> None:
        self._stage, self._when = "", 0.0

    def __call__(self, stage: str, done: int, total: int, loss: float) -> None:
        """See `nas.compression.compress.Progress`."""
        if stage == self._stage and time.monotonic() - self._when < 5:
            return
        self._stage, self._when = stage, time.monotonic()
        where = f" {done}/{total}, L1 {loss:.4f}" if loss else ""
        err.print(f"{stage}{where}", highlight=False)


def folder_name(wanted: Compression) -> str:
    """For example "p30-int8-qat"."""
    return f"p{100 * wanted.pruned_share:g}-{wanted.precision}"


@dataclass(frozen=True)
class Job:
    """What stays the same for all compressions; `size` is width, height."""

    dataset: Dataset
    size: tuple[int, int]
    folder: Path
    schedule: Schedule
    seed: int
    settings: Pruning
    devices: tuple[str, ...]
    progress: Told

    def run(self, source: Source, wanted: Sequence[Compression]) -> tuple[Row, NasError | None]:
        """Train, compress, convert, score, write; what `--json` prints.

        One compression goes into the folder itself, several into a folder each. Where one of
        several fails the others are made all the same; its error is returned beside the document.
        """
        from nas.system.files import write_json

        shop = self._shop(source.architecture)
        trained = self._trained(source, shop)
        before = self._row(trained, trained, Compression(), shop, self.folder / "float.tflite")
        common = {
            "architecture": source.architecture.to_dict(),
            "conditions": self._conditions(shop.schedule),
            "before": before,
        }
        if len(wanted) == 1:
            row = self._compressed(trained, wanted[0], shop, self.folder)
            write_json(self.folder / "card.json", card(common, row))
            return card(common, row), None
        rows, failed = [], None
        for one in wanted:
            home = self.folder / folder_name(one)
            try:
                row = self._compressed(trained, one, shop, home)
            except (ConfigError, RunError):
                raise
            except NasError as error:
                failed = failed or type(error)(f"{folder_name(one)}: {error}")
                row = {**one.to_dict(), "failure": str(error)}
            else:
                write_json(home / "card.json", card(common, row))
            rows.append(row)
        document = {**common, "rows": rows}
        write_json(self.folder / "compression.json", document)
        return document, failed

    def _shop(self, architecture: Architecture) -> Workshop:
        from dataclasses import replace

        from nas.training.tensorflow import prepare_tensorflow
        from nas.training.workshop import Workshop

        prepare_tensorflow(self.schedule.threads)
        side = architecture.graph().fits(self.schedule.patch)
        schedule, pack = replace(self.schedule, patch=side), self.dataset.prepare(side)
        weights = self.folder / "weights"
        return Workshop(pack, schedule, self.seed, weights, self.progress)

    def _conditions(self, schedule: Schedule) -> Row:
        from nas.system.environment import processor, versions

        return {
            "data": self.dataset.spec,
            "split": self.dataset.split,
            "schedule": schedule.to_dict(),
            "pruning": self.settings.to_dict(),
            "seed": self.seed,
            "size": list(self.size),
            "processor": processor(),
            "versions": versions(),
        }

    def _trained(self, source: Source, shop: Workshop) -> Trained:
        from nas.compression.compress import float_training
        from nas.compression.finetuning import Trained
        from nas.system.hashing import file_sha256

        if source.weights is None:
            return float_training(source.architecture, self.dataset.identity(), shop)
        return Trained(source.architecture, source.weights, file_sha256(source.weights)[:12])

    def _compressed(self, trained: Trained, wanted: Compression, shop: Workshop, home: Path) -> Row:
        from nas.compression.compress import compressed
        from nas.system.files import write_atomically

        made = compressed(trained, wanted, shop, self.settings)
        row = self._row(trained, made, wanted, shop, home / "model.tflite")
        content = made.weights.read_bytes()
        write_atomically(home / "model.weights.h5", lambda file: file.write(content))
        return row

    def _row(
        self, trained: Trained, made: Trained, wanted: Compression, shop: Workshop, path: Path
    ) -> Row:
        """Convert, write and score, unless the file is there; time it on the devices."""
        from nas.compression.pruned_network import pruned_share
        from nas.system.environment import versions
        from nas.system.files import read_json, write_json
        from nas.system.hashing import content_key, file_sha256

        depends = [made.key, wanted.precision, self.size, shop.schedule.patch]
        key = content_key([*depends, self.dataset.identity(), versions()])
        kept = self.folder / "figures" / f"{key}.json"
        if not (kept.exists() and path.exists() and read_json(kept)["sha256"] == file_sha256(path)):
            write_json(kept, self._file(made, wanted, shop, path))
        graph = made.architecture.graph()
        return {
            **wanted.to_dict(),
            "network": made.architecture.to_dict(),
            "reached_share": pruned_share(trained.architecture.graph(), graph),
            **_costs(graph, self.size),
            **read_json(kept),
            "devices": self._timed(path),
        }

    def _file(self, made: Trained, wanted: Compression, shop: Workshop, path: Path) -> Row:
        from evaluators.quality import score_artifact
        from nas.compression.convert import convert_trained
        from nas.compression.verify import MINIMUM_DB, UNTRAINED_MINIMUM_DB
        from nas.system.files import write_atomically
        from nas.system.hashing import file_sha256

        self.progress(f"{folder_name(wanted)}: converting and scoring", 0, 1, 0.0)
        width, height = self.size
        graph = made.architecture.graph()
        bounds = UNTRAINED_MINIMUM_DB if self.schedule.steps < FEW_STEPS else MINIMUM_DB
        content = convert_trained(
            graph, made.weights, height, width, wanted.precision, shop.pack, bounds
        )
        write_atomically(path, lambda file: file.write(content))
        score: Score = score_artifact(path, self.dataset.heldout())
        return {
            "bytes": len(content),
            "sha256": file_sha256(path),
            "psnr_db": score.psnr_db,
            "ssim": score.ssim,
            "psnr_db_input": score.input_psnr_db,
            "scored_on": f"{self.dataset.split}, {score.pictures} pictures, {score.fitting}",
        }

    def _timed(self, path: Path) -> Row:
        """Of each device the latency, or why there is none; kept by structure."""
        from nas.devices import TimingProtocol
        from nas.devices.fleet import measure_everywhere

        if not self.devices:
            return {}
        self.progress(f"timing {path.relative_to(self.folder)}", 0, 1, 0.0)
        cache = self.folder / "measurements"
        found: Row = {}
        for outcome in measure_everywhere(path, self.devices, TimingProtocol(), cache):
            taken = outcome.measurement
            found[outcome.device] = (
                {"failure": str(outcome.error)}
                if taken is None
                else {
                    "latency_ms": taken.latency_ms,
                    "interval_ms": list(taken.interval_ms),
                    "source": taken.source,
                }
            )
        return found


def card(common: Row, row: Row) -> Row:
    """What is kept beside one file, as `nas export` does: its network can be built from it."""
    return {
        "candidate": {
            "architecture": common["architecture"],
            "compression": {name: row[name] for name in ("pruned_share", "precision")},
        },
        "conditions": {**common["conditions"], "network": row["network"]},
        "pruned_share": row["reached_share"],
        "before": common["before"],
        "after": row,
    }


def as_results(document: Row) -> list[TrialResult]:
    """The rows of several compressions as a report's trials; those that failed are left out."""
    from search_spaces import architecture_from_dict

    architecture = architecture_from_dict(document["architecture"])
    results = []
    for number, row in enumerate(row for row in document["rows"] if "failure" not in row):
        candidate = Candidate(architecture, Compression(row["precision"], row["pruned_share"]))
        on = row["scored_on"]
        metrics = {
            "psnr_db": Metric(row["psnr_db"], "measured", PSNR_ID, conditions=on),
            "ssim": Metric(row["ssim"], "measured", SSIM_ID, conditions=on),
        }
        results.append(
            TrialResult(
                number,
                candidate.key,
                candidate.label,
                candidate.to_dict(),
                "complete",
                metrics=metrics,
            )
        )
    return results


def _costs(graph: Any, size: tuple[int, int]) -> dict[str, float]:
    width, height = size
    macs = graph.macs(height, width)
    return {
        "gmacs_conv": macs.conv / 1e9,
        "gmacs_profiler": macs.profiler / 1e9,
        "parameters": graph.parameters(),
    }
