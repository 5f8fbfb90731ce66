"""A process that looks at candidates, one after another, until its pipe is closed.

    python -m nas.execution.look_worker DESCRIPTOR

It is a process of its own so that a look that hangs can be ended, and so that the driver needs no
TensorFlow.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from multiprocessing.connection import Connection

from nas.execution.look import LookFound, looked_at


@cache
def _prepare() -> None:
    from nas.training.tensorflow import prepare_tensorflow

    prepare_tensorflow(1)


def main() -> None:
    """Answer each (task, folder) on the pipe with a `LookFound`, or with an exception."""
    pipe = Connection(int(sys.argv[1]))
    os.dup2(2, 1)  # nothing that a library prints belongs to the search's output

    while True:
        try:
            task, folder = pipe.recv()
        except EOFError:
            return
        answer: LookFound | RuntimeError
        try:
            answer = looked_at(task, folder, _prepare)
        except Exception as error:  # a fault of ours: the driver says it
            answer = RuntimeError(f"{type(error).__name__}: {error}")
        pipe.send(answer)


if __name__ == "__main__":
    main()
