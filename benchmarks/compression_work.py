"""The pieces of work of `benchmarks.compression`: each a pure function of what it is asked for."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

SCORED_AT = (256, 256)  # height, width of the files: larger tiles overlap less
COMPARED_AT = 128  # side of the crops on which two outputs are compared

What = Mapping[str, Any]


@dataclass(frozen=True)
class Bench:
    """Where everything is kept, and how long the whole network is trained."""

    folder: Path
    steps: int
    small: bool

    @cached_property
    def dataset(self) -> Any:
        from nas.data import open_dataset

        return open_dataset("photos")

    @cached_property
    def pack(self) -> Any:
        return self.dataset.prepare(self.schedule.patch)

    @cached_property
    def pictures(self) -> list[Any]:
        return list(self.dataset.heldout())

    @cached_property
    def crops(self) -> list[Any]:
        """The middles of the blurred held-out pictures: (1, side, side, 3), from 0 to 1."""
        crops = []
        for pair in self.pictures:
            top, left = ((side - COMPARED_AT) // 2 for side in pair.blurred.shape[:2])
            crop = pair.blurred[None, top : top + COMPARED_AT, left : left + COMPARED_AT]
            crops.append(crop.astype(np.float32) / np.float32(255))
        return crops

    @property
    def schedule(self) -> Any:
        from nas.training.schedule import short_schedule

        return short_schedule(self.steps)

    def shop(self, seed: int, steps: int | None = None) -> Any:
        from nas.training.schedule import short_schedule
        from nas.training.workshop import Workshop

        plan = self.schedule if steps is None else short_schedule(steps)
        folder = self.folder / "weights"
        return Workshop(self.pack, plan, seed, folder, lambda *_: None)

    def do(self, what: What) -> dict[str, Any]:
        """Do one piece of work; a typed error is a result, too."""
        from nas.errors import NasError

        kinds: dict[str, Callable[[Bench, What], dict[str, Any]]] = {
            "score": score,
            "agreement": agreement,
            "step": step_ratio,
            "bookkeeping": bookkeeping,
        }
        try:
            return kinds[what["kind"]](self, what)
        except NasError as error:
            return {"error": f"{type(error).__name__}: {error}"}


def network(small: bool, upsampling: str = "resize-bilinear", activation: str = "relu") -> Any:
    """0.97 GMAC at 128x128 with the default; 0.2 where it is to be small."""
    from search_spaces import UNet

    widths = (12, 16, 24) if small else (24, 48, 72)
    return UNet(upsampling, activation, widths, 2, 5, True)  # type: ignore[arg-type]


def score(bench: Bench, what: What) -> dict[str, Any]:
    """Held-out quality of one compression's file.

    `longer`: the float network goes on for as many steps, at the same rates, as
    quantization-aware training takes, before the file is made of it. The method "none" leaves the
    network whole and trains it for as many steps more as a pruning by `share` takes.
    """
    from evaluators.quality import score_artifact
    from nas.compression.compress import compressed, float_training
    from nas.compression.convert import convert_trained
    from nas.compression.finetuning import tuning_schedule
    from nas.compression.pruned_network import pruned_share
    from nas.compression.pruning import Pruning
    from nas.compression.qat import quantizing_schedule
    from nas.networks.candidate import Compression

    base = network(bench.small)
    whole = what["method"] == "none"
    shop = bench.shop(what["seed"])
    pruning = Pruning("uniform-l1" if whole else what["method"])
    source = float_training(base, bench.dataset.identity(), shop)
    precision, share = what["precision"], what["share"]
    fixed = "int8-qat" if precision == "int8-qat" else "float"
    made = source if whole else compressed(source, Compression(fixed, share), shop, pruning)
    weights = made.weights
    if whole:
        weights = trained_on(made, shop, tuning_schedule(shop.schedule, pruning, share))
    elif what["longer"]:
        weights = trained_on(made, shop, quantizing_schedule(shop.schedule))
    graph = made.architecture.graph()
    content = convert_trained(graph, weights, *SCORED_AT, precision, bench.pack)
    path = bench.folder / "scored.tflite"
    path.write_bytes(content)
    found = score_artifact(path, bench.pictures)
    return {
        "psnr_db": found.psnr_db,
        "ssim": found.ssim,
        "psnr_db_input": found.input_psnr_db,
        "pruned_share": pruned_share(base.graph(), graph),
        "gmacs": graph.macs(128, 128).profiler / 1e9,
        "bytes": len(content),
        "scored_on": found.fitting,
    }


def trained_on(made: Any, shop: Any, plan: Any) -> Path:
    """The float weights after another training."""
    from nas.system.hashing import content_key
    from nas.training.train import train_model, trained

    graph = made.architecture.graph()
    key = content_key({"source": made.key, "longer": plan.to_dict(), "seed": shop.seed})
    return train_model(lambda: trained(graph, made.weights), shop.under(plan), key, "training")


def agreement(bench: Bench, what: What) -> dict[str, Any]:
    """Between a file's output and its model's, dB with 1 as the peak, over held-out crops."""
    from nas.compression.compress import compressed, float_training
    from nas.compression.convert import convert_trained
    from nas.compression.quantization import fake_quantized, pin_input
    from nas.networks.candidate import Compression
    from nas.networks.keras_model import build_model
    from nas.training.train import trained

    shop = bench.shop(what["seed"], steps=what["steps"])
    base = network(bench.small, what["upsampling"], what["activation"])
    graph = base.graph()
    source = float_training(base, bench.dataset.identity(), shop)
    qat = compressed(source, Compression("int8-qat"), shop)
    whole = trained(graph, source.weights)
    fake = fake_quantized(build_model(graph), bench.crops[:1])  # replaced by what was trained
    fake.load_weights(qat.weights)
    pin_input(fake)

    def file(precision: Any, weights: Path) -> bytes:
        side = (COMPARED_AT, COMPARED_AT)
        return convert_trained(graph, weights, *side, precision, bench.pack)

    int16 = file("int16-ptq", source.weights)
    return {
        "float_to_keras_db": apart(bench, file("float", source.weights), whole),
        "qat_to_fake_quantized_db": apart(bench, file("int8-qat", qat.weights), fake),
        "int16_to_float_db": apart(bench, int16, whole),
        "int16_to_rounded_weights_db": apart(bench, int16, rounded_weights(graph, whole)),
    }


def apart(bench: Bench, content: bytes, model: Any) -> float:
    from nas.tflite.interpreter import Artifact

    artifact = Artifact(content)
    errors = [
        np.square(artifact.run(crop[0]).astype(np.float64) - model(crop, training=False).numpy()[0])
        for crop in bench.crops
    ]
    return float(-10 * np.log10(max(np.mean(errors), 1e-16)))


def rounded_weights(graph: Any, model: Any) -> Any:
    """The model with each output channel's weights rounded to -127..127 of its own scale."""
    from nas.networks.graph import TransposeConv
    from nas.networks.keras_model import build_model

    turned = {layer.name for layer in graph.layers if isinstance(layer, TransposeConv)}
    rounded = build_model(graph)
    for layer in model.layers:
        arrays = layer.get_weights()
        if len(arrays) == 2:  # a convolution
            axes = (0, 1, 3) if layer.name in turned else (0, 1, 2)
            scale = np.abs(arrays[0]).max(axes, keepdims=True) / 127
            arrays[0] = np.rint(arrays[0] / np.maximum(scale, 1e-30)) * scale
        rounded.get_layer(layer.name).set_weights(arrays)
    return rounded


