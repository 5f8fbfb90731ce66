"""Writes the comparison as rows of CSV files."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.devices.npu.chips import FIGURES, PREFIX, chip_named
from nas.devices.paper_phones.published import PHONES, phones
from nas.paper.cells import FULL, ComparedCell
from nas.paper.compare import Comparison, phone_name
from nas.paper.figure4 import SizeCell
from nas.paper.table5 import OutputRow
from nas.paper.today import TodayLine
from nas.study.trial_result import TrialResult
from nas.system.files import write_atomically

Columns = dict[str, Any]


def cell_rows(comparison: Comparison) -> list[Columns]:
    """Return a row for every cell of Tables 2 to 4."""
    return [
        {
            "table": table.number,
            "row": line.row.row,
            "network": line.row.label,
            "precision": line.row.precision,
            "pruned_percent": line.row.pruned_percent,
            "column": cell.column,
            "unit": cell.unit,
            "published": cell.published,
            "published_source": "computed" if cell.column == "score" else "published",
            "published_outcome": cell.outcome,
            "footnote": cell.footnote.mark if cell.footnote else None,
            "footnote_text": cell.footnote.text if cell.footnote else None,
            **_here(cell),
        }
        for table in comparison.tables
        for line in table.lines
        for cell in line.cells.values()
    ]


def _here(cell: ComparedCell) -> Columns:
    here = cell.here
    low, high = here.interval if here and here.interval else (None, None)
    return {
        "here": here.value if here else None,
        "here_low": low,
        "here_high": high,
        "here_failure": here.failure if here else "not run",
        "difference": cell.difference,
        "relative_difference": cell.relative,
        "comparable": cell.comparable,
        "source": here.source if here else None,
        "scale": here.scale if here else None,
        "about": here.about if here else None,
        "cpu_by_rule": ";".join(here.fallbacks) if here else None,
    }


def device_rows(comparison: Comparison) -> list[Columns]:
    """Return every row of Tables 2 to 4 on each of the run's own devices."""
    return [
        {
            "table": cell.table,
            "row": cell.row,
            "device": cell.device,
            "latency_ms": cell.here.value,
            "low_ms": cell.here.interval[0] if cell.here.interval else None,
            "high_ms": cell.here.interval[1] if cell.here.interval else None,
            "failure": cell.here.failure,
            "on_cpu": ";".join(cell.here.fallbacks),
            "ratio_to_unet": cell.ratio,
            **{f"published_ratio[{name}]": r for name, r in cell.published_ratios.items()},
            "source": cell.here.source,
            "scale": cell.here.scale,
            "about": cell.here.about,
        }
        for table in comparison.tables
        for cell in table.devices
    ]


def order_rows(comparison: Comparison) -> list[Columns]:
    """Return the rank correlation of each table."""
    return [
        {
            "what": order.what,
            "networks": len(order.names),
            "kendall_tau": order.tau,
            "p_value": order.p_value,
            "tau_least_without_one": order.range[0] if order.range else None,
            "tau_most_without_one": order.range[1] if order.range else None,
        }
        for order in comparison.orders
    ]


def table1_rows(comparison: Comparison) -> list[Columns]:
    """Return the published phones, then the run's own devices, as far as it knows them."""
    rows: list[Columns] = [
        {
            "device": phone.name,
            "chipset": phone.chipset,
            "cpu": phone.cpu,
            "gpu": phone.gpu,
            "ai_engine": phone.ai_engine,
            "runtime": ", ".join(phone.nnapi_runtimes),
            "ai_score": phone.ai_score,
            "source": "published",
        }
        for phone in phones()
    ]
    return [*rows, *(_own_device(comparison, device) for device in comparison.devices)]


