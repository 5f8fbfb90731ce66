"""Delegates, which run an artifact on a phone: NNAPI, the GPU, an NPU, or the CPU alone."""

from __future__ import annotations

from dataclasses import dataclass

from nas.errors import ConfigError, unknown

DELEGATES = ("nnapi", "gpu", "cpu", "hexagon", "external", "npu")
"""The kinds of delegates."""
BY_ANDROID = "by Android's version"
"""The kind of a phone's delegate as long as none was named and the phone was not asked."""


@dataclass(frozen=True)
class Delegate:
    """A delegate: its kind, one of `DELEGATES`, and a detail.

    `detail` is NNAPI's accelerator or the path of a vendor's library, None where none is given.
    """

    kind: str
    detail: str | None = None

    @classmethod
    def parse(cls, text: str) -> Delegate:
        """Parse KIND or KIND:DETAIL: `gpu`, `nnapi:qti-dsp`, `external:/vendor/lib/x.so`.

        Raises ConfigError on an unknown kind, or a missing or superfluous detail.
        """
        kind, colon, detail = text.partition(":")
        if kind not in DELEGATES:
            raise unknown("delegate", kind, DELEGATES)
        if kind == "external" and not detail:
            raise ConfigError("delegate external: expected external:LIBRARY, a path on the phone")
        if colon and kind not in ("nnapi", "external", "npu"):
            raise ConfigError(f"delegate {text!r}: {kind} takes nothing after a colon")
        return cls(kind, detail or None)

    def __str__(self) -> str:
        return self.kind if self.detail is None else f"{self.kind}:{self.detail}"
