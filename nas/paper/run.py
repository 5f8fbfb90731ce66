"""Runs the staged study as a search: which candidates each step hands in, and what it chooses.

The run is one of Optuna's like any other. Its folder says by the study's name at which scale it was
made and whose choices it follows, and by each trial's parameters which published network it is;
nothing else has to be remembered.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final, get_args

from nas.data import open_dataset, split_spec
from nas.errors import ConfigError, DataError, RunError, unknown
from nas.execution.trial.task import OnLostPhone
from nas.paper.memory_needs import check_memory
from nas.paper.steps import Entry, PaperScale, PaperStep
from nas.search.driver import search
from nas.search.watcher import NobodyWatches, Watcher
from nas.storage.run_folder import RunFolder
from nas.study.study import Study
from nas.study.trial_result import TrialResult

Select = Literal["paper", "measured"]
Results = Mapping[str, TrialResult]  # by candidate key


@final
@dataclass(frozen=True)
class StepChoice:
    """The network that goes on after a step, by name, and why.

    `best` is the step's sharpest network, None where nothing of it is measured yet.
    """

    step: int
    network: str
    best: str | None
    why: str


def run_steps(
    scale: PaperScale,
    out: Path,
    select: Select = "paper",
    step: int | None = None,
    workers: int = 1,
    watcher: Watcher | None = None,
    on_lost_phone: OnLostPhone = "stop",
    storage: str | None = None,
    artifacts: str | None = None,
) -> RunFolder:
    """Run the steps up to the last one, or one of them alone; a run that was stopped goes on.

    `storage` and `artifacts` are those of `nas.search.driver.search`.

    With "measured" a step's candidates follow from what the one before reached in this run, with
    "paper" all are known from the start.

    Raises ConfigError where a step is asked for without the results of those before it, or the
    scale needs other data or more memory than there is; DataError where its data set is not whole;
    RunError where a step that must choose has no result to choose from; and as
    `nas.search.driver.search`.
    """
    if select not in get_args(Select):
        raise unknown("value of --select", select, get_args(Select))
    run, steps = RunFolder(out), _asked_for(scale, step)
    if step is not None:
        _check_earlier(scale, run, select, step)
    check_data(scale)
    check_memory(scale, steps, workers)
    study = study_of(scale, select)
    watcher = watcher or NobodyWatches()
    while steps:
        now = _known_now(scale, steps, select)
        results = results_by_key(run)
        entries = [entry for each in now for entry in entries_of(scale, each, select, results)]
        candidates = [entry.candidate for entry in entries]
        run = search(
            study, out, None, workers, watcher, on_lost_phone,
            candidates=candidates, storage=storage, artifacts=artifacts,
        )  # fmt: skip
        steps = steps[len(now) :]
        for each in now:
            if each.choice is not None:
                watcher.note(choose_network(scale, each, select, results_by_key(run)).why)
    return run


def study_of(scale: PaperScale, select: Select) -> Study:
    """Return the study of a run, which carries whose choices it follows in its name."""
    return dataclasses.replace(scale.study, name=run_name(scale.name, select))


def run_name(scale: str, select: str) -> str:
    """Return the name of a run's study, for example "paper-smoke" or "paper-smoke-measured"."""
    return f"paper-{scale}" + ("-measured" if select == "measured" else "")


def parse_run_name(name: str) -> tuple[str, Select] | None:
    """Return the scale and the choices that a study's name tells; None for other studies."""
    parts = name.split("-")
    if parts[0] != "paper" or len(parts) not in (2, 3) or parts[2:] not in ([], ["measured"]):
        return None
    return parts[1], "measured" if parts[2:] else "paper"


def results_by_key(run: RunFolder) -> dict[str, TrialResult]:
    """Return the results that a run has so far, none before there is one."""
    return {result.key: result for result in run.results()}


def entries_of(scale: PaperScale, step: PaperStep, select: Select, results: Results) -> list[Entry]:
    """Return a step's candidates; raises RunError as `choose_network`."""
    if step.networks:
        return step.entries()
    before = [
        earlier
        for earlier in scale.steps
        if earlier.number < step.number and earlier.choice is not None
    ]
    name = choose_network(scale, before[-1], select, results).network
    return step.entries((name, before[-1].networks[name]))


