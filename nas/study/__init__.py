"""A study, and what comes of it, as values.

`from nas.study import Study` is the public way in. A name is loaded when it is asked for, so that
a module of this room costs no more than itself.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.study.evaluator import Evaluator, Subject
    from nas.study.metric import Metric
    from nas.study.objectives import Constraint, Objective
    from nas.study.study import Study
    from nas.study.trial_result import TrialResult

__all__ = ["Constraint", "Evaluator", "Metric", "Objective", "Study", "Subject", "TrialResult"]
_HOMES = {
    "Constraint": "objectives",
    "Evaluator": "evaluator",
    "Metric": "metric",
    "Objective": "objectives",
    "Study": "study",
    "Subject": "evaluator",
    "TrialResult": "trial_result",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module; AttributeError for any other name."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
