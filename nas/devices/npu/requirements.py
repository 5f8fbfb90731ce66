"""What an `npu:` device needs of this machine, and one line about what is missing."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import final

from nas.errors import ConfigError

INSTALL = "pip install 'portable-nas[npu]'"
GLIBC = (2, 35)
"""The compiler's libraries are built for it: Ubuntu 22.04, Debian 12 and newer have it."""
CALIBRATED = {"onnxruntime": "1.32", "onnxruntime-qnn": "2.7", "ai-edge-litert": "2.3"}
"""The versions, to the second number, that the calibration's figures are of."""
_NEEDED = ("onnx", *CALIBRATED)
_MACHINES = ("x86_64", "AMD64")


@final
@dataclass(frozen=True)
class Machine:
    """What decides whether the compiler runs here; `glibc` is None under another C library."""

    system: str
    processor: str
    glibc: tuple[int, int] | None
    packages: Mapping[str, str]

    @classmethod
    def here(cls) -> Machine:
        """This machine, with the versions of those packages that are installed."""
        packages = {}
        for name in _NEEDED:
            try:
                packages[name] = version(name)
            except PackageNotFoundError:
                continue
        return cls(platform.system(), platform.machine(), _glibc(), packages)

    @property
    def complaint(self) -> str | None:
        """Why no `npu:` device can be used here and what helps, in one line; None where one can."""
        if self.system != "Linux" or self.processor not in _MACHINES:
            return (
                f"Qualcomm's compiler needs Linux on x86-64, but this is {self.system} on "
                f"{self.processor}; use such a machine, or a container on one"
            )
        if self.glibc is None or self.glibc < GLIBC:
            found = "another one" if self.glibc is None else ".".join(map(str, self.glibc))
            return (
                f"Qualcomm's compiler needs glibc {GLIBC[0]}.{GLIBC[1]} or newer, but here is "
                f"{found}; use Ubuntu 22.04, Debian 12 or newer"
            )
        missing = [name for name in _NEEDED if name not in self.packages]
        if missing:
            return f"the extra `npu` is not installed ({', '.join(missing)} missing): {INSTALL}"
        for name, wanted in CALIBRATED.items():
            installed = self.packages[name]
            if installed.split(".")[:2] != wanted.split("."):
                return (
                    f"{name} {installed} is installed, but latencies are calibrated with "
                    f"{wanted}: {INSTALL}"
                )
        return None


def check() -> None:
    """Raise ConfigError, with the remedy, where no `npu:` device can be used on this machine."""
    complaint = Machine.here().complaint
    if complaint is not None:
        raise ConfigError(f"npu: {complaint}")


def versions() -> dict[str, str]:
    """The packages that a figure depends on, with their versions."""
    return dict(Machine.here().packages)


def package_folder(name: str) -> Path:
    """The folder of an installed package; ConfigError where there is none. Imports nothing."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"npu: the package {name} is not installed: {INSTALL}")
    return Path(next(iter(spec.submodule_search_locations)))


def _glibc() -> tuple[int, int] | None:
    try:
        name, _, number = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        major, minor = (int(part) for part in number.split(".")[:2])
    except (ValueError, OSError):
        return None
    return (major, minor) if name == "glibc" else None
