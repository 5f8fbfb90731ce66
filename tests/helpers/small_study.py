"""A study for tests: real values, and evaluators that cost nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from nas.study.evaluator import Needs, Subject
from nas.study.metric import Metric
from nas.study.study import Study
from nas.study.trial_result import TrialResult
from nas.training.schedule import Schedule
from search_spaces import CompressionSpace, UNetSpace


@dataclass(frozen=True)
class Formulas:
    """Figures that follow from the architecture alone."""

    needs: ClassVar[Needs] = "architecture"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        return ("psnr_db", *(f"latency_ms[{device}]" for device in devices))

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        macs = subject.candidate.architecture.graph().macs(*subject.size[::-1]).conv
        return {
            "psnr_db": Metric(20 + (macs % 97) / 10, "computed"),
            "latency_ms[host]": Metric(macs / 1e6, "computed"),
        }

    def to_dict(self) -> dict[str, Any]:
        return {"name": "formulas"}


@dataclass(frozen=True)
class MadeUp:
    """A quality that follows from the architecture: nothing is trained."""

    needs: ClassVar[Needs] = "architecture"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        return ("psnr_db",)

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        macs = subject.candidate.architecture.graph().macs(*subject.size[::-1]).conv
        return {"psnr_db": Metric(20 + macs % 97 / 10, "synthetic")}

    def to_dict(self) -> dict[str, Any]:
        return {"name": "made-up"}


def small_study(**changes: Any) -> Study:
    values: dict[str, Any] = {
        "name": "small",
        "description": "A study for tests.",
        "space": UNetSpace(
            levels=(2, 3),
            widths=(4, 8),
            convolutions=(1, 2),
            first_kernel=(3,),
            activation=("relu",),
        ),
        "compression": CompressionSpace(("float", "int8-ptq")),
        "schedule": Schedule(steps=5, batch=2, patch=16, learning_rate=1e-3),
        "evaluators": (Formulas(),),
        "size": (64, 32),
        "trials": 8,
    }
    return Study(**(values | changes))


def result_of(asked: Any, **changes: Any) -> TrialResult:
    """A complete result whose figures follow from the candidate's key."""
    number = int(asked.candidate.key, 16)
    values: dict[str, Any] = {
        "number": asked.number,
        "key": asked.candidate.key,
        "label": asked.candidate.label,
        "candidate": asked.candidate.to_dict(),
        "state": "complete",
        "parameters": asked.parameters,
        "metrics": {
            "psnr_db": Metric(20 + number % 1000 / 100, "computed"),
            "latency_ms[host]": Metric(1 + number % 777 / 10, "computed"),
        },
    }
    return TrialResult(**(values | changes))
