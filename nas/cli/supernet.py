"""`nas supernet` trains one elastic network for a study, and shows one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.console import emit_json, err, out
from nas.cli.options import DataOption, JsonOption, StudyArgument

if TYPE_CHECKING:
    from nas.training.supernet.spec import SupernetSpec

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="One elastic network for a study's whole space.",
)
STEPS_HELP = "Of its training."


@app.callback()
def supernet() -> None:
    """One elastic network for a study's whole space."""


@app.command("train")
def train(
    study: StudyArgument,
    out_: Annotated[
        Path | None,
        typer.Option("--out", help="The supernet's folder.", show_default="runs/STUDY/supernet"),
    ] = None,
    data: DataOption = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help=STEPS_HELP, show_default="as many as one candidate's")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of its training.")] = None,
    json_: JsonOption = False,
) -> None:
    """Train a study's supernet; the same command goes on where it was stopped."""
    from nas.cli.search import load_study, with_changes
    from nas.data import open_dataset
    from nas.search.supernet_ranking import supernet_spec
    from nas.training.supernet.spec import FOLDER

    chosen = with_changes(load_study(study), {"data": data, "seed": seed})
    dataset = open_dataset(chosen.data)
    spec = supernet_spec(chosen, dataset.identity(), steps)
    folder = out_ or Path("runs") / chosen.name / FOLDER
    spec.check(folder)
    try:
        _train(spec, dataset, folder)
    except KeyboardInterrupt:
        err.print(f"stopped; the same command goes on in {folder}", highlight=False)
        raise typer.Exit(130) from None
    _show("supernet-train", folder, json_)


@app.command("show")
def show(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A supernet's folder.")],
    json_: JsonOption = False,
) -> None:
    """Tell what a supernet was trained for, and what it cost."""
    _show("supernet-show", folder, json_)


def _train(spec: SupernetSpec, dataset: Any, folder: Path) -> None:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from nas.training.tensorflow import prepare_tensorflow

    pack = dataset.prepare(spec.schedule.patch)
    prepare_tensorflow(spec.schedule.threads)
    from nas.training.supernet.train import train_supernet

    words = (
        TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[l1]}"),
    )
    with Progress(words[0], BarColumn(), words[1], TimeRemainingColumn(), console=err) as bar:
        task = bar.add_task("", total=spec.schedule.steps, l1="")

        def report(step: int, steps: int, loss: float) -> None:
            bar.update(task, completed=step, l1=f"L1 {loss:.4f}")

        train_supernet(spec, pack, folder, report)
        bar.update(task, completed=spec.schedule.steps)


def _show(kind: str, folder: Path, json_: bool) -> None:
    from nas.training.supernet.spec import supernet_of

    document = supernet_of(folder)
    if json_:
        emit_json(kind, {"folder": str(folder), **document})
        return
    spec = document["spec"]
    choices = ", ".join(
        f"{name} {'|'.join(map(str, values))}"
        for name, values in spec["space"].items()
        if name != "family"
    )
    out.print(
        f"supernet {document['key']} in {folder}\n{choices}\n"
        f"{spec['schedule']['steps']} steps of {2 + spec['random']} candidates, seed "
        f"{spec['seed']}, {document['cost']['cpu_seconds']:.0f} s of processor",
        highlight=False,
        soft_wrap=True,
    )
