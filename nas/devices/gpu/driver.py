"""The Vulkan driver that `gpu` runs on: one that computes on this machine's processor.

A driver is a manifest (JSON) that names a library. Mesa's lavapipe computes fp16 and fp32,
SwiftShader, which Chromium brings along, fp32 only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import final

from nas.errors import ConfigError

INSTALL = "apt-get install libvulkan1 mesa-vulkan-drivers"
"""Mesa 25 is in Debian 13 and Ubuntu 24.04; for Debian 12 see `REMEDY`."""
REMEDY = f"{INSTALL} (Mesa 25; on Debian 12 add -t bookworm-backports)"
VARIABLES = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES")
"""The loader's own variables: a driver that somebody chose there is taken."""
_PATTERNS = ("lvp_icd*.json", "vk_swiftshader_icd.json")
"""Manifests of drivers in software, the better one first."""
_BROWSERS = (
    "/usr/lib/chromium", "/usr/lib/chromium-browser", "/usr/lib64/chromium-browser",
    "/opt/google/chrome", "/opt/chromium.org/chromium",
)  # fmt: skip
_ACCELERATOR = "libLiteRtWebGpuAccelerator.so"


@final
@dataclass(frozen=True)
class Driver:
    """A Vulkan driver: its manifest, and the library that this names."""

    manifest: Path
    library: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make a program use this driver and no other."""
        values = dict.fromkeys(VARIABLES, str(self.manifest))
        beside = self.manifest.parent
        if (beside / "libvulkan.so.1").exists():  # a browser brings its own loader
            known = os.environ.get("LD_LIBRARY_PATH")
            values["LD_LIBRARY_PATH"] = f"{known}:{beside}" if known else str(beside)
        return values

    def identity(self) -> dict[str, str]:
        """What its answers depend on: its files, and LiteRT's version."""
        parts = {"litert": litert_version(), "library": self.library}
        for name, path in (
            ("manifest", self.manifest),
            ("code", self.manifest.parent / self.library),
        ):
            try:
                state = path.stat()
            except OSError:  # the loader looks for a bare name in places of its own
                continue
            parts[name] = f"{path} {state.st_size} {state.st_mtime_ns}"
        return parts


def find_driver(environment: Mapping[str, str] | None = None) -> Driver:
    """The driver that somebody chose, else one in software; ConfigError, with the remedy, for none.

    Also ConfigError where LiteRT has no GPU code for this system.
    """
    values = os.environ if environment is None else environment
    _check_litert()
    for variable in VARIABLES:
        if values.get(variable):
            return _chosen(variable, values[variable].split(os.pathsep)[0])
    for manifest in _manifests(values):
        library = _library(manifest)
        if library is not None:
            return Driver(manifest, library)
    raise ConfigError(
        f"gpu: no Vulkan driver that computes on the processor was found: {REMEDY}, or name a "
        "driver's manifest in VK_DRIVER_FILES"
    )


def litert_version() -> str:
    """The version of LiteRT; ConfigError where it is not installed."""
    try:
        return version("ai-edge-litert")
    except PackageNotFoundError as error:
        raise ConfigError("gpu: the package ai-edge-litert is not installed") from error


def _check_litert() -> None:
    spec = find_spec("ai_edge_litert")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if not any((Path(folder) / _ACCELERATOR).exists() for folder in folders):
        raise ConfigError(
            f"gpu: ai-edge-litert {litert_version()} brings no GPU code for this system "
            f"({_ACCELERATOR}); use Linux on x86-64, or a container on one"
        )


def _chosen(variable: str, name: str) -> Driver:
    manifest = Path(name)
    library = _library(manifest)
    if library is None:
        raise ConfigError(
            f"gpu: {variable} names {name}, which is no readable manifest of a Vulkan driver; name "
            "one, or leave the variable out"
        )
    return Driver(manifest, library)


def _library(manifest: Path) -> str | None:
    try:
        return str(json.loads(manifest.read_text())["ICD"]["library_path"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _manifests(values: Mapping[str, str]) -> Iterator[Path]:
    """Manifests of drivers in software where the loader looks, and in browsers' folders."""
    home = values.get("HOME", "")
    data = values.get("XDG_DATA_HOME") or (f"{home}/.local/share" if home else "")
    shared = values.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    roots = [data, "/etc", *shared.split(os.pathsep)]
    folders = [Path(root) / "vulkan" / "icd.d" for root in roots if root]
    for pattern in _PATTERNS:
        for folder in (*folders, *map(Path, _BROWSERS)):
            yield from sorted(folder.glob(pattern))
