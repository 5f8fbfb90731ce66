"""The operations of the paper's networks at 1280x720, as their reconstructions have them.

`operations.csv` is written by `benchmarks/published_operations.py` from `search_spaces`, which
`nas` must not import. The paper publishes neither its networks' widths nor which channels its
pruning took: the whole networks are reconstructions that match every printed MAC figure, and the
pruned ones are narrowed evenly to theirs, which is an assumption.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Literal, cast

from nas.devices.paper_phones.published import SIZE, Row, read, rows
from nas.errors import unknown
from nas.networks.candidate import Precision
from nas.tflite.operations import Operations, Step

Kind = Literal["float", "int8", "int16"]
_DTYPE: dict[str, str] = {"float": "float32", "int8": "int8", "int16": "int16"}


@cache
def _all() -> dict[tuple[str, int | None], Operations]:
    steps: dict[tuple[str, int | None], list[Step]] = {}
    for row in read("operations.csv"):
        key = (row["network"], int(row["pruned_percent"]) if row["pruned_percent"] else None)
        shape = (int(row["height"]), int(row["width"]), int(row["channels"]))
        steps.setdefault(key, []).append(
            Step(
                op=row["op"],
                dtype="float32",
                shape=shape,
                conv_macs=int(row["conv_macs"]),
                sources=tuple(map(int, row["sources"].split(";"))),
                window_over_stride=row["window_over_stride"] == "1",
            )
        )
    return {key: Operations(tuple(network_steps), SIZE) for key, network_steps in steps.items()}


@cache
def network(name: str, pruned_percent: int | None = None, kind: str = "float") -> Operations:
    """Return a network of the paper at 1280x720 in a type: "float", "int8" or "int16".

    `pruned_percent` is a row of Table 4. Raises ConfigError where the paper has no such network.
    """
    networks = _all()
    if (name, pruned_percent) not in networks:
        wanted = name if pruned_percent is None else f"{name} -{pruned_percent}%"
        valid = [n if p is None else f"{n} -{p}%" for n, p in networks]
        raise unknown("network of the paper", wanted, valid)
    operations = networks[name, pruned_percent]
    if kind == "float":
        return operations
    steps = tuple(replace(step, dtype=_DTYPE[kind]) for step in operations.steps)
    return replace(operations, steps=steps)


@cache
def _by_structure() -> dict[str, str]:
    return {
        operations.structure: name for (name, pruned), operations in _all().items() if not pruned
    }


def recognised(operations: Operations) -> tuple[str, Precision] | None:
    """Recognise the paper's network and precision in `operations`; None for any other network.

    By structure alone: operations, wiring, shapes and MACs at 1280x720. Pruned networks are never
    recognised, as their widths are not published. Integers that change their scale on the way are
    taken for quantization-aware training, as the converter writes it.
    """
    name = _by_structure().get(operations.structure)
    kinds = {step.dtype for step in operations.steps}
    if name is None or len(kinds) != 1:
        return None
    precisions: dict[str, str] = {"float32": "float", "int16": "int16-ptq"}
    precisions["int8"] = "int8-qat" if operations.requantized else "int8-ptq"
    precision = precisions.get(kinds.pop())
    return (name, cast("Precision", precision)) if precision else None


def row_of(name: str, precision: Precision) -> Row | None:
    """Find the first row about a network at a precision, not pruned; None without one."""
    for row in rows():
        if row.network == name and row.precision == precision and row.pruned_percent is None:
            return row
    return None
