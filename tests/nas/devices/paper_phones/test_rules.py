"""The rules of the paper's phones give its footnotes."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.devices.paper_phones import networks, published
from nas.devices.paper_phones.rules import RULES, plan
from nas.devices.placement import nnapi_name

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    "cell", published.latencies(), ids=lambda c: f"{c.table}-{c.row}-{c.phone}"
)
def test_the_rules_give_every_footnote(cell: published.Cell) -> None:
    row = next(r for r in published.rows() if (r.table, r.row) == (cell.table, cell.row))
    operations = networks.network(row.network, row.pruned_percent, row.precision.split("-")[0])
    planned = plan(RULES[cell.phone], operations)
    if cell.outcome == "empty":
        return
    assert (planned.failure is not None) == (cell.outcome == "failed")
    if cell.outcome == "failed":
        assert planned.code == published.OP_FAILED
        return
    fallen = {nnapi_name(operations.steps[n].op) for n in planned.fallen}
    printed = {op.removeprefix("some ").split(" after ")[0] for op in cell.fallbacks}
    assert fallen == printed
