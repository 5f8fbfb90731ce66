"""The vendor's libraries for a phone's NPU or GPU: found here, checked, and put on the phone.

LiteRT loads them while it runs. Without them it runs the network on the CPU and says so in one line
of its log, so they are looked at before anything runs.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from nas.devices.adb.connection import Adb
from nas.devices.phone.elf import HEXAGON, MACHINES, machine_of, processor_named
from nas.devices.phone.npu_chips import GPU_ACCELERATORS, RUNTIME, VENDORS, NpuChip, npu_chip
from nas.errors import ConfigError
from nas.system.hashing import content_key, file_sha256

PREFIX = "libraries-"
"""Folders of libraries on a phone begin so; the rest of the name is made of their content."""
_PACKAGES = (
    "ai_edge_litert_sdk_qualcomm",
    "ai_edge_litert_sdk_mediatek",
    "ai_edge_litert_sdk_google_tensor",
    "ai_edge_litert_sdk_samsung",
)
_MOST_FILES = 20_000


@final
@dataclass(frozen=True)
class Libraries:
    """Libraries that go to a phone together: files here, by their names on the phone.

    `folder` is their place on the phone; where `files` is empty, they are there already.
    """

    folder: str
    files: tuple[tuple[str, Path], ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the tool, and Qualcomm's DSP, find the libraries."""
        return {"LD_LIBRARY_PATH": self.folder, "ADSP_LIBRARY_PATH": self.folder}

    def to_dict(self) -> dict[str, Any]:
        """Return the libraries as JSON types; the folder's name is made of their content."""
        return {"folder": self.folder, "files": [name for name, _ in self.files]}


def known_chip(serial: str, name: str) -> NpuChip:
    """Find a phone's chip by its name; raises ConfigError where no vendor's table has it."""
    chip = npu_chip(name)
    if chip is None:
        raise ConfigError(
            f"phone {serial}: its chip {name or '(unnamed)'!r} is in none of LiteRT's tables of "
            f"NPUs ({', '.join(VENDORS)}); take --delegate gpu"
        )
    return chip


def choose_npu_libraries(
    serial: str, chip: NpuChip, abis: Sequence[str], folder: Path | None, home: str
) -> Libraries:
    """Choose the libraries for a chip in `folder`, or in the vendors' installed Python packages.

    `abis` are the phone's, `home` is our folder there. Raises ConfigError, with the names of all
    that is missing or wrong, where they are not complete.
    """
    folders = [folder] if folder is not None else installed_folders()
    shelf = _Shelf(folders, abis)
    files: dict[str, Path] = {}
    missing: list[str] = []
    wrong: dict[str, list[Path]] = {}
    for names in chip.needed:
        found = next((name for name in names if shelf.fits(name)), None)
        if found is not None:
            files[found] = shelf.path(found)
        elif (path := next(filter(None, map(shelf.other, names)), None)) is not None:
            wrong.setdefault(processor_named(machine_of(path)), []).append(path)
        else:
            missing.append(" or ".join(names))
    where = str(folder) if folder is not None else "the installed vendor packages"
    complaints = _complaints(chip, shelf, missing, wrong, where)
    if complaints:
        raise ConfigError(
            f"phone {serial} ({chip.name}, {chip.vendor} {chip.generation}, "
            f"{abis[0] if abis else 'of an unknown processor'}): "
            f"{'; '.join(complaints)}; give a folder that has them with --npu-libraries DIR"
        )
    files |= {name: shelf.path(name) for name in chip.useful if shelf.fits(name)}
    return _libraries(files, home)


def choose_gpu_library(
    serial: str, abis: Sequence[str], folder: Path, home: str
) -> Libraries | None:
    """Choose LiteRT's GPU library in `folder`; None where there is none: the tool may contain it.

    Raises ConfigError where the one that is there is for another processor.
    """
    shelf = _Shelf([folder], abis)
    names = [name for name in GPU_ACCELERATORS if shelf.fits(name)]
    if not names:
        path = next(filter(None, map(shelf.other, GPU_ACCELERATORS)), None)
        if path is None:
            return None
        raise ConfigError(
            f"phone {serial} runs {', '.join(abis)}, but {path} is for "
            f"{processor_named(machine_of(path))}"
        )
    return _libraries({n: shelf.path(n) for n in (names[0], RUNTIME) if shelf.fits(n)}, home)


