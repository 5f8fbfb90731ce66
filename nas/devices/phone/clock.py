"""A check that nobody set the phone's clock, by which the benchmark tool takes its times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from nas.devices.adb.connection import Adb
from nas.devices.failures import PhoneStableError

_SLACK_SECONDS = 0.25
"""The time that may pass between two commands of one script on a busy phone."""
_CLOCKS = re.compile(r"(\d+)\.(\d+)\n(\d+\.\d+)")


@contextmanager
def steady_clock(adb: Adb) -> Iterator[None]:
    """Raise a transient PhoneError where the phone's clock is set inside: latencies are wrong then.

    A refusal inside is then not believed, either, as it may be about a negative time.
    """
    before = _boot_time(adb)
    try:
        yield
    except PhoneStableError as error:
        _check(adb, before, error)
        raise
    _check(adb, before, None)


def _check(adb: Adb, before: float | None, error: Exception | None) -> None:
    after = _boot_time(adb)
    if before is None or after is None or abs(after - before) <= _SLACK_SECONDS:
        return
    raise adb.offline(
        f"its clock jumped by {after - before:.1f} s in the middle of a measurement"
    ) from error


def _boot_time(adb: Adb) -> float | None:
    """Return when the phone was started, by its own clock; None where it can't tell.

    The value stays the same until the clock is set.
    """
    match = _CLOCKS.search(adb.shell("date +%s.%N; cat /proc/uptime").stdout)
    if match is None:
        return None
    return int(match[1]) + float(f"0.{match[2]}") - float(match[3])
