"""Trains a network with fake quantization, for integers of 8 bits. Imports TensorFlow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nas.compression.calibration import mosaic
from nas.compression.quantization import fake_quantized
from nas.networks.graph import Graph
from nas.networks.keras_model import folded_model
from nas.training.schedule import Schedule
from nas.training.train import train_model, trained
from nas.training.workshop import Workshop

QAT_STEPS = 0.25  # as a share of the float training's steps
QAT_RATE = 0.1  # as a share of the float training's learning rate
QAT_FRAMES = 8  # mosaics of training patches that set the first ranges of the activations


def train_quantized(graph: Graph, weights: Path, workshop: Workshop, key: str) -> Path:
    """Train a network on with fake quantization, from the file of its finished float weights.

    Takes `QAT_STEPS` of the steps of the workshop's schedule, at `QAT_RATE` of its learning rate.
    Returns the file of the new weights, in the folder `key` of the workshop's. Like
    `nas.training.train.train` resumable and never done twice; raises as that.
    """
    side = min(workshop.pack.side, workshop.schedule.patch) // graph.reduction * graph.reduction
    frames = [mosaic(workshop.pack, side, side, index) for index in range(QAT_FRAMES)]
    return train_model(
        lambda: fake_quantized(folded_model(graph, trained(graph, weights)), frames),
        workshop.under(quantizing_schedule(workshop.schedule)),
        key,
        "quantizing",
    )


def quantizing_schedule(schedule: Schedule) -> Schedule:
    """Return the schedule of `train_quantized` after a float training of `schedule`."""
    steps = max(1, round(schedule.steps * QAT_STEPS))
    return replace(
        schedule,
        steps=steps,
        learning_rate=schedule.learning_rate * QAT_RATE,
        warmup_steps=steps // 10,
        decay="cosine",
        identity_start=False,
    )
