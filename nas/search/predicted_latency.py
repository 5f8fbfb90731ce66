"""Latencies of a ranking's candidates: predicted, where every device has a fitted predictor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, final

from nas.compression.compress import expected_architecture
from nas.errors import NasError
from nas.networks.candidate import Candidate
from nas.predictor import Prediction, Predictor
from nas.predictor.identity import identity_of, load
from nas.study.evaluator import Needs, Subject
from nas.study.metric import Metric
from nas.study.objectives import WORST_RATIO
from nas.study.study import Study
from nas.system.files import read_json, write_json
from nas.system.hashing import content_key

PREDICTORS = "predictors.json"


@final
@dataclass(frozen=True)
class PredictedLatency:
    """`latency_ms[DEVICE]`, and their worst ratio to a reference's, from a file of predictors.

    For rankings: figures are modelled, and nothing is built or measured.
    """

    file: Path
    key: str
    reference: Candidate | None = None
    needs: ClassVar[Needs] = "architecture"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names of the figures."""
        return (*(f"latency_ms[{device}]" for device in devices), WORST_RATIO)

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        """Predict from the network's structure; ConfigError where the size does not fit it."""
        predictors = _read(self.file)
        found = self._predicted(predictors, subject.candidate, subject)
        figures = {
            f"latency_ms[{device}]": Metric(
                one.latency_ms, "modelled", "predicted", one.interval_ms, f"predictors {self.key}"
            )
            for device, one in found.items()
        }
        if self.reference is not None:
            network = expected_architecture(
                self.reference.architecture, self.reference.compression.pruned_share
            )
            whole = Candidate(network, self.reference.compression)
            theirs = self._predicted(predictors, whole, subject)
            worst = max(one.latency_ms / theirs[name].latency_ms for name, one in found.items())
            figures[WORST_RATIO] = Metric(worst, "modelled", conditions=f"predictors {self.key}")
        return figures

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluator as JSON types."""
        return {"name": "predicted-latency", "key": self.key}

    @staticmethod
    def _predicted(
        predictors: Mapping[str, Predictor], candidate: Candidate, subject: Subject
    ) -> dict[str, Prediction]:
        graph, precision = candidate.architecture.graph(), candidate.compression.precision
        return {
            device: predictors[device].predict(graph, subject.size, precision)
            for device in subject.devices
        }


def predicted_latency(study: Study, home: Path) -> PredictedLatency | str:
    """Return the evaluator for a ranking in `home`, or why latencies must be measured there.

    The predictors that a ranking started with are kept beside it: those that are fitted later are
    not its own.
    """
    path = home / PREDICTORS
    if not path.exists():
        if (home / "search" / "run.json").exists():
            return "it was started so"
        try:
            found = {d: load(identity_of(d, study)).to_dict() for d in study.devices}
        except NasError as error:
            return str(error)
        write_json(path, found)
    key = content_key(read_json(path))
    return PredictedLatency(path, key, study.reference_candidate if study.uses_reference else None)


@cache
def _read(path: Path) -> dict[str, Predictor]:
    return {device: Predictor.from_dict(values) for device, values in read_json(path).items()}
