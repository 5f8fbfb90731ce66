"""Lists a network's operations, from a `.tflite` file or from a graph, alike for both.

The list holds what a latency or a placement can depend on, in one spelling: where a converter
fuses, adds or spells an operation differently for int16, this is undone, so that a file and the
graph it was made from give equal lists.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from nas.errors import ConfigError
from nas.networks.candidate import Precision
from nas.networks.folding import folded
from nas.networks.graph import Graph, Shape
from nas.system.hashing import content_key
from nas.tflite.file import Operation, Tensor, TfliteFile

PICTURE = -1
"""Among a step's sources: the network's input."""
_DTYPES: dict[Precision, str] = {
    "float": "float32",
    "int8-ptq": "int8",
    "int8-qat": "int8",
    "int16-ptq": "int16",
}
# The operation that a layer becomes, by the layer's kind; None where it is fused into another.
_OF_LAYER: Mapping[str, str | None] = {
    "Conv": "CONV_2D",
    "DepthwiseConv": "DEPTHWISE_CONV_2D",
    "TransposeConv": "TRANSPOSE_CONV",
    "LeakyReLU": "LEAKY_RELU",
    "PReLU": "PRELU",
    "ReLU": None,
    "Tanh": "TANH",
    "BatchNorm": None,
    "Scale": "MUL",
    "MaxPool": "MAX_POOL_2D",
    "AveragePool": "AVERAGE_POOL_2D",
    "DepthToSpace": "DEPTH_TO_SPACE",
    "SpaceToDepth": "SPACE_TO_DEPTH",
    "ResizeBilinear": "RESIZE_BILINEAR",
    "ResizeNearest": "RESIZE_NEAREST_NEIGHBOR",
    "ZeroPad": "PAD",
    "Concat": "CONCATENATION",
    "Add": "ADD",
    "Subtract": "SUB",
}
_SIZE_ONLY = frozenset({"ResizeNearest", "ZeroPad"})  # the second input only tells a size
_TRANSPARENT = frozenset({"RELU", "QUANTIZE", "DEQUANTIZE"})
_SPELLING = {"PADV2": "PAD"}


@final
@dataclass(frozen=True)
class Step:
    """One operation of a list.

    `op` is TFLite's name, `dtype` the data type, `shape` the output's (height, width, channels) and
    `conv_macs` its work in multiply-accumulates. `sources` are the steps that it reads, `PICTURE`
    for the input. `window_over_stride` says that the window of a pooling or a transposed
    convolution is larger than its stride. `indices` are the file's operations that it stands for,
    empty where it comes from a graph.
    """

    op: str
    dtype: str
    shape: tuple[int, ...]
    conv_macs: int
    sources: tuple[int, ...]
    window_over_stride: bool = False
    indices: tuple[int, ...] = ()

    @property
    def elements(self) -> int:
        """The number of elements of the output."""
        return math.prod(self.shape)


@final
@dataclass(frozen=True)
class Operations:
    """The steps in the order in which they run, on pictures of `size` (width, height).

    `requantized` says that integers change their scale on the way, as quantization-aware training
    leaves it.
    """

    steps: tuple[Step, ...]
    size: tuple[int, int]
    requantized: bool = False

    @property
    def pixels(self) -> int:
        """The number of pixels of the picture."""
        return self.size[0] * self.size[1]

    @property
    def dtype(self) -> str:
        """The data type in which the convolutions work, or the first step where there are none."""
        convolutions = [step.dtype for step in self.steps if step.conv_macs]
        return (convolutions or [self.steps[0].dtype])[0]

    @property
    def structure(self) -> str:
        """A key of operations, wiring, shapes and MACs.

        It does not depend on data types and weights, on the order in which independent operations
        run, or on constant factors, which a converter may fold into a convolution.
        """
        keys: list[str] = []
        for step in self.steps:
            above = ["picture" if n == PICTURE else keys[n] for n in step.sources]
            if step.op == "MUL" and len(above) == 1:
                keys.append(above[0])
                continue
            if step.op == "ADD":
                above.sort()
            keys.append(content_key([step.op, list(step.shape), step.conv_macs, above]))
        factors = {n for n, step in enumerate(self.steps) if step.op == "MUL"}
        kept = sorted(key for n, key in enumerate(keys) if n not in factors)
        return content_key([list(self.size), kept, keys[-1]])


def of_graph(
    graph: Graph, size: tuple[int, int], precision: Precision = "float", fold: bool = True
) -> Operations:
    """Return the operations of a network at a picture `size` (width, height) and a precision.

    They are those that this project's conversion writes; without `fold`, constant factors are
    operations of their own, as in the paper's files. Raises ConfigError where the network can't
    take the size, or has a kind of layer that is unknown here.
    """
    rows = _OperationList()
    dtype = _DTYPES[precision]
    shapes: dict[str, Shape] = {}
    for row in (folded(graph) if fold else graph).costs(size[1], size[0]):
        layer, kind = row.layer, type(row.layer).__name__
        shapes[layer.name] = row.shape
        inputs = layer.inputs[:1] if kind in _SIZE_ONLY else layer.inputs
        if not layer.inputs:
            rows.alias(layer.name, PICTURE)
            continue
        if kind not in _OF_LAYER:
            raise ConfigError(f"layer {layer.name!r}: no operation is known for {kind}")
        op = _OF_LAYER[kind]
        if op is None or (kind in _SIZE_ONLY and shapes[inputs[0]] == row.shape):
            rows.alias(layer.name, rows.step_of(inputs[0]))
            continue
        over = getattr(layer, "side", 0) > getattr(layer, "factor", 0)
        macs, sources = int(row.macs.conv), rows.steps_of(inputs)
        rows.add(layer.name, Step(op, dtype, row.shape, macs, sources, over))
    return Operations(rows.steps(), size, precision == "int8-qat")


def of_file(file: TfliteFile) -> Operations:
    """Return the operations of a `.tflite`.

    Raises ConfigError where the file leaves a shape open, takes no picture, or only changes types.
    """
    picture = file.inputs[0].shape if file.inputs else ()
    if len(picture) != 4 or min(picture) < 1:
        raise ConfigError(
            f"the file's input is {'x'.join(map(str, picture)) or 'missing'}; expected a picture "
            "of a fixed size, 1xHEIGHTxWIDTHxCHANNELS: export the model at one"
        )
    rows = _OperationList()
    for tensor in file.inputs:
        rows.alias(tensor.index, PICTURE)
    forms = _int16_forms(file.operations)
    requantized, dtype = False, ""
    for operation in file.operations:
        inputs = [t.index for t in operation.inputs if t is not None and rows.knows(t.index)]
        if not inputs:  # of constants alone, as a file's 16-bit weights are made wider: no work
            continue
        transparent = operation.name in _TRANSPARENT and len(inputs) == 1
        if transparent and operation.name == "QUANTIZE":
            requantized |= not any(tensor.is_float for tensor in operation.tensors)
        dtype = operation.outputs[0].dtype
        form = forms.get(operation.index)
        if transparent or (form is not None and form.op is None):  # or the inner part of a form
            rows.alias(operation.outputs[0].index, rows.step_of(inputs[0]), operation.index)
        else:
            _add_operation(rows, operation, inputs, form)
    if not rows.steps():
        raise ConfigError("the file only changes types: it has no operation that takes time")
    return Operations(rows.steps(), (picture[2], picture[1]), requantized and dtype == "int8")


def _add_operation(
    rows: _OperationList, operation: Operation, inputs: list[int], form: _Form | None
) -> None:
    """Append a file's operation that is a step of its own, or the last part of an int16 form."""
    output = operation.outputs[0]
    op, sources = operation.name, inputs
    if form is not None and form.op is not None:
        op, sources = form.op, [form.source]
    if op in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "PAD", "PADV2"):
        sources = sources[:1]
    if any(side < 1 for side in output.shape):
        raise ConfigError(f"{operation}: its shape is open; export at a fixed size")
    step = Step(
        op=_SPELLING.get(op, op),
        dtype=output.dtype,
        shape=tuple(output.shape[1:]),
        conv_macs=operation.conv_macs,
        sources=rows.steps_of(sources),
        window_over_stride=_window_over_stride(operation),
        indices=(operation.index,),
    )
    rows.add(output.index, step)
    for other in operation.outputs[1:]:
        rows.alias(other.index, rows.step_of(output.index))


