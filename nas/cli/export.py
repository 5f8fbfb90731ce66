"""`nas export` writes a run's models as folders to ship."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.console import err, note, out
from nas.cli.options import RunArgument
from nas.cli.results import opened
from nas.errors import DataError

if TYPE_CHECKING:
    from nas.data import Dataset
    from nas.report.crops import CropComparison
    from nas.storage.run_folder import RunFolder
    from nas.study.trial_result import TrialResult


def export(
    run: RunArgument,
    out_: Annotated[Path, typer.Option("--out", help="A new folder, or an earlier export.")],
    all_: Annotated[
        bool, typer.Option("--all", help="Every complete model within the constraints.")
    ] = False,
    data: Annotated[
        str | None, typer.Option(help="Where the run's data set is now, if it moved.")
    ] = None,
) -> None:
    """Export the front's models and the baselines, each scored once more, and pareto.csv."""
    from nas.report.crops import compare_crops
    from nas.report.export import earlier_folders, export_models

    folder = opened(run)
    dataset = _dataset(folder, data)
    rescore = _scorer(dataset)
    with err.status("exporting") as status:

        def progress(index: int, count: int, result: TrialResult) -> None:
            status.update(f"exporting {index + 1} of {count}: trial {result.number}")

        def compare(result: TrialResult, artifact: Path) -> Sequence[CropComparison]:
            return compare_crops(folder, [result], dataset.heldout(), count=2)

        exported = export_models(folder, out_, rescore, all_, progress, compare)
    for model in exported:
        out.print(str(model.folder), highlight=False)
    models = "1 model" if len(exported) == 1 else f"{len(exported)} models"
    note(f"{models} in {out_}, each scored again as reported; {out_ / 'pareto.csv'}")
    left = earlier_folders(out_, exported)
    if left:
        note(f"of an earlier export and kept: {', '.join(left)}")


def _scorer(dataset: Dataset) -> Callable[[Path], float]:
    """Return a function that gives a file's PSNR in dB on the held-out pictures."""
    from evaluators.quality import score_artifact

    return lambda artifact: score_artifact(artifact, dataset.heldout()).psnr_db


def _dataset(run: RunFolder, spec: str | None) -> Dataset:
    """Open the run's data set, at `spec` where it moved; DataError where it is another one now."""
    from nas.data import open_dataset
    from nas.system.hashing import canonical_json

    recorded = run.description()["study"]["data"]
    dataset = open_dataset(spec or recorded["spec"])
    if canonical_json(dataset.identity()) != canonical_json(recorded["identity"]):
        raise DataError(
            f"the data set {dataset.spec} is not the one that {run.path} was made with: its "
            "pictures differ. Say where that one is with --data"
        )
    return dataset