def _own_device(comparison: Comparison, device: str) -> Columns:
    """Return what the run knows of a device: of the host its processor, of a phone what it told."""
    conditions = comparison.description.get("conditions", {})
    row: Columns = dict.fromkeys(("chipset", "cpu", "gpu", "ai_engine", "runtime", "ai_score"))
    if device == "host":
        version = conditions.get("versions", {}).get("ai-edge-litert", "")
        row |= {"cpu": conditions.get("processor"), "runtime": f"LiteRT {version} on the CPU"}
    phone = comparison.phones.get(device)
    if phone:
        row["chipset"] = phone.get("chip") or None
        row["runtime"] = ", ".join(phone.get("accelerators") or ()) or None
    if device.startswith(PREFIX):
        chip = chip_named(device)
        row |= {"chipset": chip.title, "ai_engine": f"Hexagon {chip.hexagon}"}
        source = "simulated" if chip.simulated else "modelled"
        return {"device": f"{device} ({chip.stands_for})", **row, "source": source}
    modelled = device.startswith("paper:")
    name = f"{device} ({phone['manufacturer']} {phone['model']})" if phone else device
    source = "modelled" if modelled else "synthetic" if phone and phone["synthetic"] else "measured"
    return {"device": name, **row, "source": source}


def table5_rows(rows: Sequence[OutputRow], scale: str) -> list[Columns]:
    """Return Table 5, published and ours, which was taken at `scale`."""
    lines: list[Columns] = []
    for row in rows:
        for phone in PHONES:
            cell = row.published.get(phone)
            lines.append(
                {
                    "data_type": row.data_type,
                    "network_psnr_db": row.network_psnr_db,
                    "device": phone_name(phone),
                    "psnr_db": cell.psnr_db if cell else None,
                    "deviation_db": cell.psnr_deviation_db if cell else None,
                    "l2_error": cell.l2_error if cell else None,
                    "pictures": 300 if cell else None,
                    "source": "published",
                    "scale": "paper",
                    "about": "" if cell else "empty in the paper",
                }
            )
        lines += [
            {
                "data_type": row.data_type,
                "network_psnr_db": _psnr_db(row.trial),
                "device": output.device,
                "psnr_db": output.psnr_db,
                "deviation_db": output.deviation_db,
                "l2_error": output.l2_error,
                "pictures": output.pictures,
                "source": output.source,
                "scale": scale,
                "about": output.failure or output.about,
            }
            for output in row.here
        ]
    return lines


def _psnr_db(trial: TrialResult | None) -> float | None:
    metric = trial.metrics.get("psnr_db") if trial else None
    return metric.value if metric else None


def size_rows(cells: Sequence[SizeCell], scale: str) -> list[Columns]:
    """Return Figure 4: the paper's phones modelled at full size, ours measured at `scale`."""
    return [
        {
            "device": cell.device,
            "size": f"{cell.size[0]}x{cell.size[1]}",
            "run_size": f"{cell.run_size[0]}x{cell.run_size[1]}",
            "published_outcome": cell.published,
            "latency_ms": cell.latency_ms,
            "low_ms": cell.interval_ms[0] if cell.interval_ms else None,
            "high_ms": cell.interval_ms[1] if cell.interval_ms else None,
            "ratio": cell.ratio,
            "source": cell.source,
            "scale": FULL if cell.device in PHONES else scale,
            "failure": cell.failure,
        }
        for cell in cells
    ]


def today_rows(lines: Sequence[TodayLine]) -> list[Columns]:
    """Return the published rows on NPUs of today, at full size."""
    return [
        {
            "table": line.row.table,
            "row": line.row.row,
            "network": line.row.network,
            "precision": line.row.precision,
            "device": cell.device,
            "latency_ms": cell.latency_ms,
            "low_ms": cell.interval_ms[0] if cell.interval_ms else None,
            "high_ms": cell.interval_ms[1] if cell.interval_ms else None,
            "source": cell.source,
            "operations_taken": cell.taken,
            "operations": cell.operations,
            **{name: cell.figures.get(name) for name in FIGURES},
            "failure": cell.failure,
            "about": cell.about,
        }
        for line in lines
        for cell in line.cells
    ]


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows to a file, whole or not at all; raises RunError where that can't be."""
    write_atomically(path, lambda file: file.write(_csv_text(rows).encode()))


def csv_link(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a data URI: a page that was sent to somebody still has its files."""
    return "data:text/csv;base64," + base64.b64encode(_csv_text(rows).encode()).decode()


def _csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()
