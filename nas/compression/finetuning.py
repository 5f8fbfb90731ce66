"""Prunes a trained network on its data: masks, a check set, fine-tuning. Imports TensorFlow.

While it is pruned the network keeps its size and has its removed filters at 0, which computes the
same as without them: one model is built and traced, whatever the number of rounds. At the end it is
made narrow, an architecture of its own, and trained once more.

Like a training, a pruning is a pure function of its key and is never done twice. The way to a deep
target passes through the shallower ones (`nas.compression.pruning.ladder`); the network at each
stop is stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from nas.compression.channels import (
    Bools,
    Groups,
    group_channels,
    masks,
    narrowed,
    narrowed_weights,
)
from nas.compression.pruned_network import PrunedNetwork, pruned_share
from nas.compression.pruning import (
    Pruning,
    PruningState,
    check_share,
    ladder,
    prune_to,
    uniform_kept,
)
from nas.errors import TrainingError
from nas.networks.candidate import Architecture
from nas.networks.graph import Weights
from nas.networks.keras import keras
from nas.networks.keras_model import build_model, with_weights
from nas.system.files import held, write_atomically, write_json
from nas.system.hashing import content_key
from nas.system.host_lock import working
from nas.training.schedule import Schedule
from nas.training.train import step_function, train_model, trained
from nas.training.workshop import Progress, Workshop

CHECK_PATCHES = 16  # training patches on which a removal's cost in quality is read
STOP = "stop.npz"  # where a pruning stands at one share of the ladder
ARCHITECTURE = "architecture.json"  # the narrow network, beside its weights


@dataclass(frozen=True)
class Trained:
    """A finished training.

    `architecture` is the trained network, `weights` the file of its weights, and `key` names the
    training: everything that decided the weights.
    """

    architecture: Architecture
    weights: Path
    key: str


def prune_trained(source: Trained, share: float, settings: Pruning, workshop: Workshop) -> Trained:
    """Prune a trained network by `share` of its MACs and fine-tune it, never twice.

    Everything is stored in the workshop's folder, by key; the workshop's schedule is that of the
    float training. Raises ConfigError where the share can't be reached or a layer is unknown,
    TrainingError where the fine-tuning diverges.
    """
    groups = group_channels(source.architecture.graph())
    check_share(groups, share, settings)
    select = _uniform if settings.method == "uniform-l1" else _adaptive
    kept, whole = select(source, groups, share, settings, workshop)
    architecture = PrunedNetwork.of(source.architecture, groups.channels(kept))
    key = pruned_key(source.key, share, settings)
    weights = narrowed_weights(groups, kept, whole)

    def narrow() -> keras.Model:
        return with_weights(architecture.graph(), weights)

    tuning = workshop.under(tuning_schedule(workshop.schedule, settings, share))
    path = train_model(narrow, tuning, key, "tuning")
    write_json(path.with_name(ARCHITECTURE), architecture.to_dict())
    return Trained(architecture, path, key)


def pruned_key(source: str, share: float, settings: Pruning) -> str:
    """Return the key of a pruned and fine-tuned network; `source` is the float training's key."""
    return content_key({"source": source, "pruned_share": share, "pruning": settings.to_dict()})


def tuning_schedule(schedule: Schedule, settings: Pruning, share: float) -> Schedule:
    """Return the schedule of the fine-tuning after a pruning by `share` of the MACs.

    `schedule` is that of the float training. Under "uniform-l1" the fine-tuning also takes the
    steps that "adaptive" takes between its rounds.
    """
    part = settings.final_steps
    if settings.method == "uniform-l1":
        part += settings.round_steps * share / settings.round_share
    steps = max(1, round(schedule.steps * part))
    return replace(
        schedule,
        steps=steps,
        learning_rate=schedule.learning_rate * settings.rate,
        warmup_steps=steps // 10,
        decay="cosine",
        identity_start=False,
    )


def _uniform(
    source: Trained, groups: Groups, share: float, settings: Pruning, _: Workshop
) -> tuple[Bools, Weights]:
    """Choose the groups to keep by the norms of their weights, the same share of every layer."""
    weights = _weights(trained(groups.graph, source.weights), groups)
    return uniform_kept(groups, share, settings, weights), weights


def _adaptive(
    source: Trained, groups: Groups, share: float, settings: Pruning, workshop: Workshop
) -> tuple[Bools, Weights]:
    """Prune to each share of `ladder(share)` in turn, loading the stops that an earlier run saved.

    Returns which groups of channels remain, and the weights of the whole network by layer.
    """
    network: MaskedNetwork | None = None
    state = PruningState.start(groups)
    weights: Weights | None = None
    for goal in ladder(share):
        home = workshop.folder / content_key({"stop": pruned_key(source.key, goal, settings)})
        with held(home, wait=True):
            if not (home / STOP).exists():
                if network is None:
                    network = MaskedNetwork(groups, workshop, settings)
                network.progress = _percent(workshop.progress, goal)
                first = weights or _weights(trained(groups.graph, source.weights), groups)
                network.start(first, state.kept)
                state = prune_to(network, groups, state, goal, settings)
                _save(home / STOP, state, network.masked(state.kept))
        state, weights = _load(home / STOP, groups)
    if weights is None:
        raise ValueError("a ladder has one stop at least")
    return state.kept, weights


def _percent(progress: Progress, goal: float) -> Callable[[float, float], None]:
    def report(share: float, loss: float) -> None:
        progress(f"pruning to {goal:.0%}", round(100 * share), round(100 * goal), loss)

    return report


