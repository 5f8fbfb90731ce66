"""The trackers of experiments that a run's trials can be handed to, by the names of libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from nas.report.mlflow_store import write_mlflow
from nas.report.tensorboard_files import write_tensorboard
from nas.report.tracking import Handover, Tell, TrackedRun
from nas.report.wandb_files import write_wandb

TRACKERS: Mapping[str, Callable[[TrackedRun, Path, Tell], Handover]] = {
    "tensorboard": write_tensorboard,
    "mlflow": write_mlflow,
    "wandb": write_wandb,
}
"""What writes a run into a tracker's folder. The library is imported when it is called."""
