"""The results of `benchmarks.compression` in words: means, spreads, and what holds.

A difference is taken seed by seed. Where its least and its greatest value have different signs the
spread is larger than the difference, and the table says so.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

Row = dict[str, Any]
Bound = tuple[str, str, float]  # figure, comparison, bound
AGREEMENTS: tuple[Bound, ...] = (
    ("float_to_keras_db", ">=", 90.0),
    ("qat_to_fake_quantized_db", ">=", 38.0),
    ("int16_to_float_db", ">=", 40.0),
    ("int16_to_rounded_weights_db", ">=", 80.0),
)
WORDS = {
    "float_to_keras_db": "float file to its Keras model",
    "qat_to_fake_quantized_db": "int8-qat file to its fake-quantized model",
    "int16_to_float_db": "int16 file to the float model",
    "int16_to_rounded_weights_db": "int16 file to the float model with 8-bit weights",
}


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Differences, agreements and costs, each with its least and greatest value."""
    good = [row for row in rows if "error" not in row]
    scores = [row for row in good if row["kind"] == "score"]
    return {
        "differences": differences(scores),
        "macs_of_target": spread(
            (1 - row["pruned_share"]) / (1 - row["share"])
            for row in scores
            if row["share"] and row["method"] != "none"
        ),
        "agreements": agreements(row for row in good if row["kind"] == "agreement"),
        "step_ratio": spread(row["ratio"] for row in good if row["kind"] == "step"),
        "bookkeeping_s": {r["network"]: r["most_s"] for r in good if r["kind"] == "bookkeeping"},
        "errors": [row for row in rows if "error" in row],
        "cpu_s": round(sum(row["cpu_s"] for row in rows), 1),
        "load": spread(row["load"] for row in rows),
    }


def spread(values: Iterable[float]) -> dict[str, float] | None:
    """Mean, least, greatest and number of the values; None where there are none."""
    found = list(values)
    if not found:
        return None
    return {
        "mean": statistics.mean(found),
        "least": min(found),
        "greatest": max(found),
        "count": len(found),
    }


def differences(scores: Sequence[Row]) -> list[dict[str, Any]]:
    """The PSNR differences that were asked about, for every pruned share that has both sides."""
    found = []
    for share in sorted({row["share"] for row in scores}):
        as_long = [("float", True), ("int16-ptq", True), ("int8-qat", False), ("int8-ptq", True)]
        as_trained = [(precision, False) for precision, _ in as_long]
        for name, order in (("as long", as_long), ("as trained", as_trained)):
            pairs = zip(order[1:], order, strict=False)
            found += [_difference(scores, share, name, one, other) for one, other in pairs]
            if name == "as trained":
                found.append(_difference(scores, share, name, order[2], order[0]))
        found += [_difference(scores, share, "pruning", ADAPTIVE, s) for s in (UNIFORM, WHOLE)]
    return [one for one in found if one]


ADAPTIVE, UNIFORM, WHOLE = ("float", False), ("uniform-l1", False), ("none", False)
NAMES = {"uniform-l1": "uniform", "none": "whole, as many steps"}


def _difference(
    scores: Sequence[Row], share: float, name: str, one: tuple[str, bool], other: tuple[str, bool]
) -> dict[str, Any]:
    """`one` less `other`, seed by seed; empty where a seed in common is missing."""
    left, right = (_by_seed(scores, share, side) for side in (one, other))
    seeds = sorted(left.keys() & right.keys())
    if not seeds:
        return {}
    values = spread(left[seed] - right[seed] for seed in seeds) or {}
    sure = len(seeds) > 1 and values["least"] * values["greatest"] > 0
    names = [NAMES.get(side[0], side[0]) for side in (one, other)]
    names[0] = "adaptive" if name == "pruning" else names[0]
    return {"how": name, "share": share, "one": names[0], "other": names[1], "sure": sure, **values}


def _by_seed(scores: Sequence[Row], share: float, side: tuple[str, bool]) -> dict[int, float]:
    name, longer = side
    what = ("float", name, longer) if name in NAMES else (name, "adaptive", longer)
    return {
        row["seed"]: row["psnr_db"]
        for row in scores
        if row["share"] == share and (row["precision"], row["method"], row["longer"]) == what
    }