@dataclass
class _Form:
    """A part of a form that stands for one operation: `op` is set at its last part,
    None inside it.
    """

    op: str | None
    source: int = PICTURE


def _int16_forms(operations: Sequence[Operation]) -> dict[int, _Form]:
    """Return the parts of PReLU and depth-to-space, as `quantization.int16_form` spells them, by
    index.
    """
    makers = {output.index: step for step in operations for output in step.outputs}

    def maker(tensor: Tensor | None, name: str) -> Operation | None:
        operation = makers.get(tensor.index) if tensor is not None else None
        return operation if operation is not None and operation.name == name else None

    forms: dict[int, _Form] = {}
    for step in operations:
        if step.name == "ADD" and len(step.inputs) == 2:
            parts = _affine_prelu(step, maker)
        elif step.name == "RESHAPE":
            parts = _transposed_shuffle(step, maker)
        else:
            continue
        if parts is not None:
            op, source, inner = parts
            forms[step.index] = _Form(op, source)
            forms |= {part.index: _Form(None) for part in inner}
    return forms


_Parts = tuple[str, int, list[Operation]] | None


def _affine_prelu(step: Operation, maker: Any) -> _Parts:
    """Recognise alpha * x + (1 - alpha) * relu(x), which ends in `step`; None for another sum."""
    products = [maker(tensor, "MUL") for tensor in step.inputs]
    if None in products:
        return None
    factors = [[t for t in product.inputs if t and not t.constant] for product in products]
    if [len(row) for row in factors] != [1, 1]:
        return None
    for plain, other in ((0, 1), (1, 0)):
        source, positive = factors[plain][0], maker(factors[other][0], "RELU")
        if positive is not None and positive.inputs[0].index == source.index:
            return "PRELU", source.index, [positive, *products]
    return None


