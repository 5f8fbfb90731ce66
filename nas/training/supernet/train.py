"""Trains an elastic U-Net by the sandwich rule: resumable, deterministic, never done twice.

Every step trains the largest network, the smallest and some random ones on batches of their own and
takes one step along the mean of their gradients. Source of the rule: Yu and Huang, "Universally
Slimmable Networks and Improved Training Techniques" (ICCV 2019).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, final

import numpy as np
import tensorflow as tf

from nas.data import Pack
from nas.errors import TrainingError
from nas.networks.graph import check_size
from nas.networks.keras import keras
from nas.system.environment import processor, versions
from nas.system.files import held, write_atomically, write_json
from nas.system.host_lock import working
from nas.training.supernet.elastic import HEAD, Choice, Elastic
from nas.training.supernet.first_weights import first_weights
from nas.training.supernet.network import ElasticUNet
from nas.training.supernet.spec import CHECKPOINT, DESCRIPTION, WEIGHTS, SupernetSpec
from nas.training.train import SLICE_SECONDS

Progress = Callable[[int, int, float], None]  # step, steps, mean L1 loss since the last call


def train_supernet(
    spec: SupernetSpec, pack: Pack, folder: Path, progress: Progress = lambda *_: None
) -> Path:
    """Train the supernet, or resume from its checkpoint, or return at once if it was done before.

    Returns the file of the weights. Where another process trains the same, waits for it. Raises
    RunError where the folder holds another supernet, ConfigError where patches don't fit the
    networks, TrainingError if the loss stops being finite.
    """
    check_size(spec.elastic.reduction, spec.schedule.patch, spec.schedule.patch)
    final_weights = folder / WEIGHTS
    with held(folder, wait=True):
        if spec.check(folder) is None:
            _describe(spec, folder, {})
        if not final_weights.exists():
            run = _Training(spec, folder / CHECKPOINT)
            _loop(run, pack, progress)
            arrays = run.network.arrays()
            _describe(spec, folder, {"cpu_seconds": round(run.cpu_seconds, 1)})
            write_atomically(final_weights, lambda file: np.savez(file, **_named(arrays)))
        (folder / CHECKPOINT).unlink(missing_ok=True)
    return final_weights


def _describe(spec: SupernetSpec, folder: Path, cost: dict[str, Any]) -> None:
    conditions = {"processor": processor(), "versions": versions()}
    description = {"key": spec.key, "spec": spec.to_dict(), "cost": cost, "conditions": conditions}
    write_json(folder / DESCRIPTION, description)


def load_supernet(folder: Path, elastic: Elastic) -> ElasticUNet:
    """Return the network of a finished training."""
    with np.load(folder / WEIGHTS) as saved:
        return ElasticUNet(elastic, {name.replace("|", "/"): saved[name] for name in saved.files})


def _named(arrays: dict[str, Any]) -> dict[str, Any]:
    """Return the arrays under names that a zip file's entries may have: without a slash."""
    return {name.replace("/", "|"): array for name, array in arrays.items()}


def rows_of_step(spec: SupernetSpec, step: int) -> list[Choice]:
    """Return the candidates that a step trains.

    Every pair of operations occurs equally often in the long run.
    """
    elastic, count = spec.elastic, 2 + spec.random
    pairs = list(product(range(len(elastic.upsampling)), range(len(elastic.activation))))
    rng = np.random.default_rng((spec.seed, 4, step))
    rows = [elastic.largest(rng), elastic.smallest(rng)]
    rows += [elastic.random(rng) for _ in range(spec.random)]
    for index, row in enumerate(rows):
        epoch, place = divmod(step * count + index, len(pairs))
        order = np.random.default_rng((spec.seed, 5, epoch)).permutation(len(pairs))
        row[:2] = pairs[order[place]]
    return rows


def _loop(run: _Training, pack: Pack, progress: Progress) -> None:
    saved = time.monotonic()
    steps = run.spec.schedule.steps
    while run.step < steps:
        with working():
            losses = run.advance(pack, SLICE_SECONDS)
        loss = float(np.mean(losses))
        if not np.isfinite(loss):
            raise TrainingError(
                f"the supernet's training diverged before step {run.step} of {steps}: the L1 loss "
                f"is {loss}. Lower the learning rate ({run.spec.schedule.learning_rate:g}) or set "
                "clip_norm"
            )
        progress(run.step, steps, loss)
        if time.monotonic() - saved > run.spec.schedule.checkpoint_seconds:
            run.save()
            saved = time.monotonic()


