"""Makes a trained network as small as its compression asks: pruned, fine-tuned, quantized.

Each step starts from the weights of the step before, by key, and is never done twice: candidates
that share a training share its weights, all precisions share a pruning, and a deeper pruning
continues a shallower one. Imports TensorFlow inside functions only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nas.compression.channels import group_channels
from nas.compression.pruned_network import PrunedNetwork
from nas.compression.pruning import Pruning, uniform_kept
from nas.networks.candidate import Architecture, Compression, Precision, training_graph
from nas.system.hashing import content_key
from nas.training.workshop import Workshop

if TYPE_CHECKING:
    from nas.compression.finetuning import Trained


def expected_architecture(
    architecture: Architecture, share: float, settings: Pruning | None = None
) -> Architecture:
    """Return the network that a pruning may end with: an estimate, every layer narrowed alike.

    It serves for costs and latencies before any training. `settings` None stands for the default
    ones. Raises ConfigError where the share can't be reached or the network has a layer that
    pruning does not know.
    """
    if share == 0:
        return architecture
    groups = group_channels(architecture.graph())
    kept = uniform_kept(groups, share, settings or Pruning())
    return PrunedNetwork.of(architecture, groups.channels(kept))


def float_training(
    architecture: Architecture, identity: dict[str, Any], workshop: Workshop
) -> Trained:
    """Train the whole network in float32, or return its weights if it was trained before.

    `identity` is that of the data set. If `workshop.schedule.start` names a supernet, training
    starts from the network's slice of it. Raises as `nas.training.train.train`, or with a supernet
    as `nas.training.supernet.tune.train_slice`.
    """
    from nas.compression.finetuning import Trained
    from nas.training.train import train, training_key

    key = training_key(architecture, identity, workshop.schedule, workshop.seed)
    if workshop.schedule.start is None:
        weights = train(training_graph(architecture), workshop, key)
    else:
        from nas.training.supernet.tune import train_slice

        weights = train_slice(architecture, workshop, key)
    return Trained(architecture, weights, key)


def float_reading(
    architecture: Architecture,
    identity: dict[str, Any],
    workshop: Workshop,
    stop: int,
    judge: Callable[[Any], dict[str, float]],
) -> dict[str, float]:
    """Train the whole network up to step `stop` and return what `judge` says of it there.

    `identity` is that of the data set. Raises as `nas.training.train.train_until`.
    """
    from nas.training.train import train_until, training_key

    key = training_key(architecture, identity, workshop.schedule, workshop.seed)
    return train_until(training_graph(architecture), workshop, key, stop, judge)


def compressed(
    source: Trained, compression: Compression, workshop: Workshop, pruning: Pruning | None = None
) -> Trained:
    """Prune a trained network and train the ranges of its integers, as `compression` asks.

    The result is what `nas.compression.convert.convert_trained` makes the file from. `pruning` says
    how channels are removed (None: the default settings). Raises ConfigError as
    `nas.compression.pruning.check_share`, TrainingError where a fine-tuning diverges.
    """
    from nas.compression.finetuning import prune_trained

    narrow = source
    if compression.pruned_share:
        settings = pruning or Pruning()
        narrow = prune_trained(source, compression.pruned_share, settings, workshop)
    return _quantized(narrow, compression.precision, workshop)


def _quantized(source: Trained, precision: Precision, workshop: Workshop) -> Trained:
    if precision != "int8-qat":  # the others are made of the float weights
        return source
    from nas.compression.finetuning import Trained
    from nas.compression.qat import QAT_FRAMES, QAT_RATE, QAT_STEPS, train_quantized

    key = content_key({"source": source.key, "qat": [QAT_STEPS, QAT_RATE, QAT_FRAMES]})
    weights = train_quantized(source.architecture.graph(), source.weights, workshop, key)
    return Trained(source.architecture, weights, key)
