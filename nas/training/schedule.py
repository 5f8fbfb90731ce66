"""The schedule of a training, as one frozen value. Loads no TensorFlow."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from nas.errors import ConfigError, unknown

Decay = Literal["exponential", "cosine"]


@dataclass(frozen=True)
class Schedule:
    """The settings of a training with L1 loss, Adam and Glorot initialisation.

    It takes `steps` of `batch` patches of `patch` x `patch` pixels. `learning_rate` is reached
    after `warmup_steps` (linearly) and decays then: "exponential" multiplies it by `decay_rate`
    every `decay_steps`, continuously; "cosine" takes it to 0 at the last step. `clip_norm` bounds
    the global norm of the gradients (None: no bound). `identity_start` lets a network begin near
    the identity (see `nas.training.identity_start.start_near_identity`), which short schedules
    need. A checkpoint is written every `checkpoint_seconds`. `threads` is part of the value because
    the last bits of a training depend on it. `start` names what a training starts from instead of
    first weights: "supernet:KEY" stands for slices of the run's supernet.

    Raises ConfigError on a value out of range.
    """

    steps: int
    batch: int = 16
    patch: int = 256
    learning_rate: float = 2e-4
    warmup_steps: int = 0
    decay: Decay = "exponential"
    decay_rate: float = 0.98
    decay_steps: int = 5000
    clip_norm: float | None = None
    identity_start: bool = False
    checkpoint_seconds: float = 20.0
    threads: int = 1
    start: str | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "patch", "learning_rate", "decay_steps", "threads"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"Schedule.{name}={getattr(self, name)}: expected more than 0")
        if self.decay not in get_args(Decay):
            raise unknown("decay", self.decay, get_args(Decay))

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, the first being 0."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        if self.decay == "exponential":
            return float(self.learning_rate * self.decay_rate ** (step / self.decay_steps))
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings that decide the trained weights, as JSON types, for fingerprints and
        keys.

        How often a checkpoint is written is left out, as it decides nothing.
        """
        values = asdict(self)
        del values["checkpoint_seconds"]
        if self.start is None:  # as before there were others
            del values["start"]
        return values


# The recipe of Chiang et al. 2020, section 4.1: REDS, 256x256 patches, 1M steps on one GPU.
PAPER = Schedule(steps=1_000_000)


def short_schedule(steps: int = 600) -> Schedule:
    """Return the schedule for seconds of training on small patches.

    Of 44 small U-Nets trained so for 600 steps on `photos` none died; without the warm-up, the
    clipped gradients and the gentle start some do.
    """
    return Schedule(
        steps=steps,
        batch=4,
        patch=48,
        learning_rate=3e-3,
        warmup_steps=steps // 6,
        decay="cosine",
        clip_norm=0.1,
        identity_start=True,
    )
