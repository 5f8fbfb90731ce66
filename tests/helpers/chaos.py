"""A driver to be killed: `python -m tests.helpers.chaos OUT TRIALS WORKERS KILL_EVERY [PHONE...]`.

Its trials train nothing. It kills one of its own workers, chosen at random, every KILL_EVERY
seconds (0: never), and appends the key of every evaluation that came to its end to OUT.evaluated.
With phones, each `SHARE`th candidate is measured on all of them: one of a few files beside OUT
stands for it.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from evaluators import Latency
from nas.devices.measurement import TimingProtocol
from nas.search.driver import search
from nas.study.evaluator import Subject
from nas.study.metric import Metric
from nas.study.study import Study
from search_spaces import UNetSpace
from tests.helpers.small_study import Formulas, small_study

SHARE = 4
FILES = 20
PROTOCOL = TimingProtocol(launches=1, runs=3, warmup=1, timeout_seconds=60)


@dataclass(frozen=True)
class Slowly(Formulas):
    """Figures that take some milliseconds, and leave a line."""

    evaluated: str = ""
    files: str = ""
    phones: tuple[str, ...] = ()

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        return (*super().metrics(("host",)), *(f"latency_ms[{phone}]" for phone in self.phones))

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        number = int(subject.candidate.key, 16)
        figures = super().evaluate(subject)
        if self.phones and number % SHARE == 0:
            figures |= self._measured(subject, number // SHARE % FILES)
        time.sleep(0.005 + number % 20 / 1000)
        with Path(self.evaluated).open("a") as file:
            file.write(f"{subject.candidate.key}\n")
        return figures

    def _measured(self, subject: Subject, file: int) -> dict[str, Metric]:
        """The phones' figures: their made-up speed has no noise, so they are always the same."""
        artifact = Path(self.files) / f"{file}.tflite"
        asked = replace(subject, artifact=artifact, devices=self.phones, optional=())
        found = Latency(PROTOCOL).evaluate(asked)
        names = (f"latency_ms[{phone}]" for phone in self.phones)
        return {name: Metric(found[name].value, found[name].source) for name in names}


def study(out: Path, phones: Sequence[str] = ()) -> Study:
    """The study of the run in `out`; the phones' files are in its parent's `files`."""
    evaluated, files = out.with_suffix(".evaluated"), out.parent / "files"
    return small_study(
        evaluators=(Slowly(str(evaluated), str(files), tuple(phones)),),
        space=UNetSpace(
            levels=(2, 3), widths=(4, 8, 12, 16), convolutions=(1, 2), first_kernel=(3,)
        ),
        sampler="random",
        devices=("host", *phones),
        objectives=("psnr_db", "latency_ms[host]"),
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
    out, trials, workers, every, *phones = arguments
    chosen = study(Path(out), phones)
    if float(every):
        evaluated = Path(out).with_suffix(".evaluated")
        threading.Thread(
            target=kill_workers, args=(float(every), os.getpid(), evaluated), daemon=True
        ).start()
    search(chosen, out, int(trials), int(workers))


if __name__ == "__main__":
    main(sys.argv[1:])
