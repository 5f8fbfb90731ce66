"""Failures of the compiler and its simulator, as errors of a device."""

from __future__ import annotations

from typing import Literal, final

from nas.devices.failures import (
    DeviceFailure,
    Evidence,
    FailureClass,
    PhoneStableError,
    PhoneTransientError,
    simulated_error,
)
from nas.devices.limited_process import Ended, Limits, ended_failure, memory_failure

Stage = Literal["placement", "compilation", "computation"]
ADVICE = {
    "compiler_timeout": "raise --timeout, or take a smaller network or picture",
    "timeout": "this machine is very busy: try again, or raise --timeout",
    "oom": "take a smaller network or picture, or a machine with more memory",
    "crash": "the compiler itself died: take another picture size or network",
    "compiler_refused": "take other operations or a smaller picture (`nas probe` tells which work)",
    "not_simulated": "its placement is known, its latency is not: take other operations",
    "partially_delegated": "take other operations, or sides that all levels divide evenly",
    "not_delegated": "take other operations or another precision",
    "unparsable": "the compiler's answer has another form than that of the calibrated versions",
}
"""What a person can do, by class."""


@final
class NpuError(PhoneStableError):
    """A network can't run on an NPU as asked, or its latency can't be told: so on every try."""

    source = "simulated"


@final
class NpuTransientError(PhoneTransientError):
    """The compiler was not done in time on a machine that was too busy."""

    source = "simulated"


def npu_error(
    device: str, failure_class: FailureClass, detail: str, evidence: Evidence | None = None
) -> NpuError | NpuTransientError:
    """The error of a failure, in one line: the device, what happened, what to do."""
    failure = DeviceFailure(failure_class, " ".join(detail.split()))
    return simulated_error((NpuError, NpuTransientError), ADVICE, device, failure, evidence)


def ended_error(
    device: str, stage: Stage, ended: Ended, limits: Limits
) -> NpuError | NpuTransientError:
    """The error of a program that ended without an answer."""
    evidence = Evidence(device, stage, ended.code, stdout=ended.text[-20_000:])
    failure = ended_failure(stage, ended, limits)
    return npu_error(device, failure.failure_class, failure.detail, evidence)


def memory_error(
    device: str, stage: Stage, limits: Limits, evidence: Evidence
) -> NpuError | NpuTransientError:
    """The error of a program that wanted more memory than its limit."""
    return npu_error(device, "oom", memory_failure(stage, limits).detail, evidence)
