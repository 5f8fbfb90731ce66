"""What the paper's cells say of a kind of operation on a phone, and what they don't.

A kind is an operation in a data type; convolutions with a stride are a kind of their own. A phone's
cells say something of it where a network that has it ran there. The latency of any other kind is
the model's guess from its size alone: `unseen` lists them, so that an estimate can say so and be
less sure.
"""

from __future__ import annotations

from functools import cache

from nas.devices.paper_phones.networks import network
from nas.devices.paper_phones.published import rows
from nas.tflite.operations import PICTURE, Operations, Step

Kind = tuple[str, str]  # the operation, with " with a stride" where it has one; the data type


def kinds(operations: Operations) -> list[Kind]:
    """Return the kind of each step, in their order."""
    return [_kind(step, operations) for step in operations.steps]


def _kind(step: Step, operations: Operations) -> Kind:
    dtype = "float32" if step.dtype == "float16" else step.dtype
    op = step.op
    if op == "CONV_2D":
        source = step.sources[0]
        above = operations.size[1] if source == PICTURE else operations.steps[source].shape[0]
        # Windows without padding lose a few pixels: that is no stride.
        op += " with a stride" if 2 * step.shape[0] <= above + 1 else ""
    return op, dtype


@cache
def seen(phone: str) -> frozenset[Kind]:
    """Return the kinds that the phone's published latencies say something of."""
    found: set[Kind] = set()
    for row in rows():
        if row.cell(phone).latency_ms is not None:
            kind = row.precision.split("-")[0]
            found.update(kinds(network(row.network, row.pruned_percent, kind)))
    return frozenset(found)


def unseen(phone: str, operations: Operations) -> dict[int, Kind]:
    """Return the steps, by number, of kinds that no published cell of the phone has."""
    known = seen(phone)
    return {n: kind for n, kind in enumerate(kinds(operations)) if kind not in known}


def in_words(found: dict[int, Kind]) -> str:
    """Return a sentence's part that names each kind once, "" without any."""
    names = [f"{op} in {dtype}" for op, dtype in dict.fromkeys(found.values())]
    return f"no published cell has {', '.join(names)}" if names else ""
