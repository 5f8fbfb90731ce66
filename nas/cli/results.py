"""`nas report` and `nas export` save the results of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.console import counted, err, note, out
from nas.cli.options import RunArgument
from nas.errors import DataError

if TYPE_CHECKING:
    from nas.data import Dataset
    from nas.report.crops import CropComparison
    from nas.report.export import WriteOnnx
    from nas.storage.run_folder import RunFolder
    from nas.study.trial_result import TrialResult


def report(
    run: RunArgument,
    pictures: Annotated[
        int, typer.Option(min=0, max=12, help="Held-out pictures to restore and compare.")
    ] = 3,
    open_: Annotated[bool, typer.Option("--open", help="Show the page in a browser.")] = False,
    ask_npus: Annotated[
        int,
        typer.Option(
            "--ask-npus",
            min=0,
            metavar="MODELS",
            help="Ask the run's NPUs what other up-sampling, skips, widths ... would save in so "
            "many models, the cards' first: seconds each, and kept.",
        ),
    ] = 0,
) -> None:
    """Write RUN/report: one page that can be read offline, and PNG and SVG files."""
    folder = opened(run)
    folder.description()  # a wrong path is told before anything slow is imported
    from nas.devices.host.profile import profile_on_host
    from nas.report import write_report
    from search_spaces import architecture_from_dict
    from search_spaces.suggestions import suggestions

    if ask_npus:
        _ask_npus(folder, ask_npus)
    with err.status("writing the report"):
        page = write_report(
            folder,
            pictures,
            read=architecture_from_dict,
            profile_host=profile_on_host,
            suggest=suggestions,
        )
    out.print(str(page), markup=False, highlight=False, soft_wrap=True)
    if open_:
        from nas.cli.browser import open_page

        open_page(page)


def _ask_npus(run: RunFolder, most: int) -> None:
    """Ask what is not known yet of the replacements in up to `most` models of the front."""
    from nas.devices.npu import requirements
    from nas.report import npu_answers
    from nas.report.report_data import gather
    from nas.report.write import models_to_explain
    from search_spaces import architecture_from_dict
    from search_spaces.suggestions import suggestions

    data = gather(run)
    cards = [pick.result for pick in data.picks]
    models = {one.number: one for one in (*cards, *models_to_explain(data))}
    chosen = list(models.values())[:most]
    asked = npu_answers.questions(run, chosen, data.results, suggestions)
    if not asked:
        note("the run's NPUs have nothing to answer: it has none, or all is known")
        return
    requirements.check()
    width, height = data.study["size"]
    with (
        err.status("asking the NPUs' compiler") as status,
        npu_answers.files(architecture_from_dict, (width, height)) as make,
    ):

        def tell(number: int, one: npu_answers.Question) -> None:
            words = f"trial {one.trial}, {one.words}, on {data.device(one.device)}"
            status.update(f"asking the NPUs' compiler, {number + 1} of {len(asked)}: {words}")

        silent = npu_answers.ask(run, asked, make, npu_answers.ask_npu, tell)
    said = f"{counted(len(asked) - silent, 'answer')} of NPUs, kept in {run.path}"
    note(f"{said}; {silent} had none on this busy machine: ask again" if silent else said)


def export(
    run: RunArgument,
    out_: Annotated[Path, typer.Option("--out", help="A new folder, or an earlier export.")],
    all_: Annotated[
        bool, typer.Option("--all", help="Every complete model within the constraints.")
    ] = False,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="An ONNX file beside each, checked (extra `npu`).")
    ] = False,
    data: Annotated[
        str | None, typer.Option(help="Where the run's data set is now, if it moved.")
    ] = None,
) -> None:
    """Export the front's models and the baselines, each scored once more, and pareto.csv."""
    from nas.report.crops import compare_crops
    from nas.report.export import earlier_folders, export_models

    write_onnx = _onnx_writer() if onnx else None
    folder = opened(run)
    dataset = _dataset(folder, data)
    with err.status("exporting") as status:

        def progress(index: int, count: int, result: TrialResult) -> None:
            status.update(f"exporting {index + 1} of {count}: trial {result.number}")

        def compare(result: TrialResult) -> Sequence[CropComparison]:
            return compare_crops(folder, [result], dataset.heldout(), count=2)

        rescore = _scorer(dataset)
        exported = export_models(folder, out_, rescore, all_, progress, write_onnx, compare)
    for model in exported:
        out.print(str(model.folder), highlight=False)
    models = "1 model" if len(exported) == 1 else f"{len(exported)} models"
    note(f"{models} in {out_}, each scored again as reported; {out_ / 'pareto.csv'}")
    left = earlier_folders(out_, exported)
    if left:
        note(f"of an earlier export and kept: {', '.join(left)}")


def _onnx_writer() -> WriteOnnx:
    """Return what writes and checks ONNX files; ConfigError where the extra is missing."""
    from nas.devices.npu.onnx_export import check_exportable, export_onnx

    check_exportable()
    return lambda model, out_file: export_onnx(model, out_file).to_dict()


def opened(run: Path) -> RunFolder:
    """Open a run's folder; results that only its object store still has are fetched."""
    from nas.storage.run_folder import ARTIFACTS, RunFolder

    folder = RunFolder(run)
    if (run / ARTIFACTS).exists():
        from nas.search.uploads import restored

        restored(folder, None, note)
    return folder


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
