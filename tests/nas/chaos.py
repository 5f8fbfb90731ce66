"""A driver to be killed: `python -m tests.nas.chaos OUT TRIALS WORKERS KILL_EVERY [EVALUATED]`.

Its trials train nothing. It kills one of its own workers, chosen at random, every KILL_EVERY
seconds (0: never), and appends the key of every evaluation that came to its end to EVALUATED.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from nas.evaluation import Subject
from nas.metrics import Metric
from nas.search import search
from nas.study import Study
from tests.nas.small_study import Formulas, small_study


@dataclass(frozen=True)
class Slowly(Formulas):
    """Figures that take some milliseconds, and leave a line."""

    evaluated: str = ""

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        key = subject.candidate.key
        time.sleep(0.005 + int(key, 16) % 20 / 1000)
        figures = super().evaluate(subject)
        with Path(self.evaluated).open("a") as file:
            file.write(f"{key}\n")
        return figures


def study(evaluated: Path) -> Study:
    return small_study(
        evaluators=(Slowly(str(evaluated)),), sampler="random", startup_trials=10_000
    )


def kill_workers(every: float, seed: int, evaluated: Path) -> None:
    """From time to time, one process that the fork server made; never the driver itself.

    Also one that is just starting; but only once something was evaluated since the last one, or a
    slow machine would never get on.
    """
    drawn, before = random.Random(seed), -1
    while True:
        time.sleep(every * drawn.uniform(0.5, 1.5))
        done = evaluated.stat().st_size if evaluated.exists() else 0
        workers = _workers()
        if workers and done > before:
            before = done
            os.kill(drawn.choice(workers), signal.SIGKILL)


def _workers() -> list[int]:
    servers = [p for p in psutil.Process().children() if "forkserver" in " ".join(p.cmdline())]
    return [child.pid for server in servers for child in server.children()]


def main(arguments: Sequence[str]) -> None:
    out, trials, workers, every = arguments[:4]
    evaluated = Path(arguments[4]) if len(arguments) > 4 else Path(out).with_suffix(".evaluated")
    if float(every):
        threading.Thread(
            target=kill_workers, args=(float(every), os.getpid(), evaluated), daemon=True
        ).start()
    search(study(evaluated), out, int(trials), int(workers))


if __name__ == "__main__":
    main(sys.argv[1:])
