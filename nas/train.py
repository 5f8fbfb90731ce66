"""Training on a schedule: resumable, deterministic, and never done twice.

A training is a pure function of its key (architecture, data, schedule, seed): batches are drawn by
step number, the weights start from the seed, and a checkpoint holds everything else. So a killed
training goes on as if nothing had been, and whoever asks for the same key again gets the weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from nas.candidate import Architecture
from nas.canonical import content_key
from nas.data import Pack
from nas.errors import TrainingError
from nas.files import held, write_atomically, write_json
from nas.graph import Add, Graph
from nas.model import build_model
from nas.quiethost import working
from nas.schedule import Schedule

FINAL = "final.weights.h5"
CHECKPOINT = "checkpoint.npz"
SLICE_SECONDS = 0.5  # how long a measurement may have to wait for a training to pause

Progress = Callable[[int, int, float], None]  # step, steps, mean L1 loss since the last call


def training_key(
    architecture: Architecture, data: dict[str, Any], schedule: Schedule, seed: int
) -> str:
    """The key of a training: equal exactly where the trained weights are."""
    return content_key(
        {
            "architecture": architecture.to_dict(),
            "data": data,
            "schedule": schedule.to_dict(),
            "seed": seed,
        }
    )


def untrained(graph: Graph, schedule: Schedule, seed: int) -> keras.Model:
    """The network as the training of `seed` starts from."""
    model = build_model(graph, seed)
    output = model.get_layer(_output_convolution(graph))
    kernel, *rest = output.get_weights()
    output.set_weights([kernel * schedule.output_gain, *rest])
    return model


def trained(graph: Graph, weights: Path) -> keras.Model:
    """The network with the weights of a finished training."""
    model = build_model(graph)
    model.load_weights(weights)
    return model


def train(
    graph: Graph, pack: Pack, schedule: Schedule, seed: int, folder: Path, progress: Progress
) -> Path:
    """Train, or go on from the checkpoint in `folder`, or return at once if it was done before.

    Returns the file of the final weights. Where another process trains the same, waits for it.
    Raises TrainingError if the loss stops being finite.
    """
    final = folder / FINAL
    with held(folder, wait=True):
        if not final.exists():
            run = _Training.start(graph, schedule, seed, folder / CHECKPOINT)
            _loop(run, pack, schedule, seed, progress)
            run.use_average()
            _save_weights(run.model, final)
            (folder / CHECKPOINT).unlink(missing_ok=True)
    return final


def _loop(run: _Training, pack: Pack, schedule: Schedule, seed: int, progress: Progress) -> None:
    saved = time.monotonic()
    while run.step < schedule.steps:
        with working():
            losses = run.advance(pack, seed, SLICE_SECONDS)
        loss = float(np.mean(losses))
        if not np.isfinite(loss):
            raise TrainingError(
                f"the training diverged before step {run.step} of {schedule.steps}: the L1 loss is "
                f"{loss}. Lower the learning rate ({schedule.learning_rate:g}) or set clip_norm"
            )
        progress(run.step, schedule.steps, loss)
        if time.monotonic() - saved > schedule.checkpoint_seconds:
            run.save()
            saved = time.monotonic()


@dataclass
class _Training:
    """A model, its optimizer and where they stand."""

    model: keras.Model
    optimizer: Any
    average: list[tf.Variable]
    apply: Any
    schedule: Schedule
    checkpoint: Path
    step: int = 0

    @classmethod
    def start(cls, graph: Graph, schedule: Schedule, seed: int, checkpoint: Path) -> _Training:
        model = untrained(graph, schedule, seed)
        # The legacy class updates each variable by one fused operation.
        optimizer = keras.optimizers.legacy.Adam(learning_rate=tf.Variable(0.0, trainable=False))
        optimizer._create_all_weights(model.trainable_variables)
        average = (
            [tf.Variable(variable, trainable=False) for variable in model.trainable_variables]
            if schedule.ema is not None
            else []
        )
        apply = _step_function(model, optimizer, average, schedule)
        run = cls(model, optimizer, average, apply, schedule, checkpoint)
        run._restore()
        return run

    def advance(self, pack: Pack, seed: int, seconds: float) -> list[float]:
        """Take steps for about `seconds`, at least one; returns their losses."""
        losses = []
        end = time.monotonic() + seconds
        while self.step < self.schedule.steps:
            rate = self.schedule.rate(self.step)
            blurred, sharp = pack.batch(self.step, self.schedule.batch, self.schedule.patch, seed)
            losses.append(self.apply(blurred, sharp, np.float32(rate), np.float32(self.step)))
            self.step += 1
            if time.monotonic() > end:
                break
        return [float(loss) for loss in losses]

    def use_average(self) -> None:
        """Put the moving average, where there is one, in the place of the last weights."""
        for variable, average in zip(self.model.trainable_variables, self.average, strict=False):
            variable.assign(average)

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        arrays = {f"v{index}": value.numpy() for index, value in enumerate(self._state())}
        write_atomically(self.checkpoint, lambda file: np.savez(file, step=self.step, **arrays))

    def _restore(self) -> None:
        if not self.checkpoint.exists():
            return
        with np.load(self.checkpoint) as saved:
            for index, variable in enumerate(self._state()):
                variable.assign(saved[f"v{index}"])
            self.step = int(saved["step"])

    def _state(self) -> list[tf.Variable]:
        return [*self.model.trainable_variables, *self.optimizer.variables(), *self.average]


def _step_function(
    model: keras.Model, optimizer: Any, average: list[tf.Variable], schedule: Schedule
) -> Any:
    variables = model.trainable_variables

    @tf.function  # type: ignore[untyped-decorator]
    def apply(blurred: Any, sharp: Any, rate: Any, step: Any) -> Any:
        inputs = tf.cast(blurred, tf.float32) / 255.0
        targets = tf.cast(sharp, tf.float32) / 255.0
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.abs(model(inputs, training=True) - targets))
        gradients = tape.gradient(loss, variables)
        if schedule.clip_norm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, schedule.clip_norm)
        optimizer.learning_rate.assign(rate)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        if schedule.ema is not None:
            # A young average follows closely, so that it never holds on to the first weights.
            momentum = tf.minimum(schedule.ema, (1.0 + step) / (10.0 + step))
            for mean, variable in zip(average, variables, strict=True):
                mean.assign_sub((1.0 - momentum) * (mean - variable))
        return loss

    return apply


def _save_weights(model: keras.Model, path: Path) -> None:
    part = path.with_name("part.weights.h5")
    model.save_weights(part)
    write_atomically(path, lambda file: file.write(part.read_bytes()))
    part.unlink()
    write_json(path.with_name("weights.json"), {"trained": time.strftime("%Y-%m-%dT%H:%M:%S")})


def _output_convolution(graph: Graph) -> str:
    last = graph.layers[-1]
    return last.inputs[0] if isinstance(last, Add) else last.name
