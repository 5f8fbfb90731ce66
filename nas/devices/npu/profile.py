"""Read what the compiler says of a compiled graph: the simulator's estimate, the memory traffic."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import final

_SIMULATED = "Simulated (Accelerator exec "
_FIGURES = {
    f"{_SIMULATED}cycles)": "cycles",
    f"{_SIMULATED}time us)": "microseconds",
    f"{_SIMULATED}time us (lower estimate))": "lower",
    f"{_SIMULATED}time us (upper estimate))": "upper",
    "Missing Ops (Number of Ops with no Costs associated)": "uncosted",
}
_TRAFFIC = ("read_total_bytes", "write_total_bytes", "spill_bytes", "fill_bytes")


@final
@dataclass(frozen=True)
class Estimate:
    """The simulator's estimate of one inference, with its own lower and upper value.

    `uncosted` operations of the compiled program have no cost in it.
    """

    cycles: int
    milliseconds: float
    lower_ms: float
    upper_ms: float
    uncosted: int


@final
@dataclass(frozen=True)
class Traffic:
    """What one inference moves between the NPU's memory and DDR, in MB of 10^6 bytes.

    `read_mb` and `write_mb` are all of it: pictures, weights, and what does not fit into the NPU's
    memory on the way: `spill_mb` goes out for that and `fill_mb` comes back.
    """

    read_mb: float
    write_mb: float
    spill_mb: float
    fill_mb: float


def estimate_in(text: str) -> Estimate | None:
    """The estimate in the provider's profile (CSV) of a file that is one graph.

    None where the compiler's simulator does not know the chip. Raises ValueError where the profile
    is of another form, or of several graphs.
    """
    figures: dict[str, int] = {}
    graphs = 0
    for row in csv.DictReader(io.StringIO(text)):
        try:
            event, value = row["Event Identifier"], row["Time"]
            graphs += (row["Message"], row["Event Level"]) == ("FINALIZE", "ROOT")
        except KeyError as error:
            raise ValueError(f"the profile has no column {error}") from error
        if event in _FIGURES:
            figures[_FIGURES[event]] = int(value)
    if graphs != 1:
        raise ValueError(f"expected the profile of one graph, but it has {graphs}")
    if not figures:
        return None
    missing = sorted(set(_FIGURES.values()) - figures.keys())
    if missing:
        raise ValueError(f"the profile's estimate has no {', '.join(missing)}")
    return Estimate(
        cycles=figures["cycles"],
        milliseconds=figures["microseconds"] / 1e3,
        lower_ms=figures["lower"] / 1e3,
        upper_ms=figures["upper"] / 1e3,
        uncosted=figures["uncosted"],
    )


def traffic_in(log: str) -> Traffic:
    """The memory traffic in the compiler's log; ValueError where it does not tell it once."""
    values = []
    for name in _TRAFFIC:
        seen = re.findall(rf"(?<![a-z_]){name}=(\d+)", log)
        if len(seen) != 1:
            raise ValueError(f"expected {name} once in the compiler's log, found it {len(seen)}x")
        values.append(int(seen[0]) / 1e6)
    return Traffic(*values)
