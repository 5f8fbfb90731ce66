"""No verdict beside other work: what a benchmark that takes times runs in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from nas.devices.host.conditions import alone
from nas.errors import BusyMachineError


@contextmanager
def undisturbed(what: str, threads: int = 1) -> Iterator[None]:
    """End with the exit code of a busy machine where others worked on it meanwhile."""
    try:
        with alone(what, threads):
            yield
    except BusyMachineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
