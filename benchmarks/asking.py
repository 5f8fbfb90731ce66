"""What a search's memory costs once many trials are stored, sampler by sampler.

    python -m benchmarks.asking [STORED]... [--samplers NAME,...]

A study of that many trials, drawn at random, is made once; then each sampler, as a search sets it
up, draws the next ones: ask, store the result's file, tell. The sampler's own time is told apart
from the rest, which is this project's and Optuna's. The goal with the default sampler: 20 ms at
1,000 stored trials, 50 ms at 10,000.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna

import nas.search.ask_tell
from benchmarks.verdict import undisturbed
from nas.search.ask_tell import OptunaStudy
from nas.storage.run_folder import RunFolder
from nas.study.study import Study
from nas.system.environment import processor, versions
from search_spaces import CompressionSpace, UNetSpace
from tests.helpers.small_study import result_of, small_study

DRAWN = 20


class Timed(optuna.samplers.BaseSampler):
    """Another sampler, and the seconds that it took."""

    spent = 0.0

    def __init__(self, sampler: optuna.samplers.BaseSampler) -> None:
        self._sampler = sampler

    def _do(self, do: Callable[..., Any], *about: Any) -> Any:
        started = time.perf_counter()
        try:
            return do(*about)
        finally:
            Timed.spent += time.perf_counter() - started

    def infer_relative_search_space(self, *about: Any) -> Any:
        return self._do(self._sampler.infer_relative_search_space, *about)

    def sample_relative(self, *about: Any) -> Any:
        return self._do(self._sampler.sample_relative, *about)

    def sample_independent(self, *about: Any) -> Any:
        return self._do(self._sampler.sample_independent, *about)

    def before_trial(self, *about: Any) -> None:
        self._do(self._sampler.before_trial, *about)

    def after_trial(self, *about: Any) -> None:
        self._do(self._sampler.after_trial, *about)


def _timed(make: Callable[..., Any]) -> Callable[..., Any]:
    def timed(*about: Any) -> Timed | None:
        sampler = make(*about)
        return None if sampler is None else Timed(sampler)

    return timed


def study(sampler: str) -> Study:
    space = UNetSpace(widths=(8, 16, 24, 32, 48, 64))
    return small_study(
        space=space, compression=CompressionSpace(("float", "int8-ptq")), sampler=sampler
    )


def fill(folder: Path, trials: int) -> None:
    """A journal with that many trials, told."""
    folder.mkdir()
    memory = OptunaStudy(study("random"), RunFolder(folder).journal)
    while memory.candidates() < trials:
        asked = memory.ask()
        if asked is None:
            raise RuntimeError("the space is too small")
        memory.tell(result_of(asked), {"psnr_db": 25.0})


def draw(folder: Path, sampler: str) -> tuple[float, float, float]:
    """Median milliseconds of a trial: the sampler's, the result's file, and the rest."""
    run = RunFolder(folder)
    memory = OptunaStudy(study(sampler), run.journal)
    rows = []
    for _ in range(DRAWN):
        Timed.spent = 0.0
        started = time.perf_counter()
        asked = memory.ask()
        if asked is None:
            raise RuntimeError("the space is too small")
        result = result_of(asked)
        before = time.perf_counter()
        run.write_result(result)
        stored = time.perf_counter() - before
        memory.tell(result, {"psnr_db": 25.0})
        whole = time.perf_counter() - started
        rows.append((Timed.spent, stored, whole - stored - Timed.spent))
    middle = [sorted(column)[len(rows) // 2] * 1000 for column in zip(*rows, strict=True)]
    return middle[0], middle[1], middle[2]


def main(stored: list[int], samplers: list[str]) -> None:
    for name in ("sampler_of", "learning_sampler"):
        setattr(nas.search.ask_tell, name, _timed(getattr(nas.search.ask_tell, name)))
    print(processor(), versions(), f"load {os.getloadavg()[0]:.1f}")
    for trials in stored:
        with tempfile.TemporaryDirectory() as folder:
            fill(Path(folder) / "filled", trials)
            for sampler in samplers:
                copy = Path(folder) / sampler
                shutil.copytree(Path(folder) / "filled", copy)
                ours, file, rest = draw(copy, sampler)
                print(
                    f"{trials:6} stored, {sampler:6}: {ours + file + rest:6.1f} ms a trial, "
                    f"median of {DRAWN}: sampler {ours:.1f}, result's file {file:.1f}, "
                    f"ask and tell {rest:.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stored", nargs="*", type=int, default=[1000, 10_000])
    parser.add_argument("--samplers", default="random,tpe,ehvi")
    given = parser.parse_args()
    with undisturbed("benchmarks.asking"):
        main(given.stored, given.samplers.split(","))
