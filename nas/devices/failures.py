"""Failures of devices: their classes, and the errors that they become.

A failure is stable (about the candidate, the same on every try) or transient (about the device or
the moment, worth another try). Both end as results of a trial, never as a crash of the search.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar, get_args

from nas.devices.measurement import Placement
from nas.errors import DeviceError, DeviceStableError, DeviceTransientError

FailureClass = Literal[
    "device_offline",
    "unauthorized",
    "held",
    "timeout",
    "throttled",
    "storage_full",
    "tool_not_started",
    "npu_libraries",
    "oom",
    "crash",
    "driver_crash",
    "nnapi_error",
    "op_refused",
    "invoke_failed",
    "delegate_refused",
    "not_delegated",
    "partially_delegated",
    "model_unreadable",
    "bad_input",
    "unparsable",
    "compiler_refused",
    "compiler_timeout",
    "not_simulated",
]
FAILURE_CLASSES: tuple[str, ...] = get_args(FailureClass)
"""All failure classes, in the order of their definition."""
TRANSIENT: frozenset[str] = frozenset(
    {
        "device_offline",
        "unauthorized",
        "held",
        "timeout",
        "throttled",
        "storage_full",
        "tool_not_started",
        "npu_libraries",
        "driver_crash",
    }
)
"""The classes that are about the device or the moment, not (yet) about the candidate."""
RETRIED: frozenset[str] = TRANSIENT - {
    "unauthorized",
    "held",
    "storage_full",
    "tool_not_started",
    "npu_libraries",
}
"""The classes for which another try may help without a person's hand."""
WITH_LATENCY: frozenset[str] = frozenset({"not_delegated", "partially_delegated"})
"""The classes of runs that ended well, but whose latency is not that of the accelerator alone."""

ADVICE: dict[str, str] = {
    "device_offline": "check the cable and `nas devices`",
    "unauthorized": "unlock the phone and accept this computer's key",
    "timeout": "raise --timeout where the model is slow",
    "storage_full": "free some space on the phone (its cache is /data/local/tmp/portable-nas)",
    "tool_not_started": "see that the benchmark tool, and each library it needs, is on the phone, "
    "for its processor, and may be run",
    "npu_libraries": "give libraries of the tool's LiteRT version and of this chip with "
    "--npu-libraries DIR",
    "crash": "the tool died, not the phone; LiteRT's GPU dies of 16-bit integers, for one: take "
    "another precision, or --delegate cpu",
    "op_refused": "the tool lacks one of its operations, or can't run it in this form: take a "
    "newer tool, one with that operation built in, or another precision",
    "oom": "it needs more memory than the phone has free: close apps, or take a smaller network "
    "or picture",
}
"""What a person can do about a failure, by its class."""


@dataclass(frozen=True)
class DeviceFailure:
    """One failure: its class, and `detail`, the line of a log that shows it.

    `code` is NNAPI's result, a name like ANEURALNETWORKS_OP_FAILED, `phase` what NNAPI was doing
    ("completing NNAPI compilation"); both are None where the log names none.
    """

    failure_class: FailureClass
    detail: str
    code: str | None = None
    phase: str | None = None

    @property
    def transient(self) -> bool:
        """Whether the failure is about the device or the moment."""
        return self.failure_class in TRANSIENT

    def to_dict(self) -> dict[str, Any]:
        """Return the failure as JSON types."""
        return {
            "class": self.failure_class,
            "code": self.code,
            "phase": self.phase,
            "detail": self.detail,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DeviceFailure:
        """Read what `to_dict` wrote; raises KeyError on anything else."""
        return cls(values["class"], values["detail"], values["code"], values["phase"])

    def __str__(self) -> str:
        if self.code is not None and self.code in self.detail:
            return f"{self.failure_class}: {self.detail}"
        code = f" {self.code}" if self.code else ""
        phase = f" while {self.phase}" if self.phase else ""
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.failure_class}{code}{phase}{detail}"


@dataclass(frozen=True)
class Evidence:
    """A command, its exit code and both its streams, kept with an error for a bug report."""

    serial: str
    command: str = ""
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""


class PhoneError(DeviceError):
    """A phone did not do what was asked; `failure` tells why, `evidence` what was seen.

    `placement` holds NNAPI's plan for the operations; it is empty where NNAPI made none. `source`
    is the source of a refusal that nothing ran for ("published", "modelled"); None where a phone
    ran. `conditions` are the phone and the tool, as a measurement has them; empty where unknown.
    """

    source: str | None = None

    def __init__(self, message: str, failure: DeviceFailure, evidence: Evidence) -> None:
        super().__init__(message)
        self.failure = failure
        self.evidence = evidence
        self.placement: tuple[Placement, ...] = ()
        self.conditions: dict[str, Any] = {}

    @property
    def details(self) -> dict[str, Any]:
        """The phone, its failure, NNAPI's plan, and the source of the refusal, as JSON types."""
        return {
            "serial": self.evidence.serial,
            "failure": self.failure.to_dict(),
            "placement": [asdict(row) for row in self.placement],
            "source": self.source,
        }

    def to_dict(self, device: str) -> dict[str, Any]:
        """Return the failed measurement on `device` as JSON types, with a measurement's keys."""
        document = {
            "device": device,
            "latency_ms": None,
            "count": 0,
            "placement": [asdict(row) for row in self.placement],
            "accelerated_mac_share": None,
            "failure": self.failure.to_dict(),
            "message": str(self),
        }
        return document | ({"source": self.source} if self.source else {})


class PhoneTransientError(PhoneError, DeviceTransientError):
    """The failure is about the phone or the moment, and says nothing about the candidate."""


class PhoneStableError(PhoneError, DeviceStableError):
    """The candidate can't run on this phone."""


class PhoneSetAsideError(PhoneTransientError):
    """The phone fails even with its control model: nothing more is asked of it."""


def phone_error(failure: DeviceFailure, evidence: Evidence, advice: str = "") -> PhoneError:
    """Make a failure's error; its message is one line: the phone, the failure, what to do."""
    tail = f"; {advice}" if advice else ""
    message = " ".join(f"phone {evidence.serial}: {failure}{tail}".split())
    kind = PhoneTransientError if failure.transient else PhoneStableError
    return kind(message, failure, evidence)


Stable = TypeVar("Stable", bound=PhoneStableError)
Transient = TypeVar("Transient", bound=PhoneTransientError)


def simulated_error(
    kinds: tuple[type[Stable], type[Transient]],
    advice: Mapping[str, str],
    device: str,
    failure: DeviceFailure,
    evidence: Evidence | None,
) -> Stable | Transient:
    """Make the error of a device that programs of this machine stand for.

    Its message is one line: the device, the failure, what to do. `kinds` are the classes for a
    failure that is stable and for one that is transient, `advice` says what to do by class.
    """
    stable, transient = kinds
    kind = transient if failure.transient else stable
    message = f"{device}: {failure}; {advice[failure.failure_class]}"
    return kind(message, failure, evidence or Evidence(device))
