"""A study as a value: the space to search, the data and devices, and the rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from nas.errors import ConfigError, unknown
from nas.networks.candidate import ArchitectureSpace, Candidate, Compression, Space
from nas.study.evaluator import Evaluator
from nas.study.halving import ETA, READING_METRICS, SHARES
from nas.study.objectives import WORST_RATIO, Constraint, Objective
from nas.training.schedule import Schedule

Sampler = Literal["tpe", "ehvi", "gp", "nsga2", "random"]


@dataclass(frozen=True)
class Study:
    """Everything that decides which trials a search makes, and their results.

    `name`: the study's name on the command line and in its run folders.
    `description`: one sentence for `nas studies`.
    `space`: the architectures to choose from.
    `compression`: the pruned shares and precisions to choose from.
    `schedule`: how candidates are trained.
    `evaluators`: what gives figures of a candidate; an earlier stage stops a bad one sooner.
    `data`: the data set, by its spec.
    `objectives`: metric names; "latency_ms" stands for the latency on each device.
    `constraints`: bounds such as "latency_ms[host]<=50"; a candidate beyond one is infeasible.
    `devices`: specs of the devices on which every candidate must run.
    `optional_devices`: devices on which a candidate is measured where it runs.
    `reference`: the candidate that "worst_latency_ratio" refers to; else the first baseline.
    `size`: the deployment resolution (width, height), which is not the training patch.
    `trials`: how many candidates a search tries.
    `sampler`: the rule that draws candidates.
    `startup_trials`: how many are drawn at random before the sampler learns.
    `baselines`: candidates that are tried first.
    `seed`: the seed of everything random.
    `halving`: train most candidates for a part of the schedule only (`nas.study.halving`).
    `replicates`: how many whole-trained candidates at most are trained again with another seed, to
    know the noise (`nas.study.seed_noise`).

    Raises ConfigError where one part is wrong by itself. `check` tells whether the parts fit
    together; a search calls it first, once options have replaced devices, constraints and others.
    """

    name: str
    description: str
    space: ArchitectureSpace[Any]
    compression: Space[Compression]
    schedule: Schedule
    evaluators: tuple[Evaluator, ...]
    data: str = "photos"
    objectives: tuple[str, ...] = ("psnr_db", "latency_ms")
    constraints: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("host",)
    optional_devices: tuple[str, ...] = ()
    reference: Candidate | None = None
    size: tuple[int, int] = (1280, 720)
    trials: int = 50
    sampler: Sampler = "ehvi"
    startup_trials: int = 10
    baselines: tuple[Candidate, ...] = ()
    seed: int = 0
    halving: bool = False
    replicates: int = 3

    def __post_init__(self) -> None:
        if self.sampler not in get_args(Sampler):
            raise unknown("sampler", self.sampler, get_args(Sampler))
        named = [objective.metric for objective in self.expanded_objectives]
        bounded = [constraint.metric for constraint in self.parsed_constraints]
        devices = dict.fromkeys(filter(None, (*self.devices, *map(_device_in, named + bounded))))
        metrics_there = self._metrics(tuple(devices))
        for what, metrics in (("objective", named), ("metric in a constraint", bounded)):
            for metric in metrics:
                if metric not in metrics_there:
                    raise unknown(what, metric, metrics_there)
        for baseline in self.baselines:
            self.to_parameters(baseline)
        if self.replicates < 0:
            raise ConfigError(f"replicates={self.replicates}: expected 0 or more")

    def check(self) -> None:
        """Raise ConfigError where the parts don't fit together."""
        if not self.devices or len(set(self.devices)) != len(self.devices):
            raise ConfigError(f"devices={self.devices}: none, or one twice")
        everything = self.devices + self.optional_devices
        if len(set(everything)) != len(everything):
            raise ConfigError(
                f"optional_devices={self.optional_devices}: one twice, or required, too"
            )
        if self.uses_reference and self.reference_candidate is None:
            raise ConfigError(
                f"{WORST_RATIO} needs a network to refer to: give the study a `reference` or a "
                "baseline"
            )
        metrics_there = self._metrics(self.devices)
        named = {o.metric: f"objective {o.metric!r}" for o in self.expanded_objectives}
        named |= {c.metric: f"constraint '{c}'" for c in self.parsed_constraints}
        for metric, what in named.items():
            if metric not in metrics_there:
                raise ConfigError(
                    f"{what}: {_device_in(metric)} is none of the study's required devices "
                    f"({', '.join(self.devices)}); name it with --device, or in `devices`"
                )
        if self.halving:
            check_halving(self)

    def _metrics(self, devices: tuple[str, ...]) -> list[str]:
        """Return the names of the figures that the evaluators give on these devices."""
        return [metric for evaluator in self.evaluators for metric in evaluator.metrics(devices)]

    @property
    def expanded_objectives(self) -> tuple[Objective, ...]:
        """The objectives, with "latency_ms" expanded to one for each device that has a latency."""
        names: list[str] = []
        for name in self.objectives:
            if name != "latency_ms":
                names.append(name)
                continue
            each, there = [f"{name}[{one}]" for one in self.devices], self._metrics(self.devices)
            names += [one for one in each if one in there] or each
        return tuple(Objective.of(name) for name in names)

    @property
    def trains(self) -> bool:
        """True where candidates are trained, which only evaluators that look at weights need."""
        return any(evaluator.needs == "weights" for evaluator in self.evaluators)

    @property
    def reference_candidate(self) -> Candidate | None:
        """The candidate that latency ratios refer to: `reference`, else the first baseline."""
        return self.reference or next(iter(self.baselines), None)

    @property
    def uses_reference(self) -> bool:
        """True where an objective or a constraint is the ratio of latencies to the reference's."""
        names = {*self.objectives, *(constraint.metric for constraint in self.parsed_constraints)}
        return WORST_RATIO in names

    @property
    def parsed_constraints(self) -> tuple[Constraint, ...]:
        """The constraints as values, in the order of `constraints`."""
        return tuple(Constraint.parse(text) for text in self.constraints)

    def sample(self, trial: Any) -> Candidate:
        """Draw a candidate: the architecture's parameters first, then the compression's."""
        return Candidate(self.space.sample(trial), self.compression.sample(trial))

    def to_parameters(self, candidate: Candidate) -> Mapping[str, Any]:
        """Return the parameters that `sample` turns into `candidate`; ConfigError if none do."""
        return {
            **self.space.to_parameters(candidate.architecture),
            **self.compression.to_parameters(candidate.compression),
        }

    def fingerprint(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return what two searches that share a run must have in common, as JSON types.

        `data` describes the data set. The numbers of trials and replicates are not part of it: a
        run may go on for longer.
        """
        optional = {"optional_devices": list(self.optional_devices)}
        reference = self.reference_candidate if self.uses_reference else None
        return {
            **(optional if self.optional_devices else {}),
            **({"reference": reference.to_dict()} if reference else {}),
            **({"halving": True} if self.halving else {}),
            "name": self.name,
            "description": self.description,
            "space": self.space.to_dict(),
            "compression": self.compression.to_dict(),
            "data": dict(data),
            "schedule": self.schedule.to_dict(),
            "evaluators": [evaluator.to_dict() for evaluator in self.evaluators],
            "objectives": [objective.metric for objective in self.expanded_objectives],
            "constraints": [str(constraint) for constraint in self.parsed_constraints],
            "devices": list(self.devices),
            "size": list(self.size),
            "sampler": self.sampler,
            "startup_trials": self.startup_trials,
            "baselines": [baseline.to_dict() for baseline in self.baselines],
            "seed": self.seed,
        }


def _device_in(metric: str) -> str:
    """Return the device that a metric such as `latency_ms[DEVICE]` names; empty for none."""
    return metric.partition("[")[2].removesuffix("]")


def check_halving(study: Study) -> None:
    """Raise ConfigError, with the reason, for a study that halving can't be used for."""
    names = [objective.metric for objective in study.expanded_objectives]
    if not study.trains:
        raise ConfigError(f"halving shortens trainings, but study {study.name!r} trains nothing")
    if not set(READING_METRICS) & set(names):
        raise ConfigError(
            "halving needs an objective that a reading can tell of, "
            f"{' or '.join(READING_METRICS)}; study {study.name!r} has {', '.join(names)}"
        )
    early = {
        name
        for evaluator in study.evaluators
        if evaluator.needs != "weights"
        for name in evaluator.metrics(study.devices)
    }
    late = [name for name in names if name not in early and name not in READING_METRICS]
    if late:
        raise ConfigError(
            f"halving can't tell {', '.join(late)} before the end of a training; take it out of "
            "the objectives, or use --no-halving"
        )
    if study.schedule.steps < ETA ** len(SHARES):
        raise ConfigError(
            f"a schedule of {study.schedule.steps} steps is too short for halving, which reads "
            f"after a sixteenth of them: expected {ETA ** len(SHARES)} at least"
        )
