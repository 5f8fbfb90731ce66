"""Models that stay on a phone so as not to be sent again; the longest unused ones are removed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from nas.devices.adb.connection import Adb
from nas.devices.phone.lock import PhoneHold
from nas.system.hashing import file_sha256

MAX_FILES = 200
"""The most models that stay on a phone."""
MAX_BYTES = 2_000_000_000
"""The most bytes of models that stay on a phone."""
_MODEL = re.compile(r"[0-9a-f]{24}\.tflite")
_NAMES_A_COMMAND = 500


def model_name(path: Path) -> str:
    """Name a model on a phone, by its content."""
    return f"{file_sha256(path)[:24]}.tflite"


def make_room(adb: Adb, folder: str, held: PhoneHold, wanted: Path | None, always: Path) -> None:
    """Remove models of `folder` that were not used for the longest time, down to the bounds.

    Called once the phone is held, so nobody uses one. `wanted`, which will be used, and `always`
    stay, and so does whatever is no model by its name.
    """
    models = {name: size for name, size in held.files.items() if _MODEL.fullmatch(name)}
    there = f"cd {shlex.quote(folder)}"
    needed = {model_name(path) for path in (wanted, always) if path is not None}
    if wanted is not None and model_name(wanted) in models:
        adb.shell(f"{there} && touch -c {model_name(wanted)}")
    if len(models) <= MAX_FILES and sum(models.values()) <= MAX_BYTES:
        return
    listed = adb.shell(f"{there} && stat -c '%Y %n' *.tflite").stdout
    ages = {name: int(time) for time, name in re.findall(r"^(\d+) (\S+)$", listed, re.MULTILINE)}
    oldest = sorted(models.keys() & ages.keys() - needed, key=lambda name: (ages[name], name))
    surplus = list(_surplus(models, oldest))
    for start in range(0, len(surplus), _NAMES_A_COMMAND):
        names = " ".join(map(shlex.quote, surplus[start : start + _NAMES_A_COMMAND]))
        adb.shell(f"{there} && rm -f {names}")
    for name in surplus:
        del held.files[name]


def _surplus(models: dict[str, int], oldest: list[str]) -> Iterable[str]:
    count, size = len(models), sum(models.values())
    for name in oldest:
        if count <= MAX_FILES and size <= MAX_BYTES:
            return
        count, size = count - 1, size - models[name]
        yield name
