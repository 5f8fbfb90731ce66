"""Tells how far a supernet's ranking agreed with what its candidates reached when trained alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nas.report.compression import STYLES, compression_of
from nas.storage.run_folder import RunFolder
from nas.study.rank_agreement import Agreement, agreement
from nas.study.trial_result import TrialResult
from nas.system.files import read_json

SCORE = "supernet_psnr_db"
ALONE = "psnr_db"


@dataclass(frozen=True)
class RankedTrial:
    """A trial with the PSNR in dB that its network had as a slice of the supernet."""

    result: TrialResult
    score_db: float


@dataclass(frozen=True)
class SupernetRanking:
    """A run whose candidates were ranked by a supernet, and how well its ranks held.

    `ranked` counts the candidates that the supernet named `supernet` ranked; `cpu_seconds` is what
    its training took. `groups` has a row for each precision and pruned share: its name, its trials,
    how the ranks agree. The score is the float network's, so trials are compared within one group
    only.
    """

    supernet: str
    ranked: int
    cpu_seconds: float | None
    groups: tuple[tuple[str, tuple[RankedTrial, ...], Agreement | None], ...]


def supernet_ranking(run: RunFolder, results: Iterable[TrialResult]) -> SupernetRanking | None:
    """Read the ranking from the run's folder; None where no supernet ranked its candidates."""
    path = run.path / "supernet" / "chosen.json"
    if not path.exists():
        return None
    document = read_json(path)
    scores = {row["key"]: float(row["figures"][SCORE]) for row in document["candidates"]}
    groups: dict[str, list[RankedTrial]] = {}
    for result in results:
        if result.key in scores and result.state == "complete" and ALONE in result.metrics:
            ranked = RankedTrial(result, scores[result.key])
            groups.setdefault(_group(result), []).append(ranked)
    cost = run.path / "supernet" / "supernet.json"
    spent = read_json(cost)["cost"].get("cpu_seconds") if cost.exists() else None
    return SupernetRanking(
        document["supernet"],
        int(document["ranked"]),
        spent,
        tuple((name, tuple(rows), _agreement(rows)) for name, rows in groups.items()),
    )


def _group(result: TrialResult) -> str:
    share, precision = compression_of(result) or (0.0, "float")
    return f"{precision}, {100 * share:.3g} % pruned" if share else precision


def _agreement(rows: Sequence[RankedTrial]) -> Agreement | None:
    return agreement([row.score_db for row in rows], [row.result.value(ALONE) for row in rows])


def supernet_chart(ranking: SupernetRanking | None) -> dict[str, Any]:
    """Draw PSNR alone against the score as a slice, a colour and a shape for each precision."""
    traces = []
    for name, rows, _ in ranking.groups if ranking else ():
        colour, symbol = STYLES.get(name.split(",")[0], STYLES["float"])
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [row.score_db for row in rows],
                "y": [row.result.value(ALONE) for row in rows],
                "text": [f"<b>trial {r.result.number}</b> · {r.result.label}" for r in rows],
                "marker": {"color": colour, "symbol": symbol, "size": 9},
                "hovertemplate": "%{text}<br>slice %{x:.2f} dB, alone %{y:.2f} dB<extra></extra>",
            }
        )
    layout = {
        "xaxis": {"title": {"text": "PSNR of its slice of the supernet, dB"}, "zeroline": False},
        "yaxis": {"title": {"text": "PSNR of the model, dB"}, "zeroline": False},
        "showlegend": len(traces) > 1,
        "height": 360,
        "margin": {"l": 56, "r": 10, "t": 20, "b": 48},
    }
    return {"data": traces, "layout": layout}
