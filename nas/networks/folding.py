"""Folds normalisations, constant factors and ReLUs into the convolutions before them.

A convolution that is followed by nothing else can take them in: the network computes the same with
fewer layers. Converters do so with float weights. Before quantization-aware training it has to be
done here, because integers are trained for the weights and biases that the file will hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.networks.convolutions import Activation
from nas.networks.graph import BatchNorm, Conv, Graph, Layer, ReLU, Scale

Arrays = Sequence[npt.NDArray[np.float32]]


def folded(graph: Graph) -> Graph:
    """Return the graph in which convolutions have taken in all they can; they keep their names."""
    taken = dict(_taken_in(graph))
    layers: dict[str, Layer] = {}
    for layer in graph.layers:
        if layer.name in taken:
            conv = layers[taken[layer.name]]
            if isinstance(conv, Conv) and isinstance(layer, BatchNorm):
                layers[conv.name] = replace(conv, bias=True)
            elif isinstance(conv, Conv) and isinstance(layer, ReLU):
                fused: Activation = "relu" if layer.ceiling is None else "relu6"
                layers[conv.name] = replace(conv, activation=fused)
            continue
        inputs: Any = tuple(taken.get(name, name) for name in layer.inputs)
        layers[layer.name] = replace(layer, inputs=inputs)
    return Graph(tuple(layers.values()))


def folded_weights(
    graph: Graph, weights: Mapping[str, Arrays], epsilon: float
) -> dict[str, list[npt.NDArray[np.float32]]]:
    """Return the weights of `folded(graph)` by layer, in the order of Keras.

    `weights` are those of `graph`; `epsilon` is the number that normalisations add to the variance.
    """
    taken = dict(_taken_in(graph))
    result = {name: list(arrays) for name, arrays in weights.items() if name not in taken}
    for layer in graph.layers:
        if layer.name not in taken or isinstance(layer, ReLU):
            continue
        kernel, *rest = result[taken[layer.name]]
        bias = rest[0] if rest else np.zeros(kernel.shape[-1], np.float32)
        if isinstance(layer, BatchNorm):
            gamma, beta, mean, variance = (w.astype(np.float64) for w in weights[layer.name])
            factor = gamma / np.sqrt(variance + epsilon)
            bias = ((bias - mean) * factor + beta).astype(np.float32)
            result[taken[layer.name]] = [(kernel * factor).astype(np.float32), bias]
        elif isinstance(layer, Scale):
            result[taken[layer.name]] = [
                (array * np.float32(layer.factor)).astype(np.float32) for array in (kernel, *rest)
            ]
    return result


def _taken_in(graph: Graph) -> Iterator[tuple[str, str]]:
    """Yield each layer that a convolution takes in, with the convolution's name."""
    uses = Counter(name for layer in graph.layers for name in layer.inputs)
    ends: dict[str, str] = {}  # what may still be added to: the last layer, and the convolution
    for layer in graph.layers:
        if isinstance(layer, Conv) and layer.activation == "linear":
            ends[layer.name] = layer.name
        elif isinstance(layer, (BatchNorm, Scale, ReLU)):
            source = layer.inputs[0]
            if source in ends and uses[source] == 1:
                yield layer.name, ends[source]
                if not isinstance(layer, ReLU):
                    ends[layer.name] = ends[source]
