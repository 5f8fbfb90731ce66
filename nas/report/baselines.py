"""Tells whether a search beat the networks that somebody chose by hand: its baselines.

A model beats a baseline where its PSNR is no lower and it is faster on every one of the study's
devices. How many do so by more than the figures' own uncertainty is counted too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.devices.names import DeviceName
from nas.study.metric import Metric
from nas.study.trial_result import TrialResult
from nas.system.hashing import content_key


@dataclass(frozen=True)
class Challenge:
    """One baseline with the models that beat it.

    `beaten_by` are the trials that beat the baseline, the best PSNR first. `surely` are those of
    them whose intervals lie apart from the baseline's figures on every device and in PSNR.
    `nearest` is the model of the best PSNR among all that are faster on every device; it is None
    where there is none, or where the baseline is beaten.
    """

    baseline: TrialResult
    beaten_by: tuple[TrialResult, ...]
    surely: tuple[TrialResult, ...]
    nearest: TrialResult | None


def challenges(results: Sequence[TrialResult], devices: Sequence[str]) -> list[Challenge]:
    """Compare each complete baseline with every other feasible model of the search.

    `devices` are the study's required ones: a trial without a latency on one of them is left out.
    """
    names = [f"latency_ms[{device}]" for device in devices]
    whole = [r for r in results if r.state == "complete" and _has(r, ["psnr_db", *names])]
    answers = []
    for baseline in (r for r in whole if r.baseline):
        faster = sorted(
            (
                r
                for r in whole
                if not r.baseline and all(r.value(name) < baseline.value(name) for name in names)
            ),
            key=lambda r: -r.value("psnr_db"),
        )
        beaten = tuple(r for r in faster if r.value("psnr_db") >= baseline.value("psnr_db"))
        surely = tuple(r for r in beaten if _apart(r, baseline, names))
        nearest = faster[0] if faster and not beaten else None
        answers.append(Challenge(baseline, beaten, surely, nearest))
    return answers


def verdict(
    results: Sequence[TrialResult],
    description: Mapping[str, Any],
    devices: Sequence[str],
    names: Mapping[str, DeviceName] | None = None,
) -> str | None:
    """Return the answer in a few sentences, the study's reference first.

    `description` is what run.json holds, `names` are people's names for the devices. The answer is
    None without baselines, and where all candidates were listed, so that nothing was searched for.
    """
    answers = challenges(results, devices)
    listed = description.get("study", {}).get("space", {}).get("family") == "listed"
    if listed or not answers or all(r.baseline for r in results):
        return None
    beaten = [challenge for challenge in answers if challenge.beaten_by]
    sure = [challenge for challenge in answers if challenge.surely]
    called = {device: names[device].name if names else device for device in devices}
    on = "on every device" if len(devices) > 1 else f"on {called[devices[0]]}"
    count = _counts(len(answers), len(beaten), len(sure), on)
    reference = description.get("study", {}).get("reference")
    if reference is None:
        return count
    key = content_key(reference)
    chosen = next((c for c in answers if c.baseline.key == key), None)
    return count if chosen is None else f"{_about(chosen, called)} {count}"


def _counts(networks: int, beaten: int, sure: int, on: str) -> str:
    """Say how many of the networks chosen by hand are beaten, `sure` of them for certain."""
    if networks > 1:
        return (
            f"Of {networks} networks chosen by hand the search beats {beaten}: no lower PSNR, "
            f"faster {on}; {sure} of them by more than the figures' uncertainty."
        )
    if not beaten:
        return "The search does not beat the one network chosen by hand."
    certainty = "by more than" if sure else "but within"
    return (
        f"The search beats the one network chosen by hand: no lower PSNR, faster {on}, "
        f"{certainty} the figures' uncertainty."
    )


def _about(challenge: Challenge, devices: Mapping[str, str]) -> str:
    baseline = challenge.baseline
    best = next(iter(challenge.beaten_by), challenge.nearest)
    if best is None:
        return f"Nothing found is faster than the reference ({baseline.label}) on every device."
    speed = ", ".join(
        f"{baseline.value(name) / best.value(name):.2f} times as fast on {called}"
        for device, called in devices.items()
        for name in [f"latency_ms[{device}]"]
    )
    difference = best.value("psnr_db") - baseline.value("psnr_db")
    model = f"trial {best.number} ({best.label}), {difference:+.2f} dB, {speed}"
    if challenge.beaten_by:
        surely = (
            "" if challenge.surely else ", which is within the figures' uncertainty: measure it"
        )
        return f"The reference ({baseline.label}) is beaten by {model}{surely}."
    interval = best.metrics["psnr_db"].interval
    within = interval is not None and interval[1] >= baseline.value("psnr_db")
    doubt = "; its PSNR can't be told apart from the reference's" if within else ""
    return f"Nothing found beats the reference ({baseline.label}). Nearest: {model}{doubt}."


def _has(result: TrialResult, names: Sequence[str]) -> bool:
    feasible = all(violation <= 0 for violation in result.violations.values())
    return feasible and all(name in result.metrics for name in names)


def _apart(model: TrialResult, baseline: TrialResult, names: Sequence[str]) -> bool:
    quality = _low(model.metrics["psnr_db"]) >= _high(baseline.metrics["psnr_db"])
    return quality and all(
        _high(model.metrics[name]) < _low(baseline.metrics[name]) for name in names
    )


def _low(metric: Metric) -> float:
    return metric.interval[0] if metric.interval else metric.value


def _high(metric: Metric) -> float:
    return metric.interval[1] if metric.interval else metric.value
