"""How long a run of 10,000 trials takes to reopen: the goal is at most 1 s.

    python -m benchmarks.reopen [TRIALS]

The run is made of real result files and a real journal, with made-up figures: only its size counts.
"Reopen" is what a resumed search does before its first new trial: open the journal, look which
results are on the disk, and know every candidate that was seen.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import optuna

from nas.candidate import Candidate
from nas.conditions import processor, versions
from nas.memory import Asked, Memory
from nas.store import RunFolder
from search_spaces import CompressionSpace, UNetSpace
from tests.nas.small_study import result_of, small_study


def main(trials: int = 10_000) -> None:
    space = UNetSpace(widths=(8, 16, 24, 32, 48, 64))
    study = small_study(space=space, compression=CompressionSpace(("float", "int8-ptq")))
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder))
        results, seen = [], set()
        draws = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
        while len(results) < trials:
            trial = draws.ask()
            candidate: Candidate = study.sample(trial)
            if candidate.key not in seen:
                seen.add(candidate.key)
                asked = Asked(len(results), candidate, dict(trial.params))
                results.append(result_of(asked))
                run.write_result(results[-1])
        Memory(study, run.journal).adopt(results, {"psnr_db": 25.0})
        times = []
        for _ in range(5):
            started = time.perf_counter()
            memory = Memory(study, run.journal)
            on_disk = run.finished_numbers()
            lost = memory.told() - on_disk
            times.append(time.perf_counter() - started)
            if lost or memory.candidates() != trials:
                raise RuntimeError("the run did not come back whole")
        megabytes = run.journal.stat().st_size / 1e6
        print(f"{trials} trials, journal {megabytes:.1f} MB")
        middle = sorted(times)[2]
        print(f"reopened in {middle:.2f} s, median of 5 ({min(times):.2f} to {max(times):.2f})")
        started = time.perf_counter()
        run.results()
        print(f"every result read and parsed in {time.perf_counter() - started:.2f} s")
    print(processor(), versions())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
