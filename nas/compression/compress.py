"""From a trained network to what its compression asks for: pruned, fine-tuned, quantized.

Each step starts from what the step before left, by key, and is never done twice: candidates that
share a training share its weights, all precisions share a pruning, and a deeper pruning goes on
from a shallower one. Imports TensorFlow inside functions only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.compression.channels import group_channels
from nas.compression.pruned_network import PrunedNetwork
from nas.compression.pruning import Pruning, uniform_kept
from nas.networks.candidate import Architecture, Compression, Precision
from nas.system.hashing import content_key
from nas.training.schedule import Schedule

if TYPE_CHECKING:
    from nas.compression.finetuning import Trained
    from nas.data import Pack

Progress = Callable[[str, int, int, float], None]  # stage, done, total, mean L1 loss


@dataclass(frozen=True)
class Workshop:
    """What every step of a compression needs: patches, the float schedule, where to keep things."""

    pack: Pack
    schedule: Schedule
    seed: int
    folder: Path
    progress: Progress
    pruning: Pruning = field(default_factory=Pruning)


def expected_architecture(
    architecture: Architecture, share: float, settings: Pruning | None = None
) -> Architecture:
    """The network that pruning may come to: the same share of every layer, an estimate of widths.

    For costs and latencies before any training. Raises ConfigError where the share can't be reached
    or the network has a layer that pruning does not know.
    """
    if share == 0:
        return architecture
    groups = group_channels(architecture.graph())
    kept = uniform_kept(groups, share, settings or Pruning())
    return PrunedNetwork.of(architecture, groups.channels(kept))


def float_training(
    architecture: Architecture, identity: dict[str, Any], workshop: Workshop
) -> Trained:
    """Train the whole network in float32, or find it trained; raises as `nas.training.train.train`.

    Where the schedule starts from a supernet's slices, it is the run's, above the weights' folder;
    raises as `nas.training.supernet.tune.train_slice` then.
    """
    from nas.compression.finetuning import Trained
    from nas.training.train import train, training_key

    key = training_key(architecture, identity, workshop.schedule, workshop.seed)

    def told(step: int, steps: int, loss: float) -> None:
        workshop.progress("training", step, steps, loss)

    rest = (workshop.pack, workshop.schedule, workshop.seed, workshop.folder / key, told)
    if workshop.schedule.start is None:
        weights = train(architecture.graph(), *rest)
    else:
        from nas.training.supernet.tune import train_slice

        weights = train_slice(architecture, workshop.folder, *rest)
    return Trained(architecture, weights, key)


def float_reading(
    architecture: Architecture,
    identity: dict[str, Any],
    workshop: Workshop,
    stop: int,
    judge: Callable[[Any], dict[str, float]],
) -> dict[str, float]:
    """Train the whole network up to step `stop` and judge it there; as `train.train_until`."""
    from nas.training.train import train_until, training_key

    key = training_key(architecture, identity, workshop.schedule, workshop.seed)
    return train_until(
        architecture.graph(),
        workshop.pack,
        workshop.schedule,
        workshop.seed,
        workshop.folder / key,
        stop,
        judge,
        lambda step, steps, loss: workshop.progress("training", step, steps, loss),
    )


def compressed(source: Trained, compression: Compression, workshop: Workshop) -> Trained:
    """The network whose file `convert.convert_trained` makes: pruned, its ranges trained.

    Raises ConfigError as `nas.compression.pruning.check_share`, TrainingError where a fine-tuning
    diverges.
    """
    from nas.compression.finetuning import prune_trained

    made = source
    if compression.pruned_share:
        made = prune_trained(
            source,
            compression.pruned_share,
            workshop.pruning,
            workshop.pack,
            workshop.schedule,
            workshop.seed,
            workshop.folder,
            workshop.progress,
        )
    return _quantized(made, compression.precision, workshop)


def _quantized(source: Trained, precision: Precision, workshop: Workshop) -> Trained:
    if precision != "int8-qat":  # the others are made of the float weights
        return source
    from nas.compression.finetuning import Trained
    from nas.compression.qat import QAT_FRAMES, QAT_RATE, QAT_STEPS, train_quantized

    key = content_key({"source": source.key, "qat": [QAT_STEPS, QAT_RATE, QAT_FRAMES]})
    weights = train_quantized(
        source.architecture.graph(),
        source.weights,
        workshop.pack,
        workshop.schedule,
        workshop.seed,
        workshop.folder / key,
        lambda step, steps, loss: workshop.progress("quantizing", step, steps, loss),
    )
    return Trained(source.architecture, weights, key)
