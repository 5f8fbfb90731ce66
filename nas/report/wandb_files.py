"""Writes trials as offline runs of Weights & Biases; only `wandb sync` sends them."""

from __future__ import annotations

import shutil
from pathlib import Path

from nas.report.tracking import LOSS, Handover, Tell, TrackedRun, TrackedTrial, made, missing

_DONE = "portable-nas-{content}"
"""The file beside an offline run that says that it is whole, and of what content."""


def write_wandb(run: TrackedRun, folder: Path, tell: Tell) -> Handover:
    """Write FOLDER/wandb/offline-run-... for each trial; those that are whole and equal stay.

    A trial that was written in part, or has changed, is written anew, and the old one is removed.
    Nothing is sent. Raises ConfigError where the library is not installed, RunError where no folder
    can be made.
    """
    try:
        import wandb  # noqa: F401
    except ImportError as error:
        raise missing("wandb", error) from error
    made(folder)
    written = 0
    for index, trial in enumerate(run.trials):
        tell(index, len(run.trials))
        old = _there(run, trial, folder)
        if len(old) == 1 and (old[0] / _DONE.format(content=trial.content)).exists():
            continue
        for one in old:
            shutil.rmtree(one)
        _write_trial(run, trial, folder)
        for one in _there(run, trial, folder):
            (one / _DONE.format(content=trial.content)).touch()
        written += 1
    command = f"wandb sync {folder / 'wandb' / 'offline-run-*'}"
    return Handover(written, len(run.trials) - written, command)


def _identity(run: TrackedRun, trial: TrackedTrial) -> str:
    """Return the trial's identity in a project: sent twice, it is one run there."""
    return f"{run.name}-{trial.number:05d}"


def _there(run: TrackedRun, trial: TrackedTrial, folder: Path) -> list[Path]:
    return sorted((folder / "wandb").glob(f"offline-run-*-{_identity(run, trial)}"))


def _write_trial(run: TrackedRun, trial: TrackedTrial, folder: Path) -> None:
    import wandb

    config = {
        **trial.parameters,
        "trial": trial.number,
        **trial.tags,
        "source": dict(trial.sources),
        "conditions": dict(trial.conditions),
    }
    settings = wandb.Settings(
        silent=True, console="off", disable_git=True, disable_code=True,
        x_disable_stats=True, x_disable_meta=True,
    )  # fmt: skip
    begun = wandb.init(
        project=run.name,
        id=_identity(run, trial),
        name=f"{trial.name} {trial.label}",
        notes=run.description,
        tags=[trial.state, *["front"] * (trial.tags["on_front"] == "yes")],
        config=config,
        dir=str(folder),
        mode="offline",
        settings=settings,
    )
    for point in trial.curve:
        begun.log({LOSS: point.loss}, step=point.step)
    begun.summary.update(dict(trial.figures))
    begun.finish(exit_code=1 if trial.failed else 0)
