"""The share of a trial that is not training: at most 15 % for 200 steps at 64x64, reused process.

    python -m benchmarks.trial_overhead [TRIALS]

Runs whole trials (cost, screening, training, conversion, scoring, latency) one after another in
this process, float, each of another network, and adds up where the time went. The first trial,
which loads and warms everything, is left out. Three lines, all with five launches: patches of
64x64, deployed at 64x64 and at 320x256, and quickstart's own setting.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

from benchmarks.verdict import undisturbed
from nas.search.driver import search
from nas.search.watcher import NobodyWatches
from nas.study.trial_result import TrialResult
from nas.system.environment import processor, versions
from nas.training.tensorflow import prepare_tensorflow
from studies import STUDIES

QUICKSTART = STUDIES["quickstart"]


class Collects(NobodyWatches):
    def __init__(self) -> None:
        self.results: list[TrialResult] = []

    def finished(self, result: TrialResult) -> None:
        self.results.append(result)


def main(trials: int = 7) -> None:
    prepare_tensorflow(threads=1)
    schedule = replace(QUICKSTART.schedule, steps=200, batch=8, patch=64)
    space = replace(QUICKSTART.space, widths=(8, 16, 32), levels=(3,), convolutions=(2,))
    precision = replace(QUICKSTART.compression, precision=("float",))
    small = replace(QUICKSTART, schedule=schedule, space=space, compression=precision, replicates=0)
    for width, height in ((64, 64), (320, 256)):
        name = f"200 steps of 8 x 64x64, deployed at {width}x{height}"
        _measure(name, replace(small, size=(width, height)), trials)
    _measure("quickstart", replace(QUICKSTART, replicates=0), trials)
    print(processor(), versions())


def _measure(name: str, study, trials: int) -> None:
    watcher = Collects()
    with tempfile.TemporaryDirectory() as folder:
        search(study, Path(folder), trials, 1, watcher)
    spent: Counter[str] = Counter()
    for result in watcher.results[1:]:
        spent.update(result.timings_s)
    total = sum(spent.values())
    shares = ", ".join(f"{stage} {seconds / total:.1%}" for stage, seconds in spent.most_common())
    print(f"{name}: {total / (trials - 1):.1f} s a trial; {shares}")
    print(f"  not training: {1 - spent['train'] / total:.1%}")


if __name__ == "__main__":
    with undisturbed("benchmarks.trial_overhead"):
        main(*map(int, sys.argv[1:]))
