"""A process that answers questions: its answers, its faults, its limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

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


def test_only_the_first_answer_may_take_as_long_as_loading_does() -> None:
    waited: list[float] = []

    class Pipe:
        def poll(self, seconds: float) -> bool:
            waited.append(seconds)
            return seconds > 5

        def recv(self) -> str:
            return "answer"

        def send(self, asked: Any) -> None:
            pass

    process = AnsweringProcess(cast("Any", None), cast("Any", Pipe()))
    for _ in range(3):
        assert process.asked(None, 10.0) == "answer"
    assert waited == [30.0, 10.0, 10.0]
    with pytest.raises(TimeoutError, match="it took more than 5 s"):
        process.asked(None, 5.0)
