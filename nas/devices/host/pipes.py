"""Reading from a process of ours, until a deadline."""

from __future__ import annotations

import select
import time
from typing import IO


def read_some(answers: IO[bytes], deadline: float) -> bytes | None:
    """Read what comes next: empty where the other end is closed, None where nothing comes."""
    poll = select.poll()  # `select.select` takes no descriptor above 1023
    poll.register(answers, select.POLLIN)
    left = deadline - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        return None
    return answers.read(2**16)
