"""A Python process of its own that answers questions, one after another.

It keeps a library out of the process that asks, and it can be ended where an answer hangs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, final

from nas.system.host_lock import measured_by_another

_FIRST = 3  # times as long may the first answer take: its process loads libraries
_SLICE_S = 1.0  # how often it is looked whether somebody measures


@final
class AnsweringProcess:
    """A process that answers, and the pipe to it, on which questions and answers are pickled."""

    def __init__(self, process: subprocess.Popen[bytes], pipe: Connection) -> None:
        self._process, self._pipe = process, pipe
        self._answered = False

    @classmethod
    def started(cls, module: str) -> AnsweringProcess:
        """Start `python -m module`, whose `main` calls `answer_questions`."""
        ours, theirs = Pipe()
        with theirs:
            number = theirs.fileno()
            process = subprocess.Popen(
                [sys.executable, "-m", module, str(number)],
                pass_fds=[number],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,  # Ctrl-C is the asking process's
            )
        return cls(process, ours)

    def asked(self, question: Any, limit_s: float) -> Any:
        """Return the answer; TimeoutError after the limit, EOFError where the process died.

        The first answer may take `_FIRST` times the limit. The time in which somebody else has this
        machine to measure on does not count: the process waits for that, and does not hang.
        """
        limit_s *= 1 if self._answered else _FIRST
        self._pipe.send(question)
        left_s = limit_s
        while not self._pipe.poll(min(left_s, _SLICE_S)):
            if not measured_by_another(self._process.pid):
                left_s -= _SLICE_S
            if left_s <= 0:
                raise TimeoutError(f"it took more than {limit_s:.0f} s")
        answer = self._pipe.recv()
        self._answered = True
        return answer

    def end(self) -> None:
        """End the process, whatever it does."""
        self._pipe.close()
        self._process.kill()
        self._process.wait()


def answer_questions(answer: Callable[[Any], Any]) -> None:
    """Answer each question on the pipe that the command line names, until the pipe is closed.

    A fault becomes a RuntimeError, which is sent as the answer.
    """
    pipe = Connection(int(sys.argv[1]))
    os.dup2(2, 1)  # nothing that a library prints belongs to the asking process's output
    while True:
        try:
            question = pipe.recv()
        except EOFError:
            return
        try:
            given = answer(question)
        except Exception as error:  # the asking process says it
            given = RuntimeError(f"{type(error).__name__}: {error}")
        pipe.send(given)
