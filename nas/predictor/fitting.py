"""Fitting a predictor to a device: micro-benchmarks in one session, then at most a few networks.

Everything measured is kept as it comes, below the predictor's folder in the cache: a stopped fit
goes on where it was.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, final

import numpy as np

from nas.devices import Measurement, TimingProtocol
from nas.devices.fleet import measure_everywhere
from nas.devices.gpus import may_use_gpu
from nas.devices.host.device import BUSY_CORES
from nas.devices.host.pace import PACE
from nas.errors import ConfigError, ConversionError, DeviceStableError, RunError
from nas.networks.candidate import Architecture, Precision
from nas.predictor import microbenchmarks
from nas.predictor.design import RandomTrial, chosen_joints, chosen_networks, chosen_terms
from nas.predictor.identity import folder_of, identity_of, keep, protocol_of
from nas.predictor.microbenchmark_graphs import write_network
from nas.predictor.predictor import LEAST_NETWORKS, Measured, Predictor, precision_dtype
from nas.predictor.terms import Term, terms_of_graph
from nas.study.study import Study
from nas.system.files import held, read_json, write_atomically

SAMPLED = 300
"""Networks drawn from the space to see what operations it has, and which networks to measure."""
MOST_NETWORKS = 200
Progress = Callable[[str, int, int], None]
"""A function of the stage, and how much of it is done, of how much."""
Warn = Callable[[str], None]


@final
@dataclass(frozen=True)
class FittingSpace:
    """The networks that a predictor is for: a study's, at a picture `size` (width, height).

    `precisions` are those of the study, one for each data type.
    """

    study: Study
    size: tuple[int, int]
    precisions: tuple[Precision, ...]

    @classmethod
    def of(cls, study: Study, size: tuple[int, int] | None = None) -> FittingSpace:
        """Return the space of a study; ConfigError where its networks can't take the size."""
        listed = getattr(study.compression, "precision", None)
        precisions: Sequence[Precision] = listed or ("float",)
        by_dtype = {precision_dtype(one): one for one in reversed(precisions)}
        distinct = tuple(one for one in precisions if by_dtype[precision_dtype(one)] == one)
        width, height = size or study.size
        reduction = study.space.reduction
        if width % reduction or height % reduction:
            near = [max(reduction, side // reduction * reduction) for side in (width, height)]
            raise ConfigError(
                f"--size {width}x{height}: networks of {study.name} need sides that divide by "
                f"{reduction}, for example {near[0]}x{near[1]}"
            )
        return cls(study, (width, height), distinct)

    def draw(self, count: int, seed: int) -> list[Architecture]:
        """Return `count` different networks, drawn at random; fewer where the space has no more.

        Where the study prunes, they are as narrow as pruning is expected to make them.
        """
        random = np.random.default_rng(seed)
        networks: dict[str, Architecture] = {}
        for _ in range(4 * count):
            trial = cast("Any", RandomTrial(random))
            architecture: Architecture = self.study.space.sample(trial)
            share = self.study.compression.sample(trial).pruned_share
            network = narrowed(architecture, share)
            networks.setdefault(str(network.to_dict()), network)
            if len(networks) == count:
                break
        return list(networks.values())

    def terms(self, network: Architecture, precision: Precision) -> tuple[Term, ...]:
        """Return a network's terms at the picture size."""
        return terms_of_graph(network.graph(), self.size, precision)


def narrowed(architecture: Architecture, share: float) -> Architecture:
    """Return the network as a pruned share of MACs makes it; itself where it can't be pruned."""
    if not share:
        return architecture
    from nas.compression.compress import expected_architecture

    try:
        return expected_architecture(architecture, share)
    except ConfigError:
        return architecture


def fit(
    spec: str,
    study: Study,
    size: tuple[int, int] | None,
    networks: int,
    progress: Progress,
    again: bool = False,
    warn: Warn = lambda text: None,
) -> tuple[Predictor, Path]:
    """Fit and keep the predictor of a device for a study's space; return it and its file.

    `size` (width, height) is the study's by default; `networks` is how many are measured in each
    precision. `progress` gets the stage, its done and its whole count. With `again`, earlier
    measurements are taken anew. `warn` gets a sentence where others used the machine meanwhile.
    Raises ConfigError where there are too few networks, the device is unknown or the size does not
    fit; DeviceError where the device does
    not measure; RunError where the cache can't be written or another process fits the same.
    """
    check_count(networks)
    space, protocol = FittingSpace.of(study, size), protocol_of(study)
    about = identity_of(spec, study, space.size)
    folder = folder_of(about)
    with held(folder):
        if again:
            _forget(folder)
        sample = space.draw(SAMPLED, seed=0)
        plan = plan_of(space, sample)
        timings = microbenchmarks.measure(
            spec, plan, protocol, folder / "micro.json",
            lambda done, total: progress("operations", done, total),
        )  # fmt: skip
        bare = microbenchmarks.fitted(plan, timings, about)
        chosen = choose(bare, space, sample, networks)
        rows: list[Measured] = []
        jobs = [(network, precision) for network in chosen for precision in space.precisions]
        with Networks(spec, space, protocol, folder) as measuring:
            for done, (network, precision) in enumerate(jobs):
                progress("networks", done, len(jobs))
                measurement = measuring.measure(network, precision)
                if measurement is not None:
                    terms = space.terms(network, precision)
                    rows.append(Measured.of(terms, measurement))
        progress("networks", len(jobs), len(jobs))
        measuring.complain(warn)
        predictor = bare.improved_by(rows, session="fit")
        _check_enough(predictor, spec, space)
        return predictor, keep(predictor, folder)


def check_count(networks: int) -> None:
    """Raise ConfigError where a predictor can't be fitted to so many networks."""
    if not LEAST_NETWORKS <= networks <= MOST_NETWORKS:
        raise ConfigError(
            f"--networks {networks}: a predictor is fitted to {LEAST_NETWORKS} to {MOST_NETWORKS} "
            "measured networks; 10 is what its figures are for"
        )


def _check_enough(predictor: Predictor, spec: str, space: FittingSpace) -> None:
    for precision in space.precisions:
        dtype = precision_dtype(precision)
        have = len(predictor.observed.get(dtype, ()))
        if have < LEAST_NETWORKS:
            raise ConfigError(
                f"{spec} ran only {have} of the networks in {precision}; {LEAST_NETWORKS} at least "
                "make a prediction: allow more with --networks, or choose a study whose networks "
                "it can run"
            )


def _forget(folder: Path) -> None:
    for path in [folder / "micro.json", *(folder / "networks").glob("*.json")]:
        path.unlink(missing_ok=True)


def plan_of(space: FittingSpace, sample: Sequence[Architecture]) -> microbenchmarks.SessionPlan:
    """Return the micro-benchmarks for a sample of a space's networks."""
    terms: list[Term] = []
    joints: list[tuple[Term, ...]] = []
    for precision in space.precisions:
        networks = [space.terms(network, precision) for network in sample]
        terms += chosen_terms(networks)
        joints += chosen_joints(networks)
    return microbenchmarks.SessionPlan(tuple(terms), tuple(joints))


def choose(
    bare: Predictor, space: FittingSpace, sample: Sequence[Architecture], count: int
) -> list[Architecture]:
    """Return the networks of a sample that teach most about all of it."""
    features = []
    for precision in space.precisions:
        rows = [bare.shares(space.terms(network, precision)) for network in sample]
        names = sorted({name for row in rows for name in row})
        features.append(np.array([[row.get(name, 0.0) for name in names] for row in rows]))
    return [sample[index] for index in chosen_networks(features, count)]


@final
class Networks:
    """Measures whole networks on a device as the study does, and keeps the measurements.

    Files are converted with weights that nobody trained: latency belongs to the structure.
    """

    def __init__(
        self, spec: str, space: FittingSpace, protocol: TimingProtocol, folder: Path
    ) -> None:
        self._spec, self._space, self._protocol = spec, space, protocol
        self._folder = folder
        self._others: list[float] = []
        self._best_pace_ms: float | None = None

    def __enter__(self) -> Networks:
        return self

    def __exit__(self, *_: object) -> None:
        for path in (self._folder / "files").glob("*.tflite"):
            path.unlink(missing_ok=True)

    def measure(self, network: Architecture, precision: Precision) -> Measurement | None:
        """Return the measurement; None where the device refuses the network.

        Raises DeviceTransientError where the device can't measure now, ConversionError, RunError.
        """
        self._remember_pace()
        path = self._file(network, precision)
        (outcome,) = measure_everywhere(
            path, (self._spec,), self._protocol, self._folder / "networks"
        )
        if outcome.measurement is not None:
            busy = outcome.measurement.disturbed and self._spec == "host"
            if busy and outcome.key:  # no figure to come back to
                (self._folder / "networks" / f"{outcome.key}.json").unlink(missing_ok=True)
            others = outcome.measurement.conditions.get("others_busy_cores")
            self._others += [others] if others is not None else []
            return outcome.measurement
        if isinstance(outcome.error, DeviceStableError):
            return None
        raise outcome.error or RunError(f"{self._spec} gave no answer")

    def _remember_pace(self) -> None:
        """Have the host's pace compared with its best one in all earlier measurements."""
        if self._spec != "host":
            return
        if self._best_pace_ms is None:
            paths = (self._folder / "networks").glob("*.json")
            records = [read_json(path).get("conditions", {}).get("pace", {}) for path in paths]
            paces = [pace["best_ms"] for pace in records if pace.get("best_ms")]
            self._best_pace_ms = min(paces, default=math.inf)
        if math.isfinite(self._best_pace_ms):
            PACE.remember(self._best_pace_ms)

    def complain(self, warn: Warn) -> None:
        """Warn where others used the machine: its latencies are then higher than they need be."""
        if self._others and statistics.median(self._others) > BUSY_CORES:
            warn(
                f"others used {statistics.median(self._others):.1f} of this machine's cores while "
                "networks were measured: expect slower and less steady latencies, and a predictor "
                "that tells them; fit and check on a quiet machine"
            )

    def _file(self, network: Architecture, precision: Precision) -> Path:
        from nas.system.hashing import content_key

        apart = may_use_gpu([self._spec])
        name = f"{content_key(network.to_dict())}-{precision}{'-apart' if apart else ''}.tflite"
        path = self._folder / "files" / name
        if not path.exists() and self._spec.startswith("npu:"):
            # Nothing runs there, and the estimate is that of the converted file: equal to the cycle
            # or within 0.1 %, without TensorFlow.
            path.parent.mkdir(parents=True, exist_ok=True)
            write_network(network.graph(), self._space.size, precision, path)
        if not path.exists():
            from nas.system.native_logs import quiet_native_logs
            from nas.training.tensorflow import quiet_tensorflow

            tensorflow = quiet_tensorflow()
            with quiet_native_logs():  # else its complaint about a missing GPU comes later
                tensorflow.config.list_physical_devices()
            from nas.compression.convert import convert_untrained

            width, height = self._space.size
            graph, schedule = network.graph(), self._space.study.schedule
            try:
                content = convert_untrained(graph, height, width, precision, schedule, apart)
            except ConversionError as error:
                raise ConversionError(f"{network.label} in {precision}: {error}") from error
            write_atomically(path, lambda file: file.write(content))
        return path
