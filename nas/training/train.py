"""Trains a network on a schedule: resumable, deterministic, and never done twice.

A training is a pure function of its key (architecture, data, schedule, seed): batches are drawn by
step number, the weights start from the seed, and a checkpoint holds everything else. So a killed
training resumes as if nothing had happened, and whoever asks for the same key again gets the
weights at once.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from nas.data import Pack
from nas.errors import TrainingError, one_line
from nas.networks.branches import shipped, shipped_weights
from nas.networks.candidate import Architecture
from nas.networks.graph import Graph, check_size
from nas.networks.keras import keras
from nas.networks.keras_model import build_model, with_weights
from nas.system.files import cannot_write, held, read_json, write_atomically, write_json
from nas.system.hashing import content_key
from nas.system.host_lock import working
from nas.training.identity_start import start_near_identity
from nas.training.schedule import Schedule
from nas.training.weight_average import Average, averaging
from nas.training.workshop import Workshop

FINAL = "final.weights.h5"  # the weights of a finished training
CHECKPOINT = "checkpoint.npz"  # where a training stands that is not finished
READINGS = "readings.json"  # the figures of a judge, by the step at which it was asked
SLICE_SECONDS = 0.5  # how long a measurement may have to wait for a training to pause

# The model that this process trained last, by the file of its weights, until somebody takes it:
# building it anew and reading the file take 0.15 s of a trial.
_last: dict[Path, keras.Model] = {}

Judge = Callable[[keras.Model], dict[str, float]]
"""A judge returns figures of a model by their metrics' names."""


def training_key(
    architecture: Architecture, data: dict[str, Any], schedule: Schedule, seed: int
) -> str:
    """Return the key of a training, which is equal exactly where the trained weights are.

    `data` is the data set's identity as JSON types.
    """
    return content_key(
        {
            "architecture": architecture.to_dict(),
            "data": data,
            "schedule": schedule.to_dict(),
            "seed": seed,
        }
    )


def untrained(graph: Graph, schedule: Schedule, seed: int) -> keras.Model:
    """Return the network with the first weights from which the training of `seed` starts."""
    model = build_model(graph, seed)
    if schedule.identity_start:
        start_near_identity(graph, model)
    return model


def trained(graph: Graph, weights: Path) -> keras.Model:
    """Return the network with the weights of a finished training; the caller may change it."""
    if weights in _last:
        return _last.pop(weights)
    model = build_model(graph)
    model.load_weights(weights)
    return model


def train(graph: Graph, workshop: Workshop, key: str) -> Path:
    """Train a network, or resume from its checkpoint, or return at once if it was done before.

    Everything is stored in the folder `key` of the workshop's; `key` has to be the training's own
    (see `training_key`). Returns the file of the final weights. Where another process trains under
    the same key, waits for it. Where the network has branches, the final weights are those of
    `nas.networks.branches.shipped(graph)`. Raises ConfigError where patches don't fit the network,
    TrainingError if the loss stops being finite.
    """
    _check_patch(graph, workshop.schedule)
    narrow = shipped(graph)

    def ship(model: keras.Model) -> keras.Model:
        return model if narrow == graph else with_weights(narrow, shipped_weights(model))

    return train_model(lambda: _start(graph, workshop), workshop, key, "training", ship)


def train_model(
    build: Callable[[], keras.Model],
    workshop: Workshop,
    key: str,
    stage: str,
    ship: Callable[[keras.Model], keras.Model] = lambda model: model,
) -> Path:
    """Train the model that `build` returns as `train` trains a network; `stage` names the work.

    `build` is called only where something is left to train, and has to return the same first
    weights each time. `ship` makes the model whose weights are kept in the end. Raises
    TrainingError if the loss stops being finite.
    """
    folder = workshop.folder / key
    final = folder / FINAL
    with held(folder, wait=True):
        if not final.exists():
            run = TrainingRun.start(build(), workshop.schedule, folder / CHECKPOINT)
            _loop(run, workshop, stage)
            model = ship(run.model)
            _save_weights(model, final)
            (folder / CHECKPOINT).unlink(missing_ok=True)
            _last.clear()
            _last[final] = model
    return final


def train_until(
    graph: Graph, workshop: Workshop, key: str, stop: int, judge: Judge
) -> dict[str, float]:
    """Train a network up to step `stop` as `train` does, and return what `judge` says of it there.

    `judge` sees the mean of the weights over the steps before `stop` (see `Average`). The training
    itself resumes from the plain weights: the checkpoint stays, and whoever asks for more steps, or
    for all, ends with the weights of an unbroken training. The figures are stored, too: `judge` is
    asked once for each `stop`. Raises as `train`.
    """
    _check_patch(graph, workshop.schedule)
    folder, schedule = workshop.folder / key, workshop.schedule
    path, checkpoint = folder / READINGS, folder / CHECKPOINT
    with held(folder, wait=True):
        readings: dict[str, dict[str, float]] = read_json(path) if path.exists() else {}
        if str(stop) not in readings:
            run = TrainingRun.start(_start(graph, workshop), schedule, checkpoint, stop)
            if run.step > stop:  # it went past without a reading: another study's training
                checkpoint.unlink()
                run = TrainingRun.start(_start(graph, workshop), schedule, checkpoint, stop)
            _loop(run, workshop, "training", stop)
            run.save()
            run.average.put_into(run.model)
            with working():
                readings[str(stop)] = judge(run.model)
            write_json(path, readings)
        return readings[str(stop)]


