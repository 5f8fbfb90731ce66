"""Tells what each operation of a model costs on a device, and from where that is known.

In the order of trust: a profile of the run that was measured, the model fitted to a phone's
published cells, a predictor that was fitted to the device. Where none of them tells, neither does
this module.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nas.devices.placement import CPU, is_cpu
from nas.errors import NasError
from nas.tflite.operations import Operations

Source = Literal["measured", "synthetic", "modelled", "predicted"]
FAMILIES = {
    "Convolution": "CONV_2D",
    "Deconvolution": "TRANSPOSE_CONV",
    "Subconv2d": "TRANSPOSE_CONV",
    "Max Pooling": "MAX_POOL_2D",
    "Average Pooling": "AVERAGE_POOL_2D",
    "PReLU": "PRELU",
    "Resize Bilinear": "RESIZE_BILINEAR",
    "Depth To Space": "DEPTH_TO_SPACE",
    "Space To Depth": "SPACE_TO_DEPTH",
    "Copy": "CONCATENATION",
    "Concatenate": "CONCATENATION",
    "Add": "ADD",
    "Subtract": "SUB",
    "Multiply": "MUL",
    "Constant Pad": "PAD",
    "Tanh": "TANH",
    "Convert": "QUANTIZE",
}
"""TFLite's names of operations, by the first words of XNNPACK's."""


@dataclass(frozen=True)
class Part:
    """Time that a device tells of: of one operation, or of several that ran as one piece.

    `name` is the operation's, TFLite's where it is known. `indices` are the file's operations, or
    the positions in the network's list where nothing was converted; empty for work that belongs to
    none. `shape` is the output's, as text. `where` is what ran it, None where nothing tells.
    """

    name: str
    milliseconds: float
    indices: tuple[int, ...]
    shape: str = ""
    where: str | None = None

    @property
    def fallen(self) -> bool:
        """Whether no accelerator took it."""
        return is_cpu(self.where)


@dataclass(frozen=True)
class OperationTimes:
    """What the operations of one model cost on one device; `about` says how that is known."""

    device: str
    source: Source
    about: str
    parts: tuple[Part, ...]

    @property
    def total_ms(self) -> float:
        """The sum of the parts in ms."""
        return sum(part.milliseconds for part in self.parts)


def from_paper_phone(device: str, operations: Operations) -> OperationTimes:
    """Split the modelled latency of one of the paper's phones over the operations."""
    from nas.devices.paper_phones.latency_model import fitted
    from nas.devices.paper_phones.rules import RULES, place, plan

    phone = RULES[device.removeprefix("paper:")]
    fallen = plan(phone, operations).fallen
    times = fitted(phone.phone).by_step_ms(phone, operations)
    parts = tuple(
        Part(
            step.op, ms, (number,), _side_by_side(step.shape), place(phone, step, number in fallen)
        )
        for number, (step, ms) in enumerate(zip(operations.steps, times, strict=True))
    )
    return OperationTimes(device, "modelled", "by a model fitted to the paper's cells", parts)


def from_predictor(device: str, operations: Operations) -> OperationTimes | None:
    """Return what the newest predictor of the device says; None where none fits the network."""
    from nas.predictor.identity import newest_predictor
    from nas.predictor.terms import terms_of

    predictor = newest_predictor(device, operations.size)
    terms = terms_of(operations)
    if predictor is None or any((t.op, t.dtype) not in predictor.kinds for t in terms):
        return None
    parts = [
        Part(term.op, predictor.cost(term)[0], (number,), _side_by_side((*term.made, term.cout)))
        for number, term in enumerate(terms)
    ]
    overhead = predictor.overhead_ms.get(terms[0].dtype, 0.0)
    if overhead:
        parts.append(Part("calling the network", overhead, ()))
    about = "by the predictor that was fitted to the device: single operations, timed"
    return OperationTimes(device, "predicted", about, tuple(parts))


