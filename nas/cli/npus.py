"""The NPUs that `nas devices` lists: each chip, what stands behind its latency, what is missing."""

from __future__ import annotations

from typing import Any

from nas.cli.console import note, out, table
from nas.cli.modelled import blank_row


def npu_rows() -> list[dict[str, Any]]:
    """A row for each chip with a phone row's keys; `state` is "ready" or "missing"."""
    from nas.devices.npu.chips import CHIPS
    from nas.devices.npu.requirements import Machine

    complaint = Machine.here().complaint
    blank = blank_row()
    return [
        {
            **blank,
            "device": chip.spec,
            "kind": "npu",
            "state": "ready" if complaint is None else "missing",
            "model": chip.stands_for,
            "chip": chip.title,
            "accelerators": [f"hexagon-{chip.hexagon}"],
            "source": "simulated" if chip.simulated else "modelled",
            "fit": complaint is None,
            "advice": complaint or "",
        }
        for chip in CHIPS.values()
    ]


def show_npus(rows: list[dict[str, Any]]) -> None:
    """The chips as a table, and once what is missing."""
    from nas.cli.console import print_table

    columns = dict.fromkeys(("device", "state", "stands for", "chip", "NPU", "latency"), "left")
    names = ("device", "state", "model", "chip")
    cells = [[*(row[name] for name in names), *row["accelerators"], row["source"]] for row in rows]
    out.print()
    print_table(table("NPUs, by their compiler and simulator (docs/npu.md)", columns, cells))
    if rows[0]["advice"]:
        note(f"npu: {rows[0]['advice']}")