def _transposed_shuffle(step: Operation, maker: Any) -> _Parts:
    """Recognise reshape, transpose, reshape, which ends in `step`; None for another reshape."""
    turned = maker(step.inputs[0], "TRANSPOSE")
    first = maker(turned.inputs[0], "RESHAPE") if turned is not None else None
    if first is None or first.inputs[0] is None or len(step.outputs[0].shape) != 4:
        return None
    source = first.inputs[0]
    up = step.outputs[0].shape[1] >= source.shape[1]
    return "DEPTH_TO_SPACE" if up else "SPACE_TO_DEPTH", source.index, [first, turned]


def _window_over_stride(operation: Operation) -> bool:
    options = dict(operation.options)
    weights = operation.weights
    if operation.name == "TRANSPOSE_CONV" and weights is not None:
        return bool(weights.shape[1] > options["strideH"])
    if operation.name == "MAX_POOL_2D":
        return bool(options["filterHeight"] > options["strideH"])
    return False


@final
class _OperationList:
    """A list of steps that grows; a key is a tensor's index in a file, or a layer's name."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._of: dict[int | str, int] = {}

    def knows(self, key: int | str) -> bool:
        """Return whether `key` names the picture or an output of a step, and no constant."""
        return key in self._of

    def step_of(self, key: int | str) -> int:
        return self._of[key]

    def steps_of(self, keys: Iterable[int | str]) -> tuple[int, ...]:
        return tuple(self._of[key] for key in keys)

    def alias(self, key: int | str, step: int, index: int | None = None) -> None:
        """Let `key` name the output of an earlier step, and count operation `index` into it."""
        self._of[key] = step
        if index is not None and step != PICTURE:
            indices = tuple(sorted((*self._steps[step].indices, index)))
            self._steps[step] = replace(self._steps[step], indices=indices)

    def add(self, key: int | str, step: Step) -> None:
        self._of[key] = len(self._steps)
        self._steps.append(step)

    def steps(self) -> tuple[Step, ...]:
        return tuple(self._steps)