def choose_network(
    scale: PaperScale, step: PaperStep, select: Select, results: Results
) -> StepChoice:
    """Choose the network that goes on after a step.

    By our own measurements it is the one of the highest PSNR. The second step changes up-sampling
    and activation, which only a U-Net has to choose from: where another network is best, the best
    U-Net goes on and the reason says so. Raises RunError where none has a PSNR.
    """
    if step.choice is None:
        raise ValueError(f"step {step.number} chooses nothing")
    ranked = _ranked(step, results)
    best = ranked[0] if ranked else None
    if select == "paper":
        why = f"step {step.number}: {step.choice} goes on, as in the paper"
        if best is not None and best != step.choice:
            why += f"; the sharpest here is {best}"
        return StepChoice(step.number, step.choice, best, why)
    able = [name for name in ranked if name in _goes_on(scale, step)]
    if not able:
        raise RunError(
            f"step {step.number} has no result to choose from: none of "
            f"{', '.join(_goes_on(scale, step))} is complete. See why in `nas report`, or follow "
            "the paper's choices in another folder: --select paper"
        )
    why = f"step {step.number}: {able[0]} goes on, the sharpest here"
    if able[0] != best:
        why = (
            f"step {step.number}: {best} is the sharpest here, but has no up-sampling operation to "
            f"choose; {able[0]} goes on, the sharpest that has one"
        )
    return StepChoice(step.number, able[0], best, why)


def _ranked(step: PaperStep, results: Results) -> list[str]:
    """Return the step's networks that have a PSNR here, the sharpest first."""
    measured = [
        (results[entry.candidate.key].value("psnr_db"), entry.network)
        for entry in step.entries()
        if entry.candidate.key in results
        and results[entry.candidate.key].state == "complete"
        and "psnr_db" in results[entry.candidate.key].metrics
    ]
    return [name for _, name in sorted(measured, key=lambda pair: -pair[0])]


def _goes_on(scale: PaperScale, step: PaperStep) -> list[str]:
    """Return the step's networks that a later step can go on with."""
    later = [other for other in scale.steps if other.number > step.number and other.networks]
    return [name for name in step.networks if all(name in other.networks for other in later)]


def _asked_for(scale: PaperScale, step: int | None) -> list[PaperStep]:
    steps = [each for each in scale.steps if step in (None, each.number)]
    if not steps:
        numbers = ", ".join(str(each.number) for each in scale.steps)
        raise ConfigError(f"--step {step}: there is no such step; the paper's search has {numbers}")
    return steps


def _known_now(scale: PaperScale, steps: Sequence[PaperStep], select: Select) -> list[PaperStep]:
    """Return the first of the steps, and those whose candidates do not depend on its results."""
    if select == "paper":
        return list(steps)
    now = [steps[0]]
    for following in steps[1:]:
        if now[-1].choice is not None:
            break
        now.append(following)
    return now


def _check_earlier(scale: PaperScale, run: RunFolder, select: Select, step: int) -> None:
    """Raise ConfigError where a step before `step` lacks results."""
    results = results_by_key(run)
    for earlier in scale.steps:
        if earlier.number >= step:
            return
        missing = [
            entry.candidate.label
            for entry in entries_of(scale, earlier, select, results)
            if entry.candidate.key not in results
        ]
        if missing:
            more = f" and {len(missing) - 2} more" if len(missing) > 2 else ""
            raise ConfigError(
                f"--step {step} needs the results of step {earlier.number} "
                f"({earlier.title.lower()}), but "
                f"{run.path} has none of {', '.join(missing[:2])}{more}: run --step "
                f"{earlier.number} there first, or leave --step out to run all"
            )


def check_data(scale: PaperScale) -> None:
    """Raise where a scale stands for a data set and gets another, or not all of it."""
    if scale.needs_data is None:
        return
    kind, rest = split_spec(scale.study.data)
    if kind != scale.needs_data or not rest:
        raise ConfigError(
            f"--scale {scale.name} trains on {scale.needs_data.upper()}, but --data is "
            f"{scale.study.data!r}: give --data {scale.needs_data}:PATH, or choose --scale short "
            "for any data set"
        )
    identity = open_dataset(scale.study.data).identity()
    counts = (identity["training_pairs"], identity["heldout_pairs"])
    if counts != scale.needs_pairs:
        wanted = scale.needs_pairs or (0, 0)
        raise DataError(
            f"--scale {scale.name} needs all of {scale.needs_data.upper()}: {wanted[0]} pairs to "
            f"train on and {wanted[1]} held out, but {rest} has {counts[0]} and {counts[1]}. "
            f"`nas data check {scale.study.data}` tells what is missing"
        )
