"""`nas explain` says a run's result, or a trial's, in sentences."""

from __future__ import annotations

from typing import Annotated

import typer

from nas.cli.console import emit_json, out
from nas.cli.options import JsonOption, RunArgument


def explain(
    run: RunArgument,
    trial: Annotated[
        int | None,
        typer.Argument(metavar="TRIAL", help="One trial's number.", show_default="the whole run"),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Say in sentences which model to take, or what became of one trial.

    The noise of training decides which models are alike: the fastest of these is the one to take.
    """
    from nas.cli.pareto import choice_json
    from nas.cli.results import opened
    from nas.report.choice import open_front
    from nas.report.explanation import explain_run, explain_trial
    from nas.report.trial_devices import explain_devices
    from nas.storage.run_devices import run_names

    folder = opened(run)
    found = open_front(folder)
    names = {device: name.name for device, name in run_names(folder, found.results).items()}

    def called(device: str) -> str:
        return names.get(device, device)

    if trial is None:
        said = explain_run(found, called)
    else:
        one = next((result for result in found.results if result.number == trial), None)
        told = explain_devices(folder, one, called) if one else []
        said = explain_trial(found, trial, called, told)
    if json_:
        choice = choice_json(found.choose())
        facts = {"run": str(run), "trial": trial, "sentences": said, "choice": choice}
        emit_json("explain", facts)
        return
    for sentence in said:
        out.print(sentence, markup=False, highlight=False, soft_wrap=not out.is_terminal)