def _check_patch(graph: Graph, schedule: Schedule) -> None:
    check_size(graph.reduction, schedule.patch, schedule.patch, graph.smallest)


def _start(graph: Graph, workshop: Workshop) -> keras.Model:
    return untrained(graph, workshop.schedule, workshop.seed)


def _loop(run: TrainingRun, workshop: Workshop, stage: str, until: int | None = None) -> None:
    """Take steps in slices up to step `until`, or to the schedule's end, saving now and then."""
    schedule = workshop.schedule
    saved = time.monotonic()
    end = schedule.steps if until is None else until
    while run.step < end:
        with working():
            losses = run.advance(workshop.pack, workshop.seed, SLICE_SECONDS, end)
        loss = float(np.mean(losses))
        if not np.isfinite(loss):
            raise TrainingError(
                f"the training diverged before step {run.step} of {schedule.steps}: the L1 loss is "
                f"{loss}. Lower the learning rate ({schedule.learning_rate:g}) or set clip_norm"
            )
        workshop.progress(stage, run.step, schedule.steps, loss)
        if time.monotonic() - saved > schedule.checkpoint_seconds:
            run.save()
            saved = time.monotonic()


@dataclass
class TrainingRun:
    """A model and its optimizer, at a step of a schedule."""

    model: keras.Model
    optimizer: Any
    apply: Any
    schedule: Schedule
    checkpoint: Path
    average: Average
    step: int = 0

    @classmethod
    def start(
        cls, model: keras.Model, schedule: Schedule, checkpoint: Path, stop: int = 0
    ) -> TrainingRun:
        """Return a training at its checkpoint, or at its start where there is none.

        Weights are averaged for a reading at step `stop`; 0 stands for no reading.
        """
        # The legacy class updates each variable by one fused operation.
        optimizer = keras.optimizers.legacy.Adam(learning_rate=tf.Variable(0.0, trainable=False))
        optimizer._create_all_weights(model.trainable_variables)
        apply = step_function(model, optimizer, schedule)
        run = cls(model, optimizer, apply, schedule, checkpoint, averaging(schedule, stop))
        run._restore()
        return run

    def advance(
        self, pack: Pack, seed: int, seconds: float, until: int | None = None
    ) -> list[float]:
        """Take steps for about `seconds`, one at least, up to step `until`; return their losses."""
        losses = []
        end = time.monotonic() + seconds
        while self.step < min(self.schedule.steps, until or self.schedule.steps):
            rate = self.schedule.rate(self.step)
            blurred, sharp = pack.batch(self.step, self.schedule.batch, self.schedule.patch, seed)
            losses.append(self.apply(blurred, sharp, np.float32(rate)))
            self.step += 1
            self.average.after(self.step, self.model)
            if time.monotonic() > end:
                break
        return [float(loss) for loss in losses]

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        arrays = {f"v{index}": value.numpy() for index, value in enumerate(self._state())}
        if self.average.count:
            arrays |= {f"sum{index}": total for index, total in enumerate(self.average.sums)}
            arrays["averaged"] = np.array([self.average.stop, self.average.count])
        write_atomically(self.checkpoint, lambda file: np.savez(file, step=self.step, **arrays))

    def _restore(self) -> None:
        if not self.checkpoint.exists():
            return
        with np.load(self.checkpoint) as saved:
            for index, variable in enumerate(self._state()):
                variable.assign(saved[f"v{index}"])
            self.step = int(saved["step"])
            stop, count = saved.get("averaged", (0, 0))
            if stop == self.average.stop and count:
                self.average.count = int(count)
                sums = [saved[f"sum{index}"] for index in range(len(self.model.variables))]
                self.average.sums = sums

    def _state(self) -> list[tf.Variable]:
        return [*self.model.variables, *self.optimizer.variables()]


def step_function(model: keras.Model, optimizer: Any, schedule: Schedule) -> Any:
    """Return one training step as a traced function: (blurred, sharp, learning rate) -> L1 loss."""
    variables = model.trainable_variables

    @tf.function  # type: ignore[untyped-decorator]
    def apply(blurred: Any, sharp: Any, rate: Any) -> Any:
        inputs = tf.cast(blurred, tf.float32) / 255.0
        targets = tf.cast(sharp, tf.float32) / 255.0
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.abs(model(inputs, training=True) - targets))
        gradients = tape.gradient(loss, variables)
        if schedule.clip_norm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, schedule.clip_norm)
        optimizer.learning_rate.assign(rate)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    return apply


def _save_weights(model: keras.Model, path: Path) -> None:
    part = path.with_name("part.weights.h5")
    try:
        model.save_weights(part)
        write_atomically(path, lambda file: file.write(part.read_bytes()))
        part.unlink()
    except (OSError, RuntimeError) as error:  # HDF5 raises either, and names a full disk in words
        full = "No space left" in str(error) or "errno = 28" in str(error)
        cause = OSError(errno.ENOSPC, "full") if full else OSError(one_line(error))
        raise cannot_write(path, cause) from error
