"""How long a run of 10,000 trials takes to reopen: the goal is at most 1 s.

    python -m benchmarks.reopen [TRIALS]

The run is made as a search makes one: every trial asked for, its result file written, told. Only
the figures in the results are made up: their number counts. "Reopen" is what a resumed search does
before its first new trial: open the journal, look which results are on the disk, and know every
candidate that was seen.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.verdict import undisturbed
from nas.search.ask_tell import OptunaStudy
from nas.storage.run_folder import RunFolder
from nas.system.environment import processor, versions
from search_spaces import CompressionSpace, UNetSpace
from tests.helpers.small_study import result_of, small_study


def main(trials: int = 10_000) -> None:
    space = UNetSpace(widths=(8, 16, 24, 32, 48, 64))
    study = small_study(
        space=space, compression=CompressionSpace(("float", "int8-ptq")), sampler="random"
    )
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder))
        memory = OptunaStudy(study, run.journal)
        spent = []
        for _ in range(trials):
            started = time.perf_counter()
            asked = memory.ask()
            between = time.perf_counter()
            if asked is None:
                raise RuntimeError("the space is too small")
            result = result_of(asked)
            run.write_result(result)
            written = time.perf_counter()
            memory.tell(result, {"psnr_db": 25.0})
            spent.append(time.perf_counter() - written + between - started)
        middle = sorted(spent[-1000:])[500]
        print(f"ask, sample at random and tell at {trials} trials: {middle * 1e3:.1f} ms, median")
        times = []
        for _ in range(5):
            started = time.perf_counter()
            memory = OptunaStudy(study, run.journal)
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
    with undisturbed("benchmarks.reopen"):
        main(*map(int, sys.argv[1:]))
