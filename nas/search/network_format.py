"""Tells runs whose networks became other operations than today's, so that nothing is mixed."""

from __future__ import annotations

from collections.abc import Iterator

import optuna

from nas.devices.gpus import may_use_gpu
from nas.errors import RunError
from nas.execution.trial.waiting import waiting_results
from nas.networks.candidate import Architecture
from nas.networks.layers import NETWORK_FORMAT, changed_in_format
from nas.storage.run_folder import RunFolder
from nas.study.study import Study
from nas.study.trial_result import TrialResult

CONDITION = "network_format"
"""The name under which a result's conditions have the format of its network."""
_NAMED = 3


def check_network_format(run: RunFolder, study: Study) -> None:
    """Raise RunError where trials of `run` have networks that would now become other files.

    Trials of networks that are built as ever stay, and the search goes on with them.
    """
    if all(evaluator.needs == "architecture" for evaluator in study.evaluators):
        return  # no file is made
    older = [r for r in _results(run) if r.conditions.get(CONDITION, 1) < NETWORK_FORMAT]
    gpu = may_use_gpu([*study.devices, *study.optional_devices])
    changed = [r.label for r in older if _has_changed(_architecture(study, r), gpu)]
    reference = study.reference_candidate if study.uses_reference else None
    if older and reference is not None and _has_changed(reference.architecture, gpu):
        changed.insert(0, f"{reference.label}, which latency ratios refer to")
    if changed:
        more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
        raise RunError(
            f"{run.path} was made when files had other transposed convolutions (network format 1, "
            f"now {NETWORK_FORMAT}: no padding where the kernel is the stride, no ReLU inside for "
            "GPUs): latencies of today's files can't be mixed with those of "
            f"{'; '.join(changed[:_NAMED])}{more}. Start the search in another folder; pareto, "
            "report and export of this run work as before"
        )


def _results(run: RunFolder) -> Iterator[TrialResult]:
    yield from run.results()
    yield from waiting_results(run)


def _architecture(study: Study, result: TrialResult) -> Architecture:
    sampled = optuna.trial.FixedTrial(dict(result.parameters))
    architecture: Architecture = study.space.sample(sampled)
    return architecture


def _has_changed(architecture: Architecture, for_gpu: bool) -> bool:
    return any(changed_in_format(layer, for_gpu) for layer in architecture.graph().layers)
