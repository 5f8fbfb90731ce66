"""The failures that a person can do something about.

Each message says what was expected, what came, where, and what to do. The command line prints them
as one line and exits with `exit_code`; a search stores them as the result of a trial.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class NasError(Exception):
    """Base of every failure that this project raises on purpose."""

    exit_code = 1

    @property
    def details(self) -> dict[str, Any]:
        """What else is known of the failure, as JSON types."""
        return {}


class ConfigError(NasError):
    """What was asked for can't be done; raised before any work starts."""

    exit_code = 2


class UnreachableShareError(ConfigError):
    """A network can't lose as many MACs as were to be pruned; `excess` is the share too many."""

    def __init__(self, message: str, excess: float) -> None:
        super().__init__(message)
        self.excess = excess


class DataError(NasError):
    """Pictures are missing, unreadable or don't fit together."""

    exit_code = 3


class RunError(NasError):
    """A run's folder is held by another process, damaged, of another study, or can't be written."""

    exit_code = 4


class ConversionError(NasError):
    """An artifact is not what its precision promises; names the operation."""

    exit_code = 5


class TrainingError(NasError):
    """A training diverged (not finite) or died (the network repeats its input)."""

    exit_code = 6


class DeviceError(NasError):
    """A device did not run an artifact."""

    exit_code = 7


class DeviceTransientError(DeviceError):
    """Worth another try: offline, timed out, throttled."""


class DeviceStableError(DeviceError):
    """The same on every try: the candidate is infeasible on this device."""


class ClusterError(NasError):
    """A cluster went away in the middle of the work; what was finished is kept."""

    exit_code = 7


class SlowerError(NasError):
    """A model is slower than its baseline."""

    exit_code = 9


class BusyMachineError(NasError):
    """No verdict: figures were taken while others had the machine."""

    exit_code = 8


class HubError(NasError):
    """The Hugging Face Hub could not be reached, or refused what was sent."""

    exit_code = 10


def unknown(what: str, name: str, valid: Iterable[str]) -> ConfigError:
    """The error for a name that is not one of `valid`, with the nearest valid one."""
    names = sorted(valid)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return ConfigError(f"unknown {what} {name!r}.{hint} Valid: {', '.join(names)}")


def one_line(error: object, limit: int = 300) -> str:
    """Return a native library's message as one line of at most `limit` characters.

    `error` is an exception or a text; an exception without a message gives its type's name.
    """
    text = " ".join(str(error).split())
    if not text and isinstance(error, BaseException):
        text = type(error).__name__
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
