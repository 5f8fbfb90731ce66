"""The NPUs on the command line: their rows of `nas devices`, and `nas probe --device npu:CHIP`."""

from __future__ import annotations

import json
from typing import Any

from nas.cli.console import err, note, out, print_table, table
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
    columns = dict.fromkeys(("device", "state", "stands for", "chip", "NPU", "latency"), "left")
    names = ("device", "state", "model", "chip")
    cells = [[*(row[name] for name in names), *row["accelerators"], row["source"]] for row in rows]
    out.print()
    print_table(table("NPUs, by their compiler and simulator (docs/npu.md)", columns, cells))
    if rows[0]["advice"]:
        note(f"npu: {rows[0]['advice']}")


def probed(spec: str, sizes: list[str] | None, again: bool) -> dict[str, Any]:
    """What an NPU takes, as JSON types; ConfigError and NpuError as `probe_npu`."""
    from nas.cli.options import parse_size
    from nas.devices.npu.device import open_npu
    from nas.devices.npu.operation_support import SIZES, probe_npu, to_dict

    device = open_npu(spec)
    wanted = [parse_size(text) for text in sizes] if sizes else list(SIZES)
    with err.status(f"probing {spec} ...") as status:
        rows = probe_npu(
            device,
            wanted,
            again,
            lambda done, total: status.update(f"probing {spec}: {done} of {total} graphs"),
        )
    return {
        "device": device.spec,
        "source": "simulated",
        "packages": json.loads(device.identity()["packages"]),
        "rows": [to_dict(row) for row in rows],
    }


def show_probe(document: dict[str, Any]) -> None:
    """A table for each data type and size, then each reason once with what it holds for."""
    rows = document["rows"]
    groups = dict.fromkeys((row["dtype"], tuple(row["size"])) for row in rows)
    for dtype, size in groups:
        own = [r for r in rows if (r["dtype"], tuple(r["size"])) == (dtype, size)]
        afters = list(dict.fromkeys(row["after"] for row in own))
        marks = {(r["op"], r["after"]): "yes" if r["accelerated"] else "CPU" for r in own}
        cells = [
            [op, *(marks.get((op, after), "-") for after in afters)]
            for op in dict.fromkeys(row["op"] for row in own)
        ]
        columns = dict.fromkeys(("operation", *afters), "left")
        title = f"{document['device']}, {dtype}, {size[0]}x{size[1]} (the compiler): taken after"
        print_table(table(title, columns, cells))
    refused: dict[tuple[str, str, str], set[str]] = {}
    for row in rows:
        if row["reason"] is not None:
            key = (row["op"], row["dtype"], row["reason"])
            refused.setdefault(key, set()).add("x".join(map(str, row["size"])))
    for (op, dtype, reason), sizes in refused.items():
        line = f"{op} in {dtype} at {', '.join(sorted(sizes))}: {reason}"
        out.print(line, highlight=False, markup=False, soft_wrap=True)
