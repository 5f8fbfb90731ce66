"""One network in several compressions: each is trained, converted, scored, timed and written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, final

from nas.data.image_quality import PSNR_ID, SSIM_ID
from nas.devices.gpus import may_use_gpu
from nas.errors import ConfigError, DataError, DeviceError, NasError, RunError
from nas.networks.candidate import Architecture, Candidate, Compression
from nas.networks.counts import counts
from nas.study.metric import Metric
from nas.study.trial_result import TrialResult

if TYPE_CHECKING:
    from nas.compression.finetuning import Trained
    from nas.compression.pruning import Pruning
    from nas.data import Dataset, Pair
    from nas.training.schedule import Schedule
    from nas.training.workshop import Progress, Workshop

Row = dict[str, Any]
SMOKE_SHARES = (0.93, 0.8, 0.5)  # of the MACs, by which a smoke test narrows a network first
SMOKE_SIDE = 64
FEW_STEPS = 50  # with fewer, a network is hardly trained: only nonsense is refused


class PictureScore(Protocol):
    """The quality of a file on held-out pictures, as `evaluators.quality.Score` holds it."""

    @property
    def psnr_db(self) -> float:
        """The mean PSNR of the file's pictures, in decibels."""
        ...

    @property
    def ssim(self) -> float:
        """The mean SSIM of the file's pictures."""
        ...

    @property
    def input_psnr_db(self) -> float:
        """The mean PSNR of the blurred pictures themselves, in decibels."""
        ...

    @property
    def pictures(self) -> int:
        """The number of pictures."""
        ...

    @property
    def fitting(self) -> str:
        """How pictures were brought to the file's size, in words."""
        ...


ScoreFile = Callable[[Path, "Iterable[Pair]"], PictureScore]


@final
@dataclass(frozen=True)
class Source:
    """A network, and the file of its trained weights where there is one."""

    architecture: Architecture
    weights: Path | None


def folder_name(compression: Compression) -> str:
    """Name a compression's folder, for example "p30-int8-qat"."""
    return f"p{100 * compression.pruned_share:g}-{compression.precision}"


@final
@dataclass(frozen=True)
class Job:
    """Everything that stays the same for all compressions of one network.

    `size` is (width, height) in pixels; `schedule` and `seed` are those of the float training;
    `settings` say how channels are chosen; `devices` are timed; `score` gives a file's quality on
    the held-out pictures of `dataset`, and `progress` is told of every stage.
    """

    dataset: Dataset
    size: tuple[int, int]
    folder: Path
    schedule: Schedule
    seed: int
    settings: Pruning
    devices: tuple[str, ...]
    score: ScoreFile
    progress: Progress

    def run(self, source: Source, wanted: Sequence[Compression]) -> tuple[Row, NasError | None]:
        """Train, compress, convert, score and write; return the document of `--json`.

        One compression goes into the folder itself, several into a folder each. Where one of
        several fails, the others are made all the same, and the first error is returned beside the
        document; an error of one compression alone is raised.
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
            card = compression_card(common, row)
            write_json(self.folder / "card.json", card)
            return card, None
        rows, failed = self._rows(trained, wanted, shop, common)
        document = {**common, "rows": rows}
        write_json(self.folder / "compression.json", document)
        return document, failed

    def _rows(
        self, trained: Trained, wanted: Sequence[Compression], shop: Workshop, common: Row
    ) -> tuple[list[Row], NasError | None]:
        """Return a row for each compression, failed ones included, and the first error."""
        from nas.system.files import write_json

        rows: list[Row] = []
        failed = None
        for compression in wanted:
            home = self.folder / folder_name(compression)
            try:
                row = self._compressed(trained, compression, shop, home)
            except (ConfigError, RunError):
                raise
            except NasError as error:
                failed = failed or type(error)(f"{folder_name(compression)}: {error}")
                row = {**compression.to_dict(), "failure": str(error)}
            else:
                write_json(home / "card.json", compression_card(common, row))
            rows.append(row)
        return rows, failed

    def _shop(self, architecture: Architecture) -> Workshop:
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
        from nas.networks.layers import NETWORK_FORMAT
        from nas.system.environment import versions
        from nas.system.files import read_json, write_json
        from nas.system.hashing import content_key, file_sha256

        depends = [made.key, wanted.precision, self.size, shop.schedule.patch]
        depends += ["relu apart"] if may_use_gpu(self.devices) else []
        key = content_key([*depends, self.dataset.identity(), versions(), NETWORK_FORMAT])
        kept = self.folder / "figures" / f"{key}.json"
        if not (kept.exists() and path.exists() and read_json(kept)["sha256"] == file_sha256(path)):
            write_json(kept, self._file(made, wanted, shop, path))
        graph = made.architecture.graph()
        return {
            **wanted.to_dict(),
            "network": made.architecture.to_dict(),
            "reached_share": pruned_share(trained.architecture.graph(), graph),
            **counts(graph, self.size),
            **read_json(kept),
            "devices": self._timed(path),
        }

    def _file(self, made: Trained, wanted: Compression, shop: Workshop, path: Path) -> Row:
        from nas.compression.convert import convert_trained
        from nas.compression.verify import MINIMUM_DB, UNTRAINED_MINIMUM_DB
        from nas.system.files import write_atomically
        from nas.system.hashing import file_sha256

        self.progress(f"{folder_name(wanted)}: converting and scoring", 0, 1, 0.0)
        width, height = self.size
        graph = made.architecture.graph()
        bounds = UNTRAINED_MINIMUM_DB if self.schedule.steps < FEW_STEPS else MINIMUM_DB
        content = convert_trained(
            graph,
            made.weights,
            height,
            width,
            wanted.precision,
            shop.pack,
            bounds,
            may_use_gpu(self.devices),
        )
        write_atomically(path, lambda file: file.write(content))
        score = self.score(path, self.dataset.heldout())
        return {
            "bytes": len(content),
            "sha256": file_sha256(path),
            "psnr_db": score.psnr_db,
            "ssim": score.ssim,
            "psnr_db_input": score.input_psnr_db,
            "scored_on": f"{self.dataset.split}, {score.pictures} pictures, {score.fitting}",
        }

    def _timed(self, path: Path) -> Row:
        """Give each device's latency, or why there is none; latencies are kept by structure."""
        from nas.devices import TimingProtocol
        from nas.devices.fleet import measure_everywhere

        if not self.devices:
            return {}
        self.progress(f"timing {path.relative_to(self.folder)}", 0, 1, 0.0)
        cache = self.folder / "measurements"
        latencies: Row = {}
        for outcome in measure_everywhere(path, self.devices, TimingProtocol(), cache):
            taken = outcome.measurement
            latencies[outcome.device] = (
                {"failure": str(outcome.error)}
                if taken is None
                else {
                    "latency_ms": taken.latency_ms if taken.timed else None,
                    "interval_ms": list(taken.interval_ms) if taken.timed else None,
                    "source": taken.source,
                }
            )
        return latencies


