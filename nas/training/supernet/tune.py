"""A candidate trained on from its slice of a supernet's weights. Imports TensorFlow."""

from __future__ import annotations

from pathlib import Path

from nas.data import Pack
from nas.errors import RunError
from nas.networks.candidate import Architecture
from nas.networks.keras import keras
from nas.networks.keras_model import with_weights
from nas.training.schedule import Schedule
from nas.training.supernet.elastic import Elastic
from nas.training.supernet.spec import FOLDER, WEIGHTS, start_of, supernet_of
from nas.training.supernet.train import load_supernet
from nas.training.train import Progress, train_model


def train_slice(
    architecture: Architecture,
    weights: Path,
    pack: Pack,
    schedule: Schedule,
    seed: int,
    folder: Path,
    progress: Progress,
) -> Path:
    """As `nas.training.train.train`, from the weights that the run's supernet has for it.

    `weights` is a folder of the run, or of its replicates, beside or below which the supernet lies.
    Raises RunError where that is not the supernet which `schedule.start` names, ConfigError where
    it does not hold the network, TrainingError if the loss stops being finite.
    """
    places = [folder / FOLDER for folder in (weights.parent, weights.parent.parent)]
    supernet = next((place for place in places if (place / WEIGHTS).exists()), places[0])
    known = supernet_of(supernet)
    if start_of(str(known["key"])) != schedule.start:
        raise RunError(
            f"the schedule starts from {schedule.start}, but {supernet} holds supernet "
            f"{known['key']}"
        )
    elastic = Elastic.of(known["spec"]["space"])
    choice = elastic.encode(architecture.to_dict())

    def build() -> keras.Model:
        return with_weights(architecture.graph(), load_supernet(supernet, elastic).sliced(choice))

    return train_model(build, pack, schedule, seed, folder, progress)