def agreements(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Each bound with the values of all networks and seeds, and whether the least keeps it."""
    listed = list(rows)
    kinds = {(row["upsampling"], row["activation"]) for row in listed}
    found = []
    for name, _, bound in AGREEMENTS:
        values = spread(row[name] for row in listed)
        if values:
            holds = values["least"] >= bound
            found.append(
                {"what": name, "bound": bound, "holds": holds, "networks": len(kinds), **values}
            )
    return found


def markdown(document: dict[str, Any]) -> str:
    """Return the tables for `docs/notes/compression.md`."""
    told = document["summary"]
    load = told["load"] or {"least": 0, "greatest": 0}
    head = (
        f"{document['done']} of {document['of']} pieces of work, {document['seeds']} seeds, "
        f"{document['steps']} steps, {told['cpu_s'] / 60:.0f} minutes of CPU time on "
        f"{document['processor']} (load {load['least']:.1f} to {load['greatest']:.1f})."
    )
    parts = [head, _quality(document["rows"]), _differences(told["differences"])]
    parts += [_agreements(told["agreements"]), _costs(told)]
    parts += [f"Failed: {row}" for row in told["errors"]]
    return "\n\n".join(part for part in parts if part)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> str:
    ends = ["---" if index < left else "---:" for index in range(len(headings))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, ends, *rows))


def _quality(rows: Sequence[Row]) -> str:
    """PSNR and SSIM of every compression: the mean, and the least and greatest over seeds."""
    scores = [row for row in rows if row["kind"] == "score" and "error" not in row]
    names = ("share", "method", "precision", "longer")
    lines = []
    for key in dict.fromkeys(tuple(row[name] for name in names) for row in scores):
        own = [row for row in scores if tuple(row[name] for name in names) == key]
        psnr, ssim = spread(r["psnr_db"] for r in own), spread(r["ssim"] for r in own)
        gmacs, size = spread(r["gmacs"] for r in own), spread(r["bytes"] for r in own)
        if psnr and ssim and gmacs and size:
            lines.append(
                (
                    f"{key[0]:.0%}",
                    key[2]
                    + {"uniform-l1": ", uniform", "none": ", whole, as many steps"}.get(key[1], ""),
                    "yes" if key[3] or key[2] == "int8-qat" else "",
                    _said(psnr, ".2f"),
                    f"{ssim['mean']:.4f}",
                    f"{gmacs['mean']:.3f}",
                    f"{size['mean']:,.0f}",
                    f"{psnr['count']}",
                )
            )
    headings = ("pruned", "precision", "extra steps", "PSNR dB", "SSIM", "GMAC", "bytes", "seeds")
    return _table(headings, lines, 3) if lines else ""


def _said(values: dict[str, Any], digits: str) -> str:
    """The mean, and where there are several values the least and the greatest."""
    if values["count"] == 1:
        return format(values["mean"], digits)
    ends = [format(values[name], digits) for name in ("least", "greatest")]
    return f"{values['mean']:{digits}} ({ends[0]} to {ends[1]})"


def _differences(found: Sequence[dict[str, Any]]) -> str:
    lines = [
        (
            one["how"],
            f"{one['share']:.0%}",
            f"{one['one']} less {one['other']}",
            _said(one, "+.3f"),
            "one seed" if one["count"] == 1 else ("yes" if one["sure"] else "no: within spread"),
        )
        for one in found
    ]
    headings = ("trained", "pruned", "difference", "dB", "beyond the spread")
    return _table(headings, lines, 3) if lines else ""


def _agreements(found: Sequence[dict[str, Any]]) -> str:
    lines = [
        (
            WORDS[one["what"]],
            f"{one['bound']:g}",
            f"{one['least']:.1f}",
            f"{one['mean']:.1f}",
            "yes" if one["holds"] else "no",
            f"{one['networks']} networks, {one['count']} trainings",
        )
        for one in found
    ]
    headings = ("agreement", "wanted dB", "least dB", "mean dB", "holds", "over")
    return _table(headings, lines, 1) if lines else ""


def _costs(told: dict[str, Any]) -> str:
    lines = []
    target, ratio, rounds = told["macs_of_target"], told["step_ratio"], told["bookkeeping_s"]
    if target:
        lines.append(
            f"- MACs over the pruning's target: {target['least']:.4f} to {target['greatest']:.4f} "
            "of it (wanted: 0.985 to 1)."
        )
    if ratio:
        lines.append(f"- A QAT step takes {ratio['mean']:.2f} float steps (wanted: 1.3 at most).")
    if rounds:
        worst = max(rounds, key=lambda name: rounds[name])
        lines.append(
            f"- Bookkeeping of a pruning round: {rounds[worst]:.2f} s at most, for {worst} "
            "(wanted: under 2 s)."
        )
    return "\n".join(lines)
