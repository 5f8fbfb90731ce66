"""Says in sentences what one trial's result holds for each device."""

from __future__ import annotations

from collections.abc import Callable

from nas.devices.placement import fallbacks
from nas.report.numbers import short_number
from nas.report.operations import kept_placement
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult


def explain_devices(
    run: RunFolder, result: TrialResult, name_of: Callable[[str], str] = str
) -> list[str]:
    """Return a sentence for each device that tells where operations run, or why none could.

    A device that only has a latency, as this machine, has no sentence: the latency is told before.
    """
    said = []
    for device, note in result.conditions.get("devices", {}).items():
        optional = "" if note["required"] else " (optional)"
        if note["failure"] is not None:
            said.append(f"On {name_of(device)}{optional}: {note['failure'].rstrip('.')}.")
        elif f"accelerated_mac_share[{device}]" in result.metrics:
            facts = ", ".join(_facts(run, result, device, note["measurement"]))
            said.append(f"On {name_of(device)}{optional}: {facts}.")
    return said


def _facts(run: RunFolder, result: TrialResult, device: str, key: str | None) -> list[str]:
    """Return the latency, the accelerated share, what fell back, and the time to compile."""
    share = result.value(f"accelerated_mac_share[{device}]")
    facts = [f"{100 * share:.1f} % of the MACs accelerated"]
    if (latency := result.metrics.get(f"latency_ms[{device}]")) is not None:
        source = "" if latency.source == "measured" else f" ({latency.source})"
        facts.insert(0, f"{short_number(latency.value)} ms{source}")
    if fallen := fallbacks(kept_placement(run, key)):
        facts.append(f"on the CPU: {', '.join(fallen)}")
    if (compiled := result.metrics.get(f"compile_ms[{device}]")) is not None:
        facts.append(f"compiled for the NPU in {short_number(compiled.value)} ms")
    return facts