def installed_folders() -> list[Path]:
    """List the folders of the vendors' Python packages that are installed; none is imported."""
    folders = []
    for package in _PACKAGES:
        spec = importlib.util.find_spec(package)
        folders += (
            [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
        )
    return folders


def send_libraries(
    adb: Adb, libraries: Libraries, home: str, progress: Callable[[int, int], None] | None
) -> None:
    """Put the libraries on a phone that is held, where they are not there; older ones are removed.

    Raises PhoneError as `Adb.push`.
    """
    if not libraries.files:
        return
    own = libraries.folder.rpartition("/")[2]
    adb.shell(
        f"cd {shlex.quote(home)} && mkdir -p {own} && for old in {PREFIX}*; do "
        f'[ "$old" = {own} ] || rm -rf "$old"; done; rm -f {own}/*.part',
        60.0,
    )
    for name, path in libraries.files:
        adb.push(path, f"{libraries.folder}/{name}", progress)


def there_already(adb: Adb, chip: NpuChip, folder: str) -> Libraries:
    """Return the libraries that somebody put into a folder of the phone.

    Raises ConfigError, with the names of those that are missing there.
    """
    listed = adb.shell(f"ls {shlex.quote(folder)} 2>/dev/null").stdout.split()
    missing = [" or ".join(names) for names in chip.needed if not any(n in listed for n in names)]
    if missing:
        raise ConfigError(
            f"phone {adb.serial} ({chip.name}, {chip.vendor} {chip.generation}): its folder "
            f"{folder} lacks {', '.join(missing)}; put them there, or give a folder of this "
            "computer with --npu-libraries DIR"
        )
    return Libraries(folder)


def _libraries(files: dict[str, Path], home: str) -> Libraries:
    listed = tuple(sorted(files.items()))
    digest = content_key([(name, file_sha256(path)) for name, path in listed])
    return Libraries(f"{home}/{PREFIX}{digest[:16]}", listed)


def _complaints(
    chip: NpuChip, shelf: _Shelf, missing: list[str], wrong: dict[str, list[Path]], where: str
) -> list[str]:
    complaints = [
        f"{paths[0]} is for {processor}"
        if len(paths) == 1
        else f"in {where}, {', '.join(path.name for path in paths)} are for {processor}"
        for processor, paths in wrong.items()
    ]
    if missing:
        complaints.append(f"not in {where}: {', '.join(missing)}")
        others = shelf.hexagons() - {chip.hexagon}
        if chip.hexagon is not None and others and any("V" + chip.hexagon in m for m in missing):
            listed = ", ".join(f"V{number}" for number in sorted(map(str, others)))
            complaints.append(
                f"what is there is for Hexagon {listed}, this chip has V{chip.hexagon}"
            )
    return complaints


class _Shelf:
    """All libraries below some folders, by name, those for a phone's processor apart."""

    def __init__(self, folders: Iterable[Path], abis: Sequence[str]) -> None:
        self._wanted = MACHINES.get(abis[0]) if abis else None
        self._paths: dict[str, list[Path]] = {}
        for folder in folders:
            if not folder.is_dir():
                raise ConfigError(f"--npu-libraries {folder}: no such folder")
            for number, path in enumerate(sorted(folder.rglob("*.so"))):
                if number >= _MOST_FILES:
                    raise ConfigError(
                        f"--npu-libraries {folder} holds over {_MOST_FILES} libraries: name the "
                        "vendor's own folder"
                    )
                if path.is_file():
                    self._paths.setdefault(path.name, []).append(path)

    def _fitting(self, name: str) -> list[Path]:
        wanted = HEXAGON if name.endswith("Skel.so") else self._wanted
        fitting = [path for path in self._paths.get(name, []) if machine_of(path) == wanted]
        return sorted(fitting, key=lambda path: "linux" in str(path))  # a vendor's SDK has both

    def fits(self, name: str) -> bool:
        """Whether there is such a library for the phone's processor, or for its DSP."""
        return bool(self._fitting(name))

    def path(self, name: str) -> Path:
        """The library of this name that fits."""
        return self._fitting(name)[0]

    def other(self, name: str) -> Path | None:
        """A library of this name for another processor; None where there is none."""
        return next(iter(self._paths.get(name, [])), None)

    def hexagons(self) -> set[str]:
        """The generations of Qualcomm's NPU that there are libraries for, such as "79"."""
        found = (re.fullmatch(r"libQnnHtpV(\d+)(?:Stub|Skel)\.so", name) for name in self._paths)
        return {match[1] for match in found if match}