@final
class _Training:
    """A network and its optimizer, at a step of a supernet's training."""

    def __init__(self, spec: SupernetSpec, checkpoint: Path) -> None:
        self.spec = spec
        self.step = 0
        self.cpu_seconds = 0.0
        self._checkpoint = checkpoint
        self.network = ElasticUNet(spec.elastic, first_weights(spec.elastic, spec.seed))
        self._variables = list(self.network.variables.values())
        self._optimizer = keras.optimizers.legacy.Adam(
            learning_rate=tf.Variable(0.0, trainable=False)
        )
        self._optimizer._create_all_weights(self._variables)
        self._sums = [tf.Variable(tf.zeros_like(value)) for value in self._variables]
        self._add = self._adding()
        self._apply = self._applying()
        self._restore()

    def advance(self, pack: Pack, seconds: float) -> list[float]:
        """Take steps for about `seconds`, one at least; return the candidates' losses."""
        schedule, losses = self.spec.schedule, []
        started, end = time.process_time(), time.monotonic() + seconds
        while self.step < schedule.steps:
            rows = rows_of_step(self.spec, self.step)
            for index, row in enumerate(rows):
                draw = self.step * len(rows) + index
                blurred, sharp = pack.batch(draw, schedule.batch, schedule.patch, self.spec.seed)
                losses.append(self._add(row, blurred, sharp))
            self._apply(np.float32(schedule.rate(self.step)), np.float32(1 / len(rows)))
            self.step += 1
            if time.monotonic() > end:
                break
        values = [float(loss) for loss in losses]
        self.cpu_seconds += time.process_time() - started
        return values

    def _adding(self) -> Any:
        """Return a traced function (candidate, blurred, sharp) -> L1 loss that adds to the
        gradients' sums.
        """
        schedule = self.spec.schedule
        pictures = tf.TensorSpec((schedule.batch, schedule.patch, schedule.patch, 3), tf.uint8)
        row = tf.TensorSpec((len(HEAD) + self.spec.elastic.deepest,), tf.int32)

        @tf.function(autograph=False, input_signature=[row, pictures, pictures])  # type: ignore[untyped-decorator]
        def add(choice: Any, blurred: Any, sharp: Any) -> Any:
            inputs = tf.cast(blurred, tf.float32) / 255.0
            targets = tf.cast(sharp, tf.float32) / 255.0
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.abs(self.network(choice, inputs) - targets))
            gradients = tape.gradient(
                loss, self._variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
            for total, gradient in zip(self._sums, gradients, strict=True):
                total.assign_add(gradient)
            return loss

        return add

    def _applying(self) -> Any:
        """Return a traced function (learning rate, share of one candidate) that steps along the
        mean.

        It empties the sums.
        """
        clip = self.spec.schedule.clip_norm

        @tf.function(autograph=False)  # type: ignore[untyped-decorator]
        def apply(rate: Any, share: Any) -> None:
            gradients = [total * share for total in self._sums]
            if clip is not None:
                gradients, _ = tf.clip_by_global_norm(gradients, clip)
            self._optimizer.learning_rate.assign(rate)
            self._optimizer.apply_gradients(zip(gradients, self._variables, strict=True))
            for total in self._sums:
                total.assign(tf.zeros_like(total))

        return apply

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        arrays = {f"v{index}": value.numpy() for index, value in enumerate(self._state())}
        write_atomically(
            self._checkpoint,
            lambda file: np.savez(file, step=self.step, cpu_seconds=self.cpu_seconds, **arrays),
        )

    def _restore(self) -> None:
        if not self._checkpoint.exists():
            return
        with np.load(self._checkpoint) as saved:
            for index, variable in enumerate(self._state()):
                variable.assign(saved[f"v{index}"])
            self.step, self.cpu_seconds = int(saved["step"]), float(saved["cpu_seconds"])

    def _state(self) -> list[tf.Variable]:
        return [*self._variables, *self._optimizer.variables()]
