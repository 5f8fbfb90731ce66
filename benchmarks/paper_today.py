"""The paper's networks at 1280x720 on Snapdragon NPUs of today: docs/paper-2026.md's tables.

    python -m benchmarks.paper_today [npu:CHIP ...]

By default `npu:sm8650` (Galaxy S24, modelled) and `npu:sa8255` (simulated). Each row, then
the networks of Tables 2 and 3 in int8, which the paper has in float only: placement, latency,
memory traffic. Untrained networks, as latency and placement do not depend on weights. Answers are
kept in the user's cache, so a run that was stopped goes on. Needs the extra `npu`; about 20 minutes
on two busy cores for these two chips.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from nas.devices.paper_phones.published import PHONES, Row, rows
from nas.paper.today import TodayCell, told
from search_spaces import ARCHITECTURES

DEVICES = ("npu:sm8650", "npu:sa8255")


def main(*devices: str) -> None:
    from nas.training.tensorflow import quiet_tensorflow

    quiet_tensorflow()
    chosen = devices or DEVICES
    print("| table | network | precision | " + " | ".join(PHONES), end=" | ")
    print(
        " | ".join(f"{device}, ms | placement | DDR read / write, spilled MB" for device in chosen)
    )
    seen = set()
    floats = [replace(row, precision="int8-ptq") for row in rows() if row.table in (2, 3)]
    for number, row in enumerate((*rows(), *floats)):
        key = (row.network, row.precision, row.pruned_percent)
        if key not in seen:
            seen.add(key)
            show(row, list(told(row, chosen, ARCHITECTURES, tell=_tell)), number < len(rows()))


def show(row: Row, cells: list[TodayCell], published: bool) -> None:
    """Print a line: what was published, then each device's answer."""
    share = f" -{row.pruned_percent} % MACs" if row.pruned_percent else ""
    texts = [str(row.table) if published else "", row.network + share, row.precision]
    for phone in PHONES:
        cell = row.cell(phone)
        number = "fails" if cell.outcome == "failed" else "-"
        texts.append(f"{cell.latency_ms:,.0f}" if published and cell.latency_ms else number)
        if not published:
            texts[-1] = ""
    for today in cells:
        texts += [_latency(today), f"{today.taken} of {today.operations}", _traffic(today)]
    print(f"| {' | '.join(texts)} |", flush=True)


def _latency(cell: TodayCell) -> str:
    if cell.latency_ms is None:
        return f"none: {cell.failure}"
    low, high = cell.interval_ms or (cell.latency_ms, cell.latency_ms)
    return f"{cell.latency_ms:.3g} ({low:.3g} to {high:.3g})"


def _traffic(cell: TodayCell) -> str:
    figures = cell.figures
    if not figures:
        return ""
    return (
        f"{figures['ddr_read_mb']:.0f} / {figures['ddr_write_mb']:.0f}, {figures['spill_mb']:.0f}"
    )


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
