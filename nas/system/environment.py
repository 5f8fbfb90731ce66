"""This machine and the versions of the packages that decide a result, for a result's conditions."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Those on whose versions a result depends.
PACKAGES = ("portable-nas", "tensorflow", "tf_keras", "ai-edge-litert", "optuna", "numpy")


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a result depends on, by name."""
    packages = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            packages[package] = version(package)
        except PackageNotFoundError:
            packages[package] = "not installed"
    return packages


@cache
def processor() -> str:
    """Return the processor's name, as the operating system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