def step_ratio(bench: Bench, what: What) -> dict[str, Any]:
    """CPU time of a QAT step over that of a float step, taking turns; medians."""
    import tf_keras as keras

    from nas.compression.quantization import fake_quantized
    from nas.networks.keras_model import build_model
    from nas.training.train import step_function

    plan = bench.schedule
    blurred, sharp = bench.pack.batch(0, plan.batch, plan.patch, what["seed"])
    model = build_model(network(bench.small).graph(), what["seed"])
    frames = [blurred[:1].astype(np.float32) / np.float32(255)]
    steppers = []
    for one in (model, fake_quantized(model, frames)):
        optimizer = keras.optimizers.legacy.Adam(1e-4)
        optimizer._create_all_weights(one.trainable_variables)
        steppers.append(step_function(one, optimizer, plan))
    spent: list[list[float]] = [[], []]
    for _ in range(what["steps"]):
        for which, stepper in enumerate(steppers):
            started = time.process_time()
            float(stepper(blurred, sharp, np.float32(1e-4)))
            spent[which].append(time.process_time() - started)
    plain, quantized = (statistics.median(times[3:]) for times in spent)
    return {"float_step_s": plain, "qat_step_s": quantized, "ratio": quantized / plain}


class _Stopwatch:
    """A network that answers at once, and the CPU time between its trainings: a round each.

    Its quality falls with every channel, so that each round undoes as often as it may.
    """

    def __init__(self, weights: Any) -> None:
        self._weights = weights
        self.seconds: list[float] = []
        self._since = time.process_time()

    def weights(self) -> Any:
        return self._weights

    def psnr_db(self, kept: Any) -> float:
        return float(np.count_nonzero(kept))

    def train(self, kept: Any) -> None:
        now = time.process_time()
        self.seconds.append(now - self._since)
        self._since = now


def bookkeeping(bench: Bench, what: What) -> dict[str, Any]:
    """Seconds a pruning round, without looking at pictures and training, of a named network."""
    from nas.compression.channels import group_channels, masks
    from nas.compression.pruning import Pruning, PruningState, prune_to
    from nas.networks.keras_model import build_model
    from search_spaces.named import ARCHITECTURES

    graph = ARCHITECTURES[what["network"]].graph()
    groups = group_channels(graph)
    model = build_model(graph)
    names = masks(groups, groups.all_kept())
    watch = _Stopwatch({name: model.get_layer(name).get_weights() for name in names})
    prune_to(watch, groups, PruningState.start(groups), what["share"], Pruning())
    return {
        "median_s": statistics.median(watch.seconds),
        "most_s": max(watch.seconds),
        "rounds": len(watch.seconds),
        "layers": len(graph.layers),
        "groups": groups.count,
    }
