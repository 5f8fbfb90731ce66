"""Processes that have ended."""

from __future__ import annotations

import time

import psutil


def gone(pid: int, seconds: float = 60) -> bool:
    """Whether a process ends, or is a zombie, within so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False
