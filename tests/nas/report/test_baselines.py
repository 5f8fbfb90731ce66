from itertools import product
from typing import Any

import numpy as np

from nas.report.baselines import challenges, verdict
from nas.study.metric import Metric
from nas.study.trial_result import TrialResult
from nas.system.hashing import content_key

DEVICES = ["a", "b"]


def trial(
    number: int, psnr_db: float, latencies: tuple[float, ...], baseline: bool = False, **more: Any
) -> TrialResult:
    reach, spread = more.pop("reach", 0.0), more.pop("spread", 0.0)
    metrics = {"psnr_db": Metric(psnr_db, "modelled", None, (psnr_db - reach, psnr_db + reach))}
    for device, value in zip(DEVICES, latencies, strict=True):
        interval = (value - spread, value + spread)
        metrics[f"latency_ms[{device}]"] = Metric(value, "modelled", None, interval)
    candidate = {"number": number}
    key = content_key(candidate)
    return TrialResult(
        number, key, f"net{number}", candidate, "complete", metrics=metrics, baseline=baseline,
        **more,
    )  # fmt: skip


def test_what_beats_a_baseline_is_what_a_brute_force_finds() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 5, (60, 3))
    trials = [
        trial(n, float(q), (float(a + 1), float(b + 1)), n < 5) for n, (q, a, b) in enumerate(rows)
    ]
    found = {
        c.baseline.number: {r.number for r in c.beaten_by} for c in challenges(trials, DEVICES)
    }
    expected = {n: set[int]() for n in range(5)}
    for base, other in product(range(5), range(5, 60)):
        quality, *costs = rows[other] - rows[base]
        if quality >= 0 and max(costs) < 0:
            expected[base].add(other)
    assert found == expected
    assert any(expected.values())


def test_the_reference_is_answered_first() -> None:
    chosen = trial(0, 31.87, (1281, 1503), baseline=True)
    other = trial(1, 31.5, (2000, 2000), baseline=True)
    description = {"study": {"reference": chosen.candidate}}
    better = trial(2, 31.9, (900, 1400))
    assert verdict([chosen, other, better], description, DEVICES) == (
        "The reference (net0) is beaten by trial 2 (net2), +0.03 dB, 1.42 times as fast "
        "on a, 1.07 times as fast on b. Of 2 networks chosen by hand the search beats 2: no lower "
        "PSNR, faster on every device; 2 of them by more than the figures' uncertainty."
    )
    unsure = trial(3, 31.9, (900, 1400), reach=0.1)
    answer = verdict([chosen, other, unsure], description, DEVICES)
    assert answer is not None
    assert (
        "1.07 times as fast on b, which is within the figures' uncertainty: measure it." in answer
    )
    assert "1 of them by more than" in answer


def test_the_nearest_is_told_where_nothing_beats_the_reference() -> None:
    chosen = trial(0, 31.87, (1281, 1503), baseline=True)
    near, far = trial(1, 31.81, (900, 1400), reach=0.1), trial(2, 31.0, (500, 500))
    slower = trial(3, 32.0, (900, 1600))
    description = {"study": {"reference": chosen.candidate}}
    answer = verdict([chosen, near, far, slower], description, DEVICES)
    assert answer is not None
    assert answer.startswith(
        "Nothing found beats the reference (net0). Nearest: trial 1 (net1), -0.06 dB, 1.42 times "
        "as fast on a, 1.07 times as fast on b; its PSNR can't be told apart from the reference's. "
        "The search does not beat the one network chosen by hand."
    )
    answer = verdict([chosen, slower], description, DEVICES)
    assert answer is not None
    assert answer.startswith("Nothing found is faster than the reference (net0) on every device.")


def test_infeasible_trials_beat_nothing_and_runs_without_baselines_have_no_answer() -> None:
    chosen = trial(0, 31.87, (1281, 1503), baseline=True)
    broken = trial(1, 32.0, (900, 1400), violations={"macs_ratio>=0.45": 0.2})
    assert challenges([chosen, broken], DEVICES)[0].beaten_by == ()
    assert verdict([broken], {}, DEVICES) is None
    assert verdict([chosen], {}, DEVICES) is None
    listed = {"study": {"space": {"family": "listed"}}}
    assert verdict([chosen, trial(2, 31.9, (900, 1400))], listed, DEVICES) is None


def test_one_network_chosen_by_hand_is_not_counted() -> None:
    chosen = trial(0, 31.87, (1281, 1503), baseline=True)
    better = trial(1, 32.5, (900, 1400))
    answer = verdict([chosen, better], {}, DEVICES)
    assert answer is not None
    assert answer.startswith(
        "The search beats the one network chosen by hand: no lower PSNR, faster on every device, "
    )
    assert verdict([chosen, trial(1, 30.0, (900, 1400))], {}, DEVICES) == (
        "The search does not beat the one network chosen by hand."
    )
