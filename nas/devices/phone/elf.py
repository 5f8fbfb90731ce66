"""The processor that a program or library of Android is for, by its ELF header."""

from __future__ import annotations

import struct
from pathlib import Path

MACHINES = {"arm64-v8a": 183, "armeabi-v7a": 40, "x86_64": 62, "x86": 3}
"""The numbers of processors in ELF headers, by Android's names (ABIs)."""
HEXAGON = 164
"""The number of Qualcomm's DSP, which runs the "Skel" libraries."""


def machine_of(path: Path) -> int | None:
    """Return the processor's number in a program or library; None where the file is neither."""
    with path.open("rb") as file:
        head = file.read(20)
    if head[:4] != b"\x7fELF" or len(head) < 20:
        return None
    return int(struct.unpack("<H", head[18:20])[0])


def processor_named(number: int | None) -> str:
    """Name a processor by its number, for messages."""
    if number is None:
        return "no processor at all (it has no ELF header)"
    return next((abi for abi, own in MACHINES.items() if own == number), f"processor {number}")
