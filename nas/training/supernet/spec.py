"""The specification that decides a supernet's weights, and the folder that holds it.

supernet.json    the specification with its key, and what the training cost
supernet.npz     its weights, whole or not there
checkpoint.npz   where a training stands
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from nas.errors import RunError
from nas.system.files import read_json
from nas.system.hashing import content_key
from nas.training.schedule import Schedule
from nas.training.supernet.elastic import Elastic

FORMAT = 2  # of the weights; a supernet of another format is another supernet
# Files of a supernet's folder.
DESCRIPTION, WEIGHTS, CHECKPOINT = "supernet.json", "supernet.npz", "checkpoint.npz"
FOLDER = "supernet"  # a supernet's folder, inside a run's
# What differs, in words, where an entry of the specification does.
PARTS = {
    "space": "another space",
    "data": "other data",
    "schedule": "another schedule",
    "random": "another number of candidates a step",
    "seed": "another seed",
    "format": "another version of this program",
}


@final
@dataclass(frozen=True)
class SupernetSpec:
    """A supernet's training as a value: the same one gives the same weights.

    `space` and `data` are the JSON of the space and of the data set's identity. Every step trains
    the largest network, the smallest, and `random` drawn ones.
    """

    space: dict[str, Any]
    data: dict[str, Any]
    schedule: Schedule
    seed: int
    random: int = 2

    @property
    def elastic(self) -> Elastic:
        """The choices that the supernet holds."""
        return Elastic.of(self.space)

    @property
    def key(self) -> str:
        """A key that is equal exactly where the weights are."""
        return content_key(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the value as JSON types."""
        return {
            "format": FORMAT,
            "space": self.space,
            "data": self.data,
            "schedule": self.schedule.to_dict(),
            "random": self.random,
            "seed": self.seed,
        }

    def check(self, folder: Path) -> Mapping[str, Any] | None:
        """Return the description of the supernet in `folder`; None where there is none yet.

        Raises RunError where it is another supernet, finished or not.
        """
        path = folder / DESCRIPTION
        if not path.exists():
            return None
        description: dict[str, Any] = read_json(path)
        if description.get("key") != self.key:
            theirs, ours = description.get("spec", {}), self.to_dict()
            differ = [words for name, words in PARTS.items() if theirs.get(name) != ours[name]]
            raise RunError(
                f"the supernet in {folder} was trained for {' and '.join(differ) or 'another key'}"
                f" (key {description.get('key')}, expected {self.key}); give another folder, or "
                "remove it to have it trained again"
            )
        return description


def gentle(schedule: Schedule, steps: int) -> Schedule:
    """Return the schedule of a supernet, from the schedule of a candidate.

    It has `steps` steps, half the rate and a long warm-up. Weights that many candidates share leave
    their start later and are thrown off it sooner. With the candidates' own rate the supernet of
    `quickstart` never left it; a third of the rate did for its largest network as well as half of
    it (+4 dB), and for its smallest less (+1.3, +1.8 dB).
    """
    warmup = steps // 3 if schedule.warmup_steps else 0
    rate = schedule.learning_rate / 2
    return replace(schedule, steps=steps, warmup_steps=warmup, learning_rate=rate)


def start_of(key: str) -> str:
    """Return the value of `Schedule.start` for trainings that start from a slice of
    this supernet.
    """
    return f"supernet:{key}"


def supernet_of(folder: Path) -> Mapping[str, Any]:
    """Return the description of the finished supernet in `folder`; RunError where there is none."""
    if not (folder / WEIGHTS).exists():
        raise RunError(
            f"{folder} holds no finished supernet; train one with `nas supernet train STUDY`"
        )
    description: dict[str, Any] = read_json(folder / DESCRIPTION)
    return description
