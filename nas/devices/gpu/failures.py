"""Failures of LiteRT's GPU code, as errors of a device."""

from __future__ import annotations

from typing import final

from nas.devices.failures import (
    DeviceFailure,
    Evidence,
    FailureClass,
    PhoneStableError,
    PhoneTransientError,
    simulated_error,
)

ADVICE = {
    "compiler_timeout": "raise --timeout, or take a smaller picture",
    "timeout": "this machine is very busy: try again, or raise --timeout",
    "oom": "take a smaller network or picture, or a machine with more memory",
    "crash": "LiteRT's GPU code itself died: take another precision or other operations",
    "compiler_refused": "take other operations (`nas probe --device gpu` tells which work)",
    "partially_delegated": "take other operations (`nas probe --device gpu` tells which work)",
    "not_delegated": "take other operations or another precision",
    "unparsable": "LiteRT's log has another form than that of the versions that are known",
}
"""What a person can do, by class."""


@final
class GpuError(PhoneStableError):
    """A network can't run on LiteRT's GPU as asked: so on every try."""

    source = "simulated"


@final
class GpuTransientError(PhoneTransientError):
    """LiteRT was not done in time on a machine that was too busy."""

    source = "simulated"


def gpu_error(
    device: str, failure_class: FailureClass, detail: str, evidence: Evidence | None = None
) -> GpuError | GpuTransientError:
    """The error of a failure, in one line: the device, what happened, what to do."""
    failure = DeviceFailure(failure_class, " ".join(detail.split()))
    return simulated_error((GpuError, GpuTransientError), ADVICE, device, failure, evidence)
