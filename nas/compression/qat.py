"""Quantization-aware training: a network learns with rounded values. Imports TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nas.compression.calibration import mosaic
from nas.compression.quantization import fake_quantized
from nas.data import Pack
from nas.networks.graph import Graph
from nas.networks.keras_model import folded_model
from nas.training.schedule import Schedule

QAT_STEPS, QAT_RATE, QAT_FRAMES = 0.25, 0.1, 8  # shares of the float schedule; patches for ranges


def train_quantized(
    graph: Graph,
    weights: Path,
    pack: Pack,
    schedule: Schedule,
    seed: int,
    folder: Path,
    progress: Callable[[int, int, float], None],
) -> Path:
    """Quantization-aware training from finished float weights; returns the file of its weights.

    `schedule` is that of the float training, of which this takes `QAT_STEPS` steps at `QAT_RATE` of
    its learning rate. Resumable, and never done twice, like `nas.training.train.train`; raises as
    that.
    """
    from nas.training.train import train_model, trained

    side = min(pack.side, schedule.patch) // graph.reduction * graph.reduction
    frames = [mosaic(pack, side, side, index) for index in range(QAT_FRAMES)]
    return train_model(
        lambda: fake_quantized(folded_model(graph, trained(graph, weights)), frames),
        pack,
        quantizing_schedule(schedule),
        seed,
        folder,
        progress,
    )


def quantizing_schedule(schedule: Schedule) -> Schedule:
    """What follows a float training of `schedule` in `train_quantized`."""
    steps = max(1, round(schedule.steps * QAT_STEPS))
    return replace(
        schedule,
        steps=steps,
        learning_rate=schedule.learning_rate * QAT_RATE,
        warmup_steps=steps // 10,
        decay="cosine",
        identity_start=False,
    )
