"""How far latencies by the NPU's simulator are from those published for the same networks.

    python -m benchmarks.npu_calibration [--rebuild FOLDER [--networks NAME ...]] [--json] [--rows]
        [--plot FILE]

`--rebuild` writes `simulated.csv` anew: it rebuilds the networks, translates and simulates them
(minutes, and the extra `npu`). Then, for each device and precision, every network is left out in
turn and told by the fit to all others. Goals: phones, mean error at most 12 %, worst at most 30 %;
the simulated chip itself, with an offset alone, mean at most 10 %, Kendall's tau at least 0.95.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

from scipy.stats import kendalltau

from nas.devices.limited_process import Limits
from nas.devices.npu import calibration
from nas.devices.npu.calibration import SAME_CHIP, Fit, Point, fitted, offset_ms, points_of
from nas.devices.npu.chips import CHIPS, ESTIMATED_AS
from nas.devices.npu.compilation import compiled
from nas.devices.npu.requirements import versions

PRECISIONS = ("int8", "float", "int16")
COLUMNS = (
    "network", "precision", "chip_number", "cycles", "simulated_ms", "lower_ms", "upper_ms",
    "uncosted", "ddr_read_mb", "ddr_write_mb", "spill_mb", "onnxruntime", "onnxruntime_qnn",
)  # fmt: skip


def rebuild(folder: Path, networks: list[str]) -> None:
    """Write simulated.csv: networks that are published, as far as they can be rebuilt.

    What it says of other networks stays.
    """
    from benchmarks.npu_networks import NETWORKS, written

    path_of_table = calibration.FOLDER / "simulated.csv"
    packages, wanted = versions(), networks or list(NETWORKS)
    rows: list[tuple[Any, ...]] = []
    if path_of_table.exists():
        known = calibration.rows(path_of_table.name)
        rows = [tuple(row.values()) for row in known if row["network"] not in wanted]
    for network in wanted:
        for precision in ("float", "int8"):
            path = written(folder, network, precision)
            done = compiled(path, ESTIMATED_AS, network, Limits(1800))
            estimate, traffic = done.estimate, done.traffic
            if estimate is None:
                raise SystemExit(f"no estimate of {network} in {precision}")
            figures = (
                estimate.cycles, estimate.milliseconds, estimate.lower_ms, estimate.upper_ms,
                estimate.uncosted, round(traffic.read_mb, 3), round(traffic.write_mb, 3),
                round(traffic.spill_mb, 3),
            )  # fmt: skip
            made_by = (packages["onnxruntime"], packages["onnxruntime-qnn"])
            rows.append((network, precision, ESTIMATED_AS, *figures, *made_by))
            print(*rows[-1], f"{done.seconds:.0f} s", flush=True)
    with path_of_table.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(sorted(rows, key=lambda row: row[:2]))
    calibration.rows.cache_clear()


def offset_only(points: tuple[Point, ...]) -> tuple[float, list[tuple[Point, float]]]:
    """The offset of `offset + simulated`, and each network by the offset of all others."""
    left_out = [
        (point, offset_ms([*points[:n], *points[n + 1 :]]) + point.simulated_ms)
        for n, point in enumerate(points)
    ]
    return offset_ms(points), left_out


def tau(pairs: list[tuple[float, float]]) -> float:
    return float(kendalltau(*zip(*pairs, strict=True)).statistic)


def of_fit(fit: Fit) -> dict[str, Any]:
    pairs = [(row.point.published_ms, row.modelled_ms) for row in fit.left_out]
    return {
        "device": fit.device,
        "precision": fit.precision,
        "networks": len(fit.left_out),
        "offset_ms": fit.offset_ms,
        "slope": fit.slope,
        "mean_error": fit.mean_error,
        "worst_error": fit.worst_error,
        "kendall_tau": tau(pairs),
        "interval_factor": fit.factor,
        "coverage": fit.coverage,
        "rows": [
            [row.point.network, row.point.simulated_ms, row.point.published_ms, row.modelled_ms]
            for row in fit.left_out
        ],
    }


def same_chip(precision: str) -> dict[str, Any] | None:
    points = points_of(SAME_CHIP, precision)
    if len(points) < 3:
        return None
    offset, left_out = offset_only(points)
    errors = [abs(modelled / point.published_ms - 1) for point, modelled in left_out]
    return {
        "device": f"{SAME_CHIP}, offset alone",
        "precision": precision,
        "networks": len(points),
        "offset_ms": offset,
        "slope": 1.0,
        "mean_error": sum(errors) / len(errors),
        "worst_error": max(errors),
        "kendall_tau": tau([(point.published_ms, modelled) for point, modelled in left_out]),
        "rows": [[p.network, p.simulated_ms, p.published_ms, m] for p, m in left_out],
    }


def documents() -> list[dict[str, Any]]:
    devices = [chip.published_device for chip in CHIPS.values() if chip.published_device]
    fits = [
        fitted(device, precision)
        for precision in PRECISIONS
        for device in dict.fromkeys((SAME_CHIP, *devices))
    ]
    own = [same_chip(precision) for precision in PRECISIONS]
    return [row for row in own if row is not None] + [of_fit(fit) for fit in fits if fit]


def show(document: dict[str, Any], rows: bool) -> None:
    interval = (
        f"x {document['interval_factor']:.2f} ({document['coverage']:.0%})"
        if "interval_factor" in document
        else ""
    )
    print(
        f"{document['device']:36.36} {document['precision']:6} {document['networks']:2} networks "
        f"{document['offset_ms']:6.2f} ms + {document['slope']:.2f} x simulated; left out: mean "
        f"{document['mean_error']:6.1%} worst {document['worst_error']:6.1%} "
        f"tau {document['kendall_tau']:.2f} {interval}"
    )
    for network, simulated, published, modelled in document["rows"] if rows else ():
        print(
            f"    {network:28} simulated {simulated:8.3f} published {published:8.3f} "
            f"modelled {modelled:8.3f} {modelled / published - 1:+.1%}"
        )


def draw(found: list[dict[str, Any]], path: Path) -> None:
    """Published against modelled latencies of the networks that were left out."""
    from matplotlib.figure import Figure

    precisions = [p for p in PRECISIONS if any(row["precision"] == p for row in found)]
    figure = Figure(figsize=(5 * len(precisions), 5), layout="constrained")
    for axes, precision in zip(
        figure.subplots(1, len(precisions), squeeze=False)[0], precisions, strict=True
    ):
        fits = [row for row in found if row["precision"] == precision and "coverage" in row]
        for row in fits:
            published, modelled = ([cells[n] for cells in row["rows"]] for n in (2, 3))
            label = f"{row['device']} ({row['mean_error']:.0%})"
            axes.plot(published, modelled, "o", label=label, alpha=0.7)
        every = [cells[2] for row in fits for cells in row["rows"]]
        ends = [min(every) / 1.5, max(every) * 1.5]
        axes.plot(ends, ends, "k-", linewidth=0.8)
        axes.fill_between(ends, [0.8 * x for x in ends], [1.2 * x for x in ends], alpha=0.12)
        axes.set(xscale="log", yscale="log", title=f"{precision}: left out (mean error)")
        axes.set(xlabel="published, ms", ylabel="modelled without it, ms; band: 20 %")
        axes.legend(fontsize=7)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rebuild", type=Path, metavar="FOLDER", help="where networks are kept")
    parser.add_argument("--networks", nargs="+", metavar="NAME", help="these alone")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="a picture of the errors")
    parser.add_argument("--rows", action="store_true", help="every network that was left out")
    arguments = parser.parse_args()
    if arguments.rebuild:
        arguments.rebuild.mkdir(parents=True, exist_ok=True)
        rebuild(arguments.rebuild, arguments.networks)
    found = documents()
    if arguments.plot:
        draw(found, arguments.plot)
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    for document in found:
        show(document, arguments.rows)


if __name__ == "__main__":
    main()
