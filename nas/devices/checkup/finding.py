"""One finding of a check-up."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, final

State = Literal["ok", "note", "warning", "failed"]


@final
@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: where, what was seen, and what to do about it.

    `about` is "host", or a phone's name. A "note" is about something that not everybody needs, a
    "warning" about something that makes figures worse; what "failed" can't be used at all.
    `remedy` is "" only where all is well.
    """

    about: str
    what: str
    state: State
    seen: str
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON types."""
        return asdict(self)