def _save(path: Path, state: PruningState, weights: Weights) -> None:
    arrays: dict[str, Any] = {
        f"{name}/{index}": array for name, row in weights.items() for index, array in enumerate(row)
    }
    how = json.dumps({name: len(row) for name, row in weights.items()})
    write_atomically(
        path,
        lambda file: np.savez(file, kept=state.kept, caution=state.caution, layers=how, **arrays),
    )


def _load(path: Path, groups: Groups) -> tuple[PruningState, Weights]:
    with np.load(path) as saved:
        state = PruningState(saved["kept"], saved["caution"])
        layers = json.loads(str(saved["layers"]))
        weights = {
            name: [saved[f"{name}/{index}"] for index in range(count)]
            for name, count in layers.items()
        }
    return state, weights


def _weights(model: keras.Model, groups: Groups) -> dict[str, list[Any]]:
    names = masks(groups, groups.all_kept())
    return {name: model.get_layer(name).get_weights() for name in names}


class MaskedNetwork:
    """A whole network whose removed filters are held at 0: a `nas.compression.pruning.Prunable`.

    `progress` hears, after each round, of the share of MACs that is gone and of the mean L1 loss.
    `step` is the number of training steps taken since the whole network.
    """

    def __init__(self, groups: Groups, workshop: Workshop, settings: Pruning) -> None:
        pack, schedule = workshop.pack, workshop.schedule
        self.progress: Callable[[float, float], None] = lambda share, loss: None
        self._groups = groups
        self._pack = pack
        self._seed = workshop.seed
        self._schedule = schedule
        self._rate = np.float32(schedule.learning_rate * settings.rate)
        self._steps = schedule.steps * settings.round_steps / settings.round_share
        self.step = 0
        self._model = build_model(groups.graph)
        self._judged = build_model(groups.graph)
        self._optimizer = keras.optimizers.legacy.Adam(tf.Variable(0.0, trainable=False))
        self._optimizer._create_all_weights(self._model.trainable_variables)
        self._apply = step_function(self._model, self._optimizer, schedule)
        # Training patches, not the held-out pictures: nothing is decided on those.
        side = min(pack.side, schedule.patch)
        blurred, sharp = pack.batch(0, CHECK_PATCHES, side, workshop.seed + 1)
        self._blurred = blurred.astype(np.float32) / np.float32(255)
        self._sharp = sharp.astype(np.float32) / np.float32(255)
        self._predict = tf.function(lambda x: self._judged(x, training=False))

    def start(self, weights: Weights, kept: Bools) -> None:
        """Reset to `weights` with a fresh optimizer, so that a resumed pruning depends on no more.

        `kept` says which groups of channels remain in them.
        """
        self.step = round(self._steps * self._share(kept))
        for name, arrays in weights.items():
            self._model.get_layer(name).set_weights(list(arrays))
        for variable in self._optimizer.variables():
            variable.assign(tf.zeros_like(variable))

    def weights(self) -> Weights:
        """Return the weights of the whole network, by layer."""
        return _weights(self._model, self._groups)

    def masked(self, kept: Bools) -> dict[str, list[Any]]:
        """Return the weights by layer, those of removed filters set to 0."""
        rows = masks(self._groups, kept)
        return {
            name: [array * mask for array, mask in zip(arrays, rows[name], strict=True)]
            for name, arrays in self.weights().items()
        }

    def psnr_db(self, kept: Bools) -> float:
        """Return the mean PSNR over the check set's patches, 1 as the peak.

        Raises TrainingError where an output is not finite.
        """
        with working():
            for name, arrays in self.masked(kept).items():
                self._judged.get_layer(name).set_weights(arrays)
            output = np.clip(self._predict(self._blurred).numpy(), 0, 1)
        errors = np.square(output.astype(np.float64) - self._sharp).mean(axis=(1, 2, 3))
        if not np.isfinite(errors).all():
            raise TrainingError("the pruned network's output is not finite: its training diverged")
        return float(np.mean(-10 * np.log10(np.maximum(errors, 1e-12))))

    def train(self, kept: Bools) -> None:
        """Train on with the removed filters held at 0, in proportion to the MACs that are gone.

        Raises TrainingError where the loss stops being finite.
        """
        held_at_0 = self._mask(kept)
        share, losses = self._share(kept), []
        first, self.step = self.step, round(self._steps * share)
        batch, patch = self._schedule.batch, self._schedule.patch
        for step in range(first, self.step):
            with working():
                blurred, sharp = self._pack.batch(step, batch, patch, self._seed + 2)
                losses.append(float(self._apply(blurred, sharp, self._rate)))
                for variable, mask in held_at_0:
                    variable.assign(variable * mask)
        loss = float(np.mean(losses)) if losses else 0.0
        if not np.isfinite(loss):
            raise TrainingError(
                f"the fine-tuning diverged when {share:.0%} of the MACs were gone: the L1 loss is "
                f"{loss}. Lower the learning rate or set clip_norm"
            )
        self.progress(share, loss)

    def _mask(self, kept: Bools) -> list[tuple[Any, Any]]:
        """Set the removed filters to 0; return each variable with the mask that multiplies it."""
        pairs = [
            (variable, tf.constant(mask))
            for name, arrays in masks(self._groups, kept).items()
            for variable, mask in zip(self._model.get_layer(name).weights, arrays, strict=True)
        ]
        for variable, mask in pairs:
            variable.assign(variable * mask)
        return pairs

    def _share(self, kept: Bools) -> float:
        return pruned_share(self._groups.graph, narrowed(self._groups, kept))
