"""Where an emulated phone runs each operation, by its profile's rules."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from tests.emulated_phone.network import Network, Step
from tests.emulated_phone.profiles import NNAPI_TYPES, Profile, Rule

REFERENCE = "nnapi-reference"


@dataclass(frozen=True)
class Plan:
    """Where each operation runs: an accelerator, `nnapi-reference`, or None for TFLite's CPU."""

    where: tuple[str | None, ...]
    failure: Rule | None = None

    @property
    def delegated(self) -> int:
        return sum(place is not None for place in self.where)

    @property
    def kernels(self) -> int:
        """List the contiguous runs of delegated operations."""
        inside = [place is not None for place in self.where]
        return sum(here and not before for before, here in pairwise([False, *inside]))


def plan_nnapi(
    profile: Profile, network: Network, reference: bool, only: str | None = None
) -> Plan:
    """Make NNAPI's plan.

    `reference`: what no accelerator takes runs in `nnapi-reference`, as the tool of 2020 does by
    default; else it stays with TFLite. `only`: the accelerator that was asked for.
    """
    fallen: set[int] = set()
    failure = None
    where: list[str | None] = []
    accelerator = only or (profile.accelerators[0] if profile.accelerators else REFERENCE)
    if only is None and "qti-dsp" in profile.accelerators:
        accelerator = "qti-gpu" if network.steps[0].type == "float32" else "qti-dsp"
    for step in network.steps:
        rules = [rule for rule in profile.rules if _holds(rule, step, network, fallen)]
        failure = failure or next((rule for rule in rules if rule.action == "fail"), None)
        if step.type not in NNAPI_TYPES:
            where.append(None)
            continue
        if any(rule.action == "fall-back" for rule in rules) or accelerator == REFERENCE:
            fallen.add(step.index)
            where.append(REFERENCE if reference else None)
        else:
            where.append(accelerator)
    return Plan(tuple(where), failure)


def plan_all(network: Network, name: str, types: tuple[str, ...]) -> Plan:
    """Make the plan of a delegate that takes every operation of the given types."""
    return Plan(tuple(name if step.type in types else None for step in network.steps))


def _holds(rule: Rule, step: Step, network: Network, fallen: set[int]) -> bool:
    if rule.op != step.op or step.type not in rule.types or step.elements < rule.min_elements:
        return False
    if step.inputs < rule.min_inputs or (rule.kernel_over_stride and not step.kernel_over_stride):
        return False
    if not rule.after:
        return True
    return any(
        network.steps[source].op in rule.after and (source in fallen or not rule.after_fallen)
        for source in step.sources
    )


def modelled_ms(profile: Profile, network: Network, plan: Plan) -> float:
    """Make up a latency: MACs over the place's speed, elements, 0.2 ms a change of place."""
    total, before = 0.3, ""
    for step, place in zip(network.steps, plan.where, strict=True):
        speed, per_element = profile.gmacs_per_s, 2e-7
        if place == REFERENCE:
            speed, per_element = profile.reference_gmacs_per_s, 4e-6
        elif place is None:
            speed, per_element = profile.cpu_gmacs_per_s, 1e-6
        total += step.macs / speed / 1e6 + step.elements * per_element
        total += 0.2 if str(place) != before else 0.0
        before = str(place)
    return total
