"""`nas track` hands a run's trials to a tracker of experiments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.complete import trackers
from nas.cli.console import counted, emit_json, err, note, out
from nas.cli.options import JsonOption, RunArgument
from nas.errors import ConfigError, unknown


def track(
    run: RunArgument,
    to: Annotated[
        str,
        typer.Option("--to", help="tensorboard, mlflow or wandb.", autocompletion=trackers),
    ],
    out_: Annotated[
        Path, typer.Option("--out", help="The tracker's folder; any run may share it.")
    ],
    json_: JsonOption = False,
) -> None:
    """Hand a run's trials to TensorBoard, MLflow or Weights & Biases.

    Each trial is a run there, with its choices as parameters and its figures as metrics. All is
    written into a folder, nothing is sent. Called again, it adds what is new and repeats nothing.
    """
    from nas.cli.results import opened
    from nas.report.trackers import TRACKERS
    from nas.report.tracking import tracked_run

    if to not in TRACKERS:
        raise unknown("tracker", to, TRACKERS)
    if out_.exists() and not out_.is_dir():
        raise ConfigError(f"--out {out_} is a file: give a folder for {to}, a new one or its own")
    if (out_ / "run.json").exists():
        raise ConfigError(f"--out {out_} is a run's folder: give another one to {to}")
    with err.status(f"handing trials to {to}") as status:
        tracked = tracked_run(opened(run))

        def tell(done: int, total: int) -> None:
            status.update(f"handing trials to {to}: {done + 1} of {total}")

        handed = TRACKERS[to](tracked, out_, tell)
    if json_:
        said = {"run": str(run), "tracker": to, "folder": str(out_), "name": tracked.name}
        emit_json("track", said | vars(handed))
        return
    note(
        f"{tracked.name}: {counted(handed.written, 'trial')} written, {handed.unchanged} there "
        f"before; in {out_}"
    )
    out.print(handed.command, markup=False, highlight=False, soft_wrap=True)
