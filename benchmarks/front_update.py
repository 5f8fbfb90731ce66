"""How long one more trial takes on a front: new front and new hypervolume, at 10,000 trials.

Each new trial joins the front and throws a member out. Bound: 5 ms, also where every one of
the trials is on the front, for two and three objectives.

    python benchmarks/front_update.py [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np

from benchmarks.verdict import undisturbed
from nas.study.metric import Metric
from nas.study.objectives import Objective
from nas.study.pareto import Front, ReferencePoint
from nas.study.trial_result import TrialResult

TRIALS = 10_000
BOUND_MS = 5.0
NEW = 50


def as_trial(number: int, row: np.ndarray) -> TrialResult:
    metrics = {"psnr_db": Metric(20 + 10 * (1 - row[0]), "synthetic")}
    for axis, loss in enumerate(row[1:]):
        metrics[f"latency_ms[phone{axis}]"] = Metric(float(10 ** (1 + loss)), "synthetic")
    return TrialResult(number, f"key{number}", "", {}, "complete", metrics=metrics)


def cloud(random: np.random.Generator, axes: int, count: int) -> np.ndarray:
    """Return results as searches have them: a few on the front, the rest behind it."""
    return random.random((count, axes))


def shell(random: np.random.Generator, axes: int, count: int) -> np.ndarray:
    """The worst case: all on the front, on a sphere around the point that is best in all."""
    rows = np.abs(random.normal(size=(count, axes)))
    return 1 - rows / np.linalg.norm(rows, axis=1, keepdims=True)


def measure(rows: np.ndarray) -> dict[str, float]:
    axes = rows.shape[1]
    objectives = [Objective.of("psnr_db")]
    objectives += [Objective.of(f"latency_ms[phone{axis}]") for axis in range(axes - 1)]
    point = ReferencePoint((20.0, *[100.0] * (axes - 1)), ("fixed",) * axes)
    front = Front(objectives, point)
    for number, row in enumerate(rows):
        front.add(as_trial(number, row))
    members = [rows[member.number] for member in front.members]
    spent = []
    for index in range(NEW):  # a little better than a member: joins, and throws that one out
        better = members[index % len(members)] * 0.999 ** (1 + index // len(members))
        trial = as_trial(TRIALS + index, better)
        started = time.perf_counter()
        joined = front.add(trial)
        spent.append(1e3 * (time.perf_counter() - started))
        if not joined:
            raise RuntimeError("the new trial did not join the front: nothing was measured")
    return {
        "members": len(front.members),
        "median_ms": statistics.median(spent),
        "worst_ms": max(spent),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for axes in (2, 3):
        for shape in (cloud, shell):
            found = measure(shape(np.random.default_rng(0), axes, TRIALS))
            rows.append({"objectives": axes, "shape": shape.__name__, **found})
    within = all(row["median_ms"] <= BOUND_MS for row in rows)
    if arguments.json:
        print(json.dumps({"trials": TRIALS, "bound_ms": BOUND_MS, "within": within, "rows": rows}))
    else:
        print(f"one more trial at {TRIALS} trials, of {NEW}; bound {BOUND_MS:g} ms")
        for row in rows:
            print(
                f"{row['objectives']} objectives, {row['shape']:5}: {row['members']:6d} on the "
                f"front, median {row['median_ms']:.3f} ms, worst {row['worst_ms']:.3f} ms"
            )
    raise SystemExit(0 if within else 1)


if __name__ == "__main__":
    with undisturbed("benchmarks.front_update"):
        main()
