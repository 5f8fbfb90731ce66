"""Models the paper's networks on its phones, with each cell left out in its turn."""

from __future__ import annotations

import math
from functools import cache

from nas.devices.paper_phones.device import tell
from nas.devices.paper_phones.latency_model import COVERAGE, LeftOutStructure, leave_one_out
from nas.devices.paper_phones.networks import network
from nas.devices.paper_phones.published import Row
from nas.devices.paper_phones.rules import RULES, plan
from nas.devices.placement import nnapi_name
from nas.paper.cells import FULL, OwnFigure


def modelled_latency(row: Row, phone: str) -> OwnFigure:
    """Return a published row's latency on a phone, by the model that did not see it.

    Where the paper has no number, the model of all cells speaks: of a failure by its rules, of an
    empty cell with its estimate.
    """
    operations = network(row.network, row.pruned_percent, row.precision.split("-")[0])
    planned = plan(RULES[phone], operations)
    fallen = tuple(
        dict.fromkeys(nnapi_name(operations.steps[number].op) for number in planned.fallen)
    )
    left_out = _left_out(phone).get(row.row)
    if left_out is not None:
        factor = math.exp(leave_one_out(phone).quantile(COVERAGE) * left_out.deviation)
        middle = left_out.modelled_ms
        about = f"leave-one-out: fitted to the phone's other structures; {COVERAGE:.0%} interval"
        return OwnFigure(
            middle, "modelled", FULL, about, (middle / factor, middle * factor), None, fallen
        )  # fmt: skip
    if planned.failure is not None:
        return OwnFigure(
            None, "modelled", FULL, "by rule", None, f"fails: {planned.failure}", fallen
        )
    estimate = tell(phone, operations)
    about = "; ".join(part for part in (estimate.about, estimate.caution) if part)
    return OwnFigure(
        estimate.latency_ms, "modelled", FULL, about, estimate.interval_ms, None, fallen
    )


@cache
def _left_out(phone: str) -> dict[str, LeftOutStructure]:
    """Return the phone's left-out rows, by the name of each published row."""
    return {
        name: row for row in leave_one_out(phone).rows for name in row.label.split(" / ")
    }  # fmt: skip
