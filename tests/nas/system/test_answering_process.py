"""A process that answers questions: its answers, its faults, its limits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast, final

import pytest

from nas.system import answering_process
from nas.system.answering_process import AnsweringProcess

WORKER = """
import os, sys
from nas.system.answering_process import answer_questions

def halved(number):
    print("a library prints")
    if number == 7:
        os._exit(3)
    return number / 2

answer_questions(halved)
"""


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AnsweringProcess]:
    (tmp_path / "halving_worker.py").write_text(WORKER)
    monkeypatch.syspath_prepend(str(tmp_path))
    started = AnsweringProcess.started("halving_worker")
    yield started
    started.end()


def test_it_answers_says_its_faults_and_may_die(process: AnsweringProcess) -> None:
    assert process.asked(5, 30) == 2.5
    fault = process.asked("five", 30)
    assert isinstance(fault, RuntimeError)
    assert "TypeError: unsupported operand" in str(fault)
    assert process.asked(4, 30) == 2
    with pytest.raises(EOFError):
        process.asked(7, 30)


@final
class Pipe:
    """A pipe on which nothing comes before so many seconds."""

    def __init__(self) -> None:
        self.answers_after, self.waited = math.inf, 0.0

    def poll(self, seconds: float) -> bool:
        self.waited += seconds
        return self.waited >= self.answers_after

    def recv(self) -> str:
        return "answer"

    def send(self, asked: Any) -> None:
        self.waited = 0.0


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how many seconds somebody else measures."""
    left = [0.0]

    def measures(pid: int) -> bool:
        left[0] -= 1
        return left[0] >= 0

    monkeypatch.setattr(answering_process, "measured_by_another", measures)
    return left


@pytest.mark.usefixtures("others")
def test_only_the_first_answer_may_take_as_long_as_loading_does() -> None:
    pipe, started = Pipe(), cast("Any", SimpleNamespace(pid=1))
    process = AnsweringProcess(started, cast("Any", pipe))
    with pytest.raises(TimeoutError, match="it took more than 30 s"):
        process.asked(None, 10.0)
    assert pipe.waited == 30.0
    pipe.answers_after = 25.0
    assert process.asked(None, 10.0) == "answer"
    with pytest.raises(TimeoutError, match="it took more than 10 s"):
        process.asked(None, 10.0)
    assert pipe.waited == 10.0


def test_time_in_which_somebody_measures_does_not_count(others: list[float]) -> None:
    pipe, started = Pipe(), cast("Any", SimpleNamespace(pid=1))
    process = AnsweringProcess(started, cast("Any", pipe))
    others[0], pipe.answers_after = 100.0, 90.0
    assert process.asked(None, 10.0) == "answer"
    others[0], pipe.answers_after = 100.0, math.inf
    with pytest.raises(TimeoutError, match="it took more than 10 s"):
        process.asked(None, 10.0)
    assert pipe.waited == 110.0
