"""Limit this process, then become another program: PARENT CPU_SECONDS MEMORY_BYTES PROGRAM ...

Started by `nas.devices.limited_process` as a script. A function between fork and exec would do the
same, but no process that has run TensorFlow may fork.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def main() -> None:
    """Set the limits, and run the program in this process's place."""
    parent, seconds, memory = (int(text) for text in sys.argv[1:4])
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before it could be watched
        sys.exit(1)
    _limit(resource.RLIMIT_CPU, seconds, seconds + 5)
    _limit(resource.RLIMIT_AS, memory, memory)
    _limit(resource.RLIMIT_CORE, 0, 0)
    try:
        os.execv(sys.argv[4], sys.argv[4:])
    except OSError as error:
        sys.exit(f"can't start {sys.argv[4]}: {error.strerror}")


def _limit(kind: int, soft: int, hard: int) -> None:
    """Set a limit, or keep the one that is there where that is lower: it can't be raised."""
    there = resource.getrlimit(kind)[1]
    if there != resource.RLIM_INFINITY:
        soft, hard = min(soft, there), min(hard, there)
    resource.setrlimit(kind, (soft, hard))


if __name__ == "__main__":
    main()
