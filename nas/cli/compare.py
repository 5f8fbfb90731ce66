"""`nas compare` draws the fronts of several runs in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli import complete
from nas.cli.console import emit_json, note, out, print_table, table
from nas.cli.options import JsonOption
from nas.errors import ConfigError

if TYPE_CHECKING:
    from nas.report.comparison import Comparison


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN", help="Two runs' folders, or more.", autocompletion=complete.runs
        ),
    ],
    out_: Annotated[
        Path, typer.Option("--out", help="The picture to write: .png, .svg or .pdf.")
    ] = Path("compare.png"),
    cost: Annotated[
        str | None,
        typer.Option(
            metavar="FIGURE", help="The horizontal axis.", show_default="the first cost they share"
        ),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Draw the fronts of several runs in one picture, and say in what the runs differ."""
    from nas.cli.results import opened
    from nas.report.comparison import compare_runs, save_comparison

    if len(runs) < 2:
        raise ConfigError(f"nas compare needs two runs or more, but {len(runs)} came")
    comparison = compare_runs([opened(run) for run in runs], cost)
    save_comparison(comparison, out_)
    if json_:
        facts = {"picture": str(out_), "cost": comparison.cost, "said": list(comparison.said)}
        emit_json("compare", {**facts, "runs": _rows(comparison)})
        return
    _show(comparison)
    out.print(str(out_), markup=False, highlight=False, soft_wrap=True)


def _rows(comparison: Comparison) -> list[dict[str, Any]]:
    from nas.cli.pareto import model_json

    return [
        {
            "run": str(front.run.path),
            "study": str(front.study["name"]),
            "trials": len(front.found.results),
            "hypervolume": volume,
            "models": [model_json(front.run, member) for member in front.found.front],
        }
        for front, volume in zip(comparison.fronts, comparison.hypervolumes, strict=True)
    ]


def _show(comparison: Comparison) -> None:
    columns = {"run": "left", "study": "left", "trials": "right", "front": "right"}
    columns |= {"best": "right", "hypervolume": "right"}
    cells = []
    for front, volume in zip(comparison.fronts, comparison.hypervolumes, strict=True):
        found = front.found
        best = max(offer.quality for offer in found.offers)
        figures = [str(len(found.results)), str(len(found.front)), f"{best:.4g}"]
        said = "-" if volume is None else f"{volume:.4g}"
        cells.append([front.name, str(front.study["name"]), *figures, said])
    print_table(table("", columns, cells))
    for text in comparison.said:
        note(text)
