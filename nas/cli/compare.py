"""`nas compare` draws the fronts of several runs in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nas.cli import complete
from nas.cli.console import emit_json, note, out, print_table, table
from nas.cli.options import JsonOption
from nas.errors import ConfigError


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
    from nas.cli.pareto import model_json
    from nas.cli.results import opened
    from nas.report.comparison import compare_runs, save_comparison

    if len(runs) < 2:
        raise ConfigError(f"nas compare needs two runs or more, but {len(runs)} came")
    comparison = compare_runs([opened(run) for run in runs], cost)
    save_comparison(comparison, out_)
    rows: list[dict[str, Any]] = [
        {
            "run": str(front.run.path),
            "study": str(front.study["name"]),
            "trials": len(front.found.results),
            "hypervolume": volume,
            "models": [model_json(front.run, member) for member in front.found.front],
        }
        for front, volume in zip(comparison.fronts, comparison.hypervolumes, strict=True)
    ]
    if json_:
        said = list(comparison.said)
        facts = {"picture": str(out_), "cost": comparison.cost, "said": said, "runs": rows}
        emit_json("compare", facts)
        return
    columns = {"run": "left", "study": "left", "trials": "right", "front": "right"}
    columns |= {"best": "right", "hypervolume": "right"}
    cells = []
    for front, row in zip(comparison.fronts, rows, strict=True):
        best = max(offer.quality for offer in front.found.offers)
        volume = "-" if row["hypervolume"] is None else f"{row['hypervolume']:.4g}"
        counts = [str(row["trials"]), str(len(row["models"]))]
        cells.append([front.name, str(row["study"]), *counts, f"{best:.4g}", volume])
    print_table(table("", columns, cells))
    for text in comparison.said:
        note(text)
    out.print(str(out_), markup=False, highlight=False, soft_wrap=True)
