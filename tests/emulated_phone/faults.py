"""Faults that an emulated phone shows when it is told to: files in a folder, one a fault.

A file, so that a test, the phone's own tool and a person at another terminal can all switch them.
"""

from __future__ import annotations

import json
import re
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

KINDS = {
    "unplug": "the transport goes down for SECONDS; with MATCH, when such a service is opened",
    "reboot": "as unplug, and every process ends and the boot id changes",
    "hang": "a service that MATCHes says nothing for SECONDS",
    "close": "a service that MATCHes is closed before it says anything",
    "dribble": "a shell that MATCHes prints a byte a second for SECONDS",
    "cut": "a file transfer ends in the middle; MATCH `transport`: with the whole connection",
    "full": "the storage is full",
    "unauthorized": "the computer's key is refused (until the fault is removed)",
    "crash": "the tool dies with SIGSEGV",
    "oom": "the tool is killed, as by the low-memory killer",
    "garbage": "the tool prints bytes that mean nothing",
    "tool-hang": "the tool says nothing for SECONDS",
    "meet": "the tool waits, SECONDS at most, until those of TIMES phones have come to MATCH",
    "driver-crash": "the accelerator's driver dies in the middle of an inference",
    "op-failed": "NNAPI refuses to compile",
    "no-files": "the CompiledModel tool leaves out a file that it was asked for",
    "half-files": "the CompiledModel tool leaves half of a file",
    "slow": "inferences take SECONDS times as long",
    "clock-jump": "the phone's clock, which the tool measures by, jumps by SECONDS among its runs",
}


@dataclass(frozen=True)
class Fault:
    """One fault: where it shows, how often and for how long.

    `match` is a regular expression on the service, or on the tool's arguments.
    """

    kind: str
    match: str = ""
    times: int = 1
    seconds: float = 1.0


def inject(folder: Path, fault: Fault) -> Path:
    """Switch a fault on; returns the file that stands for it."""
    if fault.kind not in KINDS:
        raise ValueError(f"unknown fault {fault.kind!r}. Valid: {', '.join(KINDS)}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{uuid.uuid4().hex}.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(fault)))
    temporary.rename(path)
    return path


def active(folder: Path, kind: str) -> Fault | None:
    """Find a fault of this kind that is switched on, and leave it as it is."""
    for path in sorted(folder.glob("*.json")):
        with suppress(OSError, ValueError):
            fault = Fault(**json.loads(path.read_text()))
            if fault.kind == kind:
                return fault
    return None


def take(folder: Path, kind: str, text: str = "", bare: bool = False) -> Fault | None:
    """Find a fault of this kind that matches `text`, and use it up by one.

    `bare`: only a fault without a pattern counts.
    """
    for path in sorted(folder.glob("*.json")):
        try:
            fault = Fault(**json.loads(path.read_text()))
        except (OSError, ValueError):
            continue
        if fault.kind != kind or (bare and fault.match) or not re.search(fault.match, text):
            continue
        claimed = path.with_suffix(".claimed")
        try:
            path.rename(claimed)  # one taker only
        except OSError:
            continue
        if fault.times > 1:
            inject(folder, Fault(fault.kind, fault.match, fault.times - 1, fault.seconds))
        claimed.unlink()
        return fault
    return None
