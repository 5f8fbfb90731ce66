"""Trains a candidate from its slice of a supernet's weights. Imports TensorFlow."""

from __future__ import annotations

from pathlib import Path

from nas.errors import RunError
from nas.networks.candidate import Architecture
from nas.networks.keras import keras
from nas.networks.keras_model import with_weights
from nas.training.supernet.elastic import Elastic
from nas.training.supernet.spec import FOLDER, WEIGHTS, start_of, supernet_of
from nas.training.supernet.train import load_supernet
from nas.training.train import train_model
from nas.training.workshop import Workshop


def train_slice(architecture: Architecture, workshop: Workshop, key: str) -> Path:
    """Train a candidate as `nas.training.train.train` does, from its slice of the run's supernet.

    The supernet is looked for in the folder `supernet` beside the workshop's folder, and beside the
    folder above it, as the weights of a run's replicates lie one folder deeper. Raises RunError
    where that is not the supernet which the schedule's `start` names, ConfigError where the
    supernet does not hold the network, TrainingError if the loss stops being finite.
    """
    supernet = _supernet_folder(workshop.folder)
    description = supernet_of(supernet)
    if start_of(str(description["key"])) != workshop.schedule.start:
        raise RunError(
            f"the schedule starts from {workshop.schedule.start}, but {supernet} holds supernet "
            f"{description['key']}"
        )
    elastic = Elastic.of(description["spec"]["space"])
    choice = elastic.encode(architecture.to_dict())

    def build() -> keras.Model:
        return with_weights(architecture.graph(), load_supernet(supernet, elastic).sliced(choice))

    return train_model(build, workshop, key, "training")


def _supernet_folder(weights: Path) -> Path:
    places = [folder / FOLDER for folder in (weights.parent, weights.parent.parent)]
    return next((place for place in places if (place / WEIGHTS).exists()), places[0])