def compression_card(common: Row, row: Row) -> Row:
    """Describe one file, so that its network can be built again: the document of its card.json.

    `common` holds the architecture, the conditions and the uncompressed network's figures; `row`
    the file's own. The fields `candidate` and `conditions` are those of an exported model's card.
    """
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


def as_results(document: Row, architecture: Architecture) -> list[TrialResult]:
    """Return the rows of several compressions as a report's trials, without those that failed.

    `architecture` is the network that `document` names as its architecture.
    """
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


def smoke_test(
    source: Source, deepest: float, schedule: Schedule
) -> tuple[Source, tuple[int, int], Schedule]:
    """Return a narrowed network, a small size and ten steps: enough to see whether all works.

    `deepest` is the largest share of the MACs that will be pruned.
    """
    source = Source(narrowed(source.architecture, deepest), None)
    side = source.architecture.graph().fits(SMOKE_SIDE)
    # A network that has hardly left the identity is one large weight among many tiny ones a
    # filter, which 8 bits round away: it would fail for a reason that training removes.
    short = replace(schedule, steps=10, batch=2, patch=32, identity_start=False)
    return source, (side, side), short


def narrowed(architecture: Architecture, share: float) -> Architecture:
    """Return a quick likeness that can still be pruned by `share`; a small network as it is."""
    from nas.compression.channels import group_channels
    from nas.compression.compress import expected_architecture
    from nas.compression.pruning import Pruning, largest_share
    from nas.networks.candidate import Narrowable

    if isinstance(architecture, Narrowable):
        narrow = architecture.narrowed()
        if largest_share(group_channels(narrow.graph()), Pruning()) > share + 0.05:
            return narrow
    for smoke_share in SMOKE_SHARES:
        try:
            narrow = expected_architecture(architecture, smoke_share)
        except ConfigError:
            continue
        if largest_share(group_channels(narrow.graph()), Pruning()) > share + 0.05:
            return narrow
    return architecture


def check_reach(
    architecture: Architecture, size: tuple[int, int], share: float, settings: Pruning
) -> None:
    """Raise ConfigError where `size` (width, height) does not fit or `share` is too much."""
    from nas.compression.channels import group_channels
    from nas.compression.pruning import check_share
    from nas.networks.graph import check_size

    graph, (width, height) = architecture.graph(), size
    check_size(graph.reduction, height, width, graph.smallest)
    if share:
        check_share(group_channels(graph), share, settings)


def check_pictures(dataset: Dataset) -> None:
    """Raise DataError where every blurred held-out picture is the sharp one: no score then."""
    if all((pair.blurred == pair.sharp).all() for pair in dataset.heldout()):
        raise DataError(
            f"{dataset.spec}: every degraded held-out picture is equal to its sharp one; give the "
            "degraded pictures first, then the sharp ones"
        )


def first_unmeasured(document: Row) -> NasError | None:
    """Return the error of the first device that gave no latency, or None."""
    rows = [document["before"], *(document.get("rows") or [document["after"]])]
    for row in rows:
        for device, latency in row.get("devices", {}).items():
            if "failure" in latency:
                where = f"p{100 * row['pruned_share']:g}-{row['precision']}"
                return DeviceError(f"{where} has no latency on {device}: {latency['failure']}")
    return None
