"""How well a predictor fitted to ten networks tells the latencies of the other 350 of a table.

    python -m benchmarks.unet_table latency --out FOLDER      (30 minutes, a quiet machine)
    python -m benchmarks.latency_predictor --table FOLDER     (2 minutes, the same machine)

The micro-benchmarks are measured here and kept in FOLDER/micro.json. Ten networks are drawn at
random, over and over; the predictor sees their latencies, and is scored on all others that were
measured while others used less than `--calm` cores. "median" takes a network's latency as the
median of its launches, as the table does; "fastest" its fastest launch's median: what is left when
nobody disturbs. "steady" scores on the networks only whose launches agree.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.unet_table import PRECISIONS, PROTOCOL, SIZE, networks
from nas.errors import BusyMachineError
from nas.predictor import microbenchmarks
from nas.predictor.checking import Score
from nas.predictor.design import chosen_joints, chosen_terms
from nas.predictor.predictor import Measured, Predictor, undisturbed
from nas.predictor.terms import Term, terms_of_graph
from nas.system.hashing import content_key

STEADY = 0.03
ABOUT = {"device": "host", "threads": PROTOCOL.threads, "size": list(SIZE), "study": "table"}


@dataclass(frozen=True)
class Row:
    """A network of the table: its terms, and its launches' medians in ms."""

    terms: tuple[Term, ...]
    launches_ms: tuple[float, ...]
    others_busy_cores: float

    @property
    def spread(self) -> float:
        """Deviation of the median's logarithm."""
        deviation = statistics.stdev(math.log(one) for one in self.launches_ms)
        return deviation * math.sqrt(math.pi / (2 * len(self.launches_ms)))


def rows_of(path: Path, precision: str) -> list[Row]:
    """The table's networks in a precision; several passes over one are put together."""
    launches: dict[str, list[float]] = defaultdict(list)
    busy: dict[str, float] = {}
    for line in path.read_text().splitlines():
        if not line.endswith("}"):
            continue
        row = json.loads(line)
        if row["precision"] == precision:
            key = content_key(row["network"])
            launches[key] += row["launch_medians"]
            busy[key] = max(busy.get(key, 0.0), row["others_busy_cores"] or 0.0)
    found = []
    for network in networks():
        key = content_key(network.to_dict())
        if key in launches:
            terms = terms_of_graph(network.graph(), SIZE, precision)  # type: ignore[arg-type]
            found.append(Row(terms, tuple(launches[key]), busy[key]))
    return found


def bare(folder: Path) -> Predictor:
    """Costs of the table's operations, measured where they are not yet."""
    terms: list[Term] = []
    joints: list[tuple[Term, ...]] = []
    for precision in PRECISIONS:
        found = [terms_of_graph(n.graph(), SIZE, precision) for n in networks()]  # type: ignore[arg-type]
        terms += chosen_terms(found)
        joints += chosen_joints(found)
    plan = microbenchmarks.SessionPlan(tuple(terms), tuple(joints))

    def told(done: int, total: int) -> None:
        if done % 200 == 0:
            print(f"operations {done} of {total}, load {os.getloadavg()[0]:.1f}", flush=True)

    timings = microbenchmarks.measure("host", plan, PROTOCOL, folder / "micro.json", told)
    return microbenchmarks.fitted(plan, timings, ABOUT)


def scores(
    plain: Predictor, rows: list[Row], count: int, splits: int, fastest: bool, steady: bool
) -> tuple[list[Score], list[Score]]:
    """The predictor's and the MACs' scores on random splits."""
    random = np.random.default_rng(0)
    own, by_macs = [], []

    def truth(row: Row) -> float:
        return min(row.launches_ms) if fastest else statistics.median(row.launches_ms)

    for _ in range(splits):
        order = [rows[index] for index in random.permutation(len(rows))]
        learned = [Measured(row.terms, *undisturbed(row.launches_ms)) for row in order[:count]]
        predictor = plain.improved_by(learned, session="fit")
        unseen = [row for row in order[count:] if not steady or row.spread < STEADY]
        measured = [truth(row) for row in unseen]
        told = [predictor.predict_terms(row.terms) for row in unseen]
        intervals = [one.interval_ms for one in told]
        own.append(Score.of([one.latency_ms for one in told], measured, intervals))
        by_macs.append(Score.of([predictor.by_macs_ms(row.terms) for row in unseen], measured))
    return own, by_macs


def line(name: str, found: list[Score]) -> str:
    """A row of the table in Markdown: means over splits, the deviation of the error."""
    errors = [one.mape for one in found]
    cells = [
        name,
        str(found[0].networks),
        f"{statistics.fmean(errors):.1%} ({statistics.pstdev(errors):.1%})",
        f"{statistics.fmean(one.tau for one in found):.3f}",
        f"{statistics.fmean(one.within_10 for one in found):.0%}",
    ]
    covered = [one.covered for one in found if one.covered is not None]
    cells.append(f"{statistics.fmean(covered):.0%}" if covered else "")
    return "| " + " | ".join(cells) + " |"


def refuse_where_busy(rows: list[Row], precision: str, calm: float) -> None:
    """End with the exit code of a busy machine where most of the table was measured on one."""
    busy = sum(row.others_busy_cores >= calm for row in rows)
    if 2 * busy > len(rows):
        error = BusyMachineError(
            f"no verdict: others used {calm:g} cores or more while {busy} of {len(rows)} networks "
            f"in {precision} were measured; measure the table again on a quiet machine"
        )
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def main() -> None:
    """Measure what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--table", type=Path, required=True, help="FOLDER of benchmarks.unet_table")
    parser.add_argument("--networks", type=int, default=10)
    parser.add_argument("--splits", type=int, default=30)
    parser.add_argument("--calm", type=float, default=0.2, help="cores that others may use")
    asked = parser.parse_args()
    plain = bare(asked.table)
    for precision in PRECISIONS:
        refuse_where_busy(rows_of(asked.table / "latency.jsonl", precision), precision, asked.calm)
    print("| truth, networks | scored on | mean error (sd) | tau | within 10 % | in the interval |")
    print("|---|---|---|---|---|---|")
    for precision in PRECISIONS:
        everything = rows_of(asked.table / "latency.jsonl", precision)
        calm = [row for row in everything if row.others_busy_cores < asked.calm]
        for name, rows, fastest, steady in (
            ("median, all", everything, False, False),
            ("median, calm", calm, False, False),
            ("median, calm and steady", calm, False, True),
            ("fastest, calm", calm, True, False),
        ):
            own, by_macs = scores(plain, rows, asked.networks, asked.splits, fastest, steady)
            print(line(f"{precision}: {name}", own))
            if name == "fastest, calm":
                print(line(f"{precision}: {name}, from MACs", by_macs))


if __name__ == "__main__":
    main()
