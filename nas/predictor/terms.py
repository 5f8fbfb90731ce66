"""A network as the terms of its latency: operations with the sizes that their time depends on.

Equal operations are equal terms, so a time that was predicted once is looked up from then on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from nas.errors import ConfigError
from nas.networks import graph as layers
from nas.networks.candidate import Precision
from nas.networks.folding import folded
from nas.networks.graph import Graph
from nas.tflite.operations import PICTURE, Operations, Step

Sides = tuple[int, int]
UPSAMPLINGS = frozenset(
    {"TRANSPOSE_CONV", "DEPTH_TO_SPACE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"}
)
"""Operations next to which a phone may refuse others (the paper's fallbacks at joints)."""
DTYPES: dict[Precision, str] = {
    "float": "float32",
    "int8-ptq": "int8",
    "int8-qat": "int8",
    "int16-ptq": "int16",
}


class Term(NamedTuple):
    """One operation with the sizes that its time depends on.

    `op` is TFLite's name, `dtype` the data type. `given` and `made` are height and width of the
    input and the output. `channels` are the numbers of channels of each input, `cout` that of the
    output. `area` is a convolution's kernel, height times width, else 1.
    `after` is the up-sampling that a concatenation, or the convolution behind it, directly follows;
    empty elsewhere.
    """

    op: str
    dtype: str
    given: Sides
    channels: tuple[int, ...]
    made: Sides
    cout: int
    area: int = 1
    after: str = ""

    @property
    def alone(self) -> Term:
        """The same operation, with nothing said about what precedes it."""
        return self._replace(after="") if self.after else self

    @property
    def cin(self) -> int:
        """The number of channels of all inputs."""
        return sum(self.channels) if self.op == "CONCATENATION" else self.channels[0]

    @property
    def macs(self) -> int:
        """The multiply-accumulates of a convolution; 0 for other operations."""
        if self.op == "DEPTHWISE_CONV_2D":
            return self.elements * self.area
        sides = {"CONV_2D": self.made, "TRANSPOSE_CONV": self.given}.get(self.op)
        return math.prod(sides) * self.cin * self.cout * self.area if sides else 0

    @property
    def elements(self) -> int:
        """The number of elements of the output."""
        return math.prod(self.made) * self.cout

    @property
    def given_elements(self) -> int:
        """The number of elements of all inputs."""
        return math.prod(self.given) * sum(self.channels)

    def to_json(self) -> list[Any]:
        """Return the term as JSON types."""
        return [list(part) if isinstance(part, tuple) else part for part in self]

    @classmethod
    def from_json(cls, values: Sequence[Any]) -> Term:
        """Return what `to_json` wrote; raises TypeError or ValueError on anything else."""
        op, dtype, given, channels, made, cout, area, after = values
        return cls(
            str(op), str(dtype), _sides(given), tuple(int(one) for one in channels), _sides(made),
            int(cout), int(area), str(after),
        )  # fmt: skip


def _sides(values: Sequence[Any]) -> Sides:
    height, width = values
    return (int(height), int(width))


def terms_of(operations: Operations) -> tuple[Term, ...]:
    """Return the terms of a list of operations, in its order."""
    steps = operations.steps
    picture = (operations.size[1], operations.size[0], 3)
    terms: list[Term] = []
    for step in steps:
        inputs = [picture if n == PICTURE else steps[n].shape for n in step.sources]
        channels = tuple(shape[-1] for shape in inputs)
        after = _after(step.op, [terms[n] for n in step.sources if n != PICTURE])
        given, made = (inputs[0][0], inputs[0][1]), (step.shape[0], step.shape[1])
        area = _area(step, given, made, channels[0])
        terms.append(Term(step.op, step.dtype, given, channels, made, step.shape[2], area, after))
    return tuple(terms)


def _area(step: Step, given: Sides, made: Sides, cin: int) -> int:
    if not step.conv_macs:
        return 1
    if step.op == "DEPTHWISE_CONV_2D":
        return round(step.conv_macs / step.elements)
    sides = given if step.op == "TRANSPOSE_CONV" else made
    return round(step.conv_macs / (math.prod(sides) * cin * step.shape[2]))


def _after(op: str, sources: Sequence[Term]) -> str:
    """Return the up-sampling that an operation directly follows, as `Term.after` has it."""
    if op == "CONCATENATION":
        return next((one.op for one in sources if one.op in UPSAMPLINGS), "")
    if op == "CONV_2D" and sources and sources[0].op == "CONCATENATION":
        return sources[0].after
    return ""


def terms_of_graph(
    graph: Graph, size: tuple[int, int], precision: Precision = "float"
) -> tuple[Term, ...]:
    """Return the terms of a network for a picture `size` (width, height).

    They equal `terms_of` of the graph's operations (`nas.tflite.operations`), in a tenth of the
    time. Raises ConfigError where the network can't take it, or
    has a kind of layer that is unknown here.
    """
    width, height = size
    if width % graph.reduction or height % graph.reduction:
        layers.check_size(graph.reduction, height, width)
    dtype = DTYPES[precision]
    shapes: dict[str, layers.Shape] = {}
    makers: dict[str, Term | None] = {}
    terms: list[Term] = []
    for layer in _unfolded(graph).layers:
        name, inputs = layer.name, [shapes[one] for one in layer.inputs]
        kind = type(layer).__name__
        if kind == "Input":
            shapes[name], makers[name] = (height, width, layer.channels), None  # type: ignore[union-attr]
            continue
        shape = shapes[name] = layer.shape(inputs)
        rule = _RULES.get(kind)
        if rule is None:
            raise ConfigError(f"layer {name!r}: no operation is known for {kind}")
        op = rule.op
        if rule.size_only:
            inputs = inputs[:1]
        if op is None or (rule.size_only and inputs[0] == shape):
            makers[name] = makers[layer.inputs[0]]
            continue
        sources = [one for key in layer.inputs if (one := makers[key]) is not None]
        channels = tuple(one[2] for one in inputs)
        term = Term(
            op, dtype, inputs[0][:2], channels, shape[:2], shape[2], rule.area(layer),
            _after(op, sources) if op in ("CONCATENATION", "CONV_2D") else "",
        )  # fmt: skip
        makers[name] = term
        terms.append(term)
    return tuple(terms)


class _Rule(NamedTuple):
    op: str | None
    area: Callable[[Any], int] = lambda _: 1
    size_only: bool = False


_RULES = {
    "Conv": _Rule("CONV_2D", lambda layer: layer.window[0] * layer.window[1]),
    "DepthwiseConv": _Rule("DEPTHWISE_CONV_2D", lambda layer: layer.kernel**2),
    "LeakyReLU": _Rule("LEAKY_RELU"),
    "TransposeConv": _Rule("TRANSPOSE_CONV", lambda layer: layer.side**2),
    "PReLU": _Rule("PRELU"),
    "ReLU": _Rule(None),
    "Tanh": _Rule("TANH"),
    "BatchNorm": _Rule(None),
    "Scale": _Rule("MUL"),
    "MaxPool": _Rule("MAX_POOL_2D"),
    "AveragePool": _Rule("AVERAGE_POOL_2D"),
    "DepthToSpace": _Rule("DEPTH_TO_SPACE"),
    "SpaceToDepth": _Rule("SPACE_TO_DEPTH"),
    "ResizeBilinear": _Rule("RESIZE_BILINEAR"),
    "ResizeNearest": _Rule("RESIZE_NEAREST_NEIGHBOR", size_only=True),
    "ZeroPad": _Rule("PAD", size_only=True),
    "Concat": _Rule("CONCATENATION"),
    "Add": _Rule("ADD"),
    "Subtract": _Rule("SUB"),
}
_FOLDABLE = (layers.BatchNorm, layers.Scale, layers.ReLU)


def _unfolded(graph: Graph) -> Graph:
    """Return the graph as it is converted; the graph itself where nothing is to be folded."""
    if any(isinstance(layer, _FOLDABLE) for layer in graph.layers):
        return _folded(graph)
    return graph


@lru_cache(maxsize=64)
def _folded(graph: Graph) -> Graph:
    return folded(graph)


def dtype_of(terms: Sequence[Term]) -> str:
    """Return the convolutions' data type; that of the first term where there are none."""
    return next((term.dtype for term in terms if term.macs), terms[0].dtype)