def from_profile(
    device: str,
    source: Source,
    about: str,
    profile: Sequence[Mapping[str, Any]],
    operations: Sequence[tuple[int, str, str]],
    placement: Sequence[Mapping[str, Any]],
    own: str = CPU,
) -> OperationTimes:
    """Join the rows of a profile with the file's operations, given as (index, name, shape).

    A row of a delegate stands for the operations that the accelerator ran as one piece. Rows from
    inside of XNNPACK are joined in order, kind by kind. `own` names what runs the
    operations of which the placement says nothing.
    """
    known = {index: (name, shape) for index, name, shape in operations}
    places = {row["index"]: row["accelerator"] for row in placement}
    inside = [row for row in profile if row.get("inside_delegate")]
    joined = _joined([_family(row["node_type"]) for row in inside], operations)
    pieces = iter(_pieces(places))
    parts: list[Part] = []
    within = 0
    for row in profile:
        node = row["node"]
        if row.get("inside_delegate"):
            index = joined[within]
            name = known[index][0] if index is not None else row["node_type"].split("/")[-1]
            within += 1
            indices = () if index is None else (index,)
            shape = known[index][1] if index is not None else ""
            where = "xnnpack" if index is None else places.get(index, "xnnpack")
            parts.append(Part(name, row["average_ms"], indices, shape, where))
        elif node is not None and node in known:
            name, shape = known[node]
            parts.append(Part(name, row["average_ms"], (node,), shape, places.get(node, own)))
        else:
            piece = next(pieces, ())
            where = places.get(piece[0]) if piece else None
            parts.append(Part(row["node_type"], row["average_ms"], piece, where=where))
    return OperationTimes(device, source, about, tuple(parts))


def _family(node_type: str) -> str:
    """Return TFLite's name for XNNPACK's "Delegate/Convolution (NHWC, F32) IGEMM"."""
    words = node_type.removeprefix("Delegate/").partition(" (")[0]
    return FAMILIES.get(words, words)


def _joined(kinds: Sequence[str], operations: Sequence[tuple[int, str, str]]) -> list[int | None]:
    """Return for each kind the index of the operation that it is part of; None where none is.

    Rows and operations of a kind are in one order. Where there are more rows than operations, each
    operation has as many; where there are fewer, the last operations have none.
    """
    own: dict[str, list[int]] = {}
    for index, name, _ in operations:
        own.setdefault(name, []).append(index)
    rows = Counter(kinds)
    seen: Counter[str] = Counter()
    joined: list[int | None] = []
    for kind in kinds:
        indices = own.get(kind, [])
        place = seen[kind]
        if indices and rows[kind] > len(indices):
            place = place * len(indices) // rows[kind]
        joined.append(indices[place] if indices else None)
        seen[kind] += 1
    return joined


def _pieces(places: Mapping[int, str | None]) -> list[tuple[int, ...]]:
    """Return the runs of neighbouring operations that an accelerator took."""
    pieces: list[list[int]] = []
    before: int | None = None
    for index in sorted(places):
        if is_cpu(places[index]):
            continue
        if before is None or any(is_cpu(places[n]) for n in places if before < n < index):
            pieces.append([])
        pieces[-1].append(index)
        before = index
    return [tuple(piece) for piece in pieces]


def _side_by_side(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def file_operations(path: Path) -> list[tuple[int, str, str]]:
    """Return index, name and output shape of a file's operations; raises as `read_tflite`."""
    from nas.tflite.file import read_tflite

    rows = []
    for step in read_tflite(path).operations:
        shape = _side_by_side(step.outputs[0].shape[1:]) if step.outputs else ""
        rows.append((step.index, step.name, shape))
    return rows


def quietly(get: Callable[[], OperationTimes | None]) -> OperationTimes | None:
    """Return what `get` finds; None where it can't: a report has everything else all the same."""
    try:
        return get()
    except (NasError, KeyError, TypeError, ValueError):
        return None
