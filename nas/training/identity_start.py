"""Sets a network's first weights near the identity, which short schedules need. Imports
TensorFlow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, final

from nas.networks.graph import (
    Add,
    BranchedConv,
    Concat,
    Conv,
    DepthToSpace,
    DepthwiseConv,
    Graph,
    Layer,
    LeakyReLU,
    PReLU,
    ReLU,
    ResizeBilinear,
    SpaceToDepth,
    TransposeConv,
)
from nas.networks.keras import keras

OUTPUT_GAIN = 0.1  # by which the first weights of the last convolution are multiplied


def start_near_identity(graph: Graph, model: keras.Model) -> None:
    """Change first weights, in place, so that the network begins by (nearly) repeating its input.

    The last convolution starts at a tenth of its size, which is enough where the input is added at
    the end. Elsewhere the picture is carried through: wherever it lies in a convolution's input at
    the picture's own resolution (or that of the stem, which moves its pixels to channels), that
    convolution's first outputs copy it. The picture's values are not negative, so activations let
    it pass; skips carry it to the output. What is added to the picture on the way starts by adding
    0. Measured on U-Nets of 600 steps: without such a start a good part of those that lack a
    residual end below the blurred input; with it all of 40 end 2.5 dB or more above.
    """
    residual = isinstance(graph.layers[-1], Add)
    output = _output_convolution(graph)
    last = model.get_layer(output)
    last.kernel.assign(last.kernel * OUTPUT_GAIN)
    if residual:
        return
    paths = _Paths(graph)
    if output not in paths.copies:
        return  # the picture's path is cut by a pooling, a stride or too few channels
    layers = {layer.name: layer for layer in graph.layers}
    for name, channels in paths.silent.items():
        _silence(layers[name], model, sorted(channels))
    for name, (first, count) in paths.copies.items():
        _copy(layers[name], model, first, count)


def _copy(layer: Layer, model: keras.Model, first: int, count: int) -> None:
    """Let a convolution's first `count` outputs repeat its inputs from `first` on.

    A depthwise one repeats the inputs themselves.
    """
    depthwise = isinstance(layer, DepthwiseConv)
    _silence(layer, model, range(first, first + count) if depthwise else range(count))
    variable = _kernels(layer, model)[0][0]
    kernel = variable.numpy()
    middle = (kernel.shape[0] // 2, kernel.shape[1] // 2)
    for channel in range(count):
        kernel[(*middle, first + channel, 0 if depthwise else channel)] = 1
    variable.assign(kernel)


def _silence(layer: Layer, model: keras.Model, channels: Iterable[int]) -> None:
    """Let outputs of a convolution start at 0."""
    for variable, axis in _kernels(layer, model):
        kernel = variable.numpy()
        kernel[(*[slice(None)] * axis, list(channels))] = 0
        variable.assign(kernel)


def _kernels(layer: Layer, model: keras.Model) -> list[tuple[Any, int]]:
    """Return the kernels that add up to a convolution's output, with the axis of its channels."""
    own = model.get_layer(layer.name)
    match layer:
        case DepthwiseConv():
            return [(own.depthwise_kernel, 2)]
        case TransposeConv():
            return [(own.kernel, 2)]
        case BranchedConv():
            return [(own.kernel, 3), (own.point, 3), (own.squeeze, 3)]
    return [(own.kernel, 3)]


@final
class _Paths:
    """Where the picture can be carried through a graph.

    `copies` are the convolutions that can copy it, with its first channel in their input and the
    number of its channels: 3, or 3 * factor^2 behind a stem. `silent` are those that have to add
    nothing, with the channels: another operand brings the picture.
    """

    def __init__(self, graph: Graph) -> None:
        self.copies: dict[str, tuple[int, int]] = {}
        self.silent: dict[str, set[int]] = {}
        self._layers = {layer.name: layer for layer in graph.layers}
        self._uses = Counter(name for layer in graph.layers for name in layer.inputs)
        rows = graph.costs(*[graph.smallest] * 2)
        self._channels = {row.layer.name: row.shape[2] for row in rows}
        self._places: dict[str, tuple[int, int]] = {graph.layers[0].name: (0, 3)}
        for layer in graph.layers[1:]:
            place = self._place(layer)
            if place is not None:
                self._places[layer.name] = place
        for name in self.silent:
            self.copies.pop(name, None)

    def _place(self, layer: Layer) -> tuple[int, int] | None:
        """Return the picture's first channel in a layer's output, and the number of its channels.

        None where it is not carried.
        """
        match layer:
            case Concat():
                return self._among(layer.inputs)
            case Add(inputs=(one, other)):
                return self._summed(one, other) or self._summed(other, one)
        place = self._places.get(layer.inputs[0])
        if place is None:
            return None
        whole = place == (0, self._channels[layer.inputs[0]])
        alone = self._uses[layer.inputs[0]] == 1
        match layer:
            case Conv(stride=1, padding="same") | BranchedConv() if layer.channels >= place[1]:
                self.copies[layer.name] = place
                return 0, place[1]
            case DepthwiseConv():
                self.copies[layer.name] = place
                return place
            case PReLU() | LeakyReLU() | ReLU():
                return place
            case SpaceToDepth() if whole and alone:  # a stem, not one of several copies
                return 0, place[1] * layer.factor**2
            case DepthToSpace() if whole:
                return 0, place[1] // layer.factor**2
        return None

    def _among(self, names: Sequence[str]) -> tuple[int, int] | None:
        found, before = None, 0
        for name in names:
            if name in self._places:
                first, count = self._places[name]
                found = before + first, count
            before += self._channels[name]
        return found

    def _summed(self, branch: str, trunk: str) -> tuple[int, int] | None:
        """Return the trunk's place where its branch can be silenced there."""
        place = self._places.get(trunk)
        if place is None:
            return None
        first, count = place
        return place if self._silence(branch, set(range(first, first + count))) else None

    def _silence(self, name: str, channels: set[int]) -> bool:
        """Note which convolution decides these channels; False where none does."""
        layer = self._layers[name]
        match layer:
            case Conv() | BranchedConv() | TransposeConv() | DepthwiseConv():
                self.silent.setdefault(name, set()).update(channels)
                return True
            case DepthToSpace():
                own, blocks = self._channels[name], range(layer.factor**2)
                channels = {block * own + channel for block in blocks for channel in channels}
                return self._silence(layer.inputs[0], channels)
            case ResizeBilinear() | PReLU() | LeakyReLU() | ReLU():
                return self._silence(layer.inputs[0], channels)
        return False


def _output_convolution(graph: Graph) -> str:
    """Return the name of the last convolution, also where a function or a sum follows it."""
    layers = {layer.name: layer for layer in graph.layers}
    last = graph.layers[-1]
    while not isinstance(last, Conv):
        last = layers[last.inputs[0]]
    return last.name
