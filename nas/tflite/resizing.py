"""Makes a `.tflite` of one picture size into the same file for another one.

Weights and scales stay untouched. Operation after operation, the sizes of the outputs follow from
those of the inputs. Sizes that a file holds in constants (of a resizing, a crop, a reshape) are
rewritten, by the rules of `nas.tflite.growth`. Where none applies the file has no form of that
size, and the error names the operation.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from nas.errors import ConversionError
from nas.tflite.dims import Dims, GrowthStep, fixed_dims, now, now_of, was, was_of
from nas.tflite.editing import operation_name, packed, put_values
from nas.tflite.growth import RULES, spread
from nas.tflite.shapes import Shape, largest_picture, picture_axes
from nas.tflite.values import Values, constant_values, evaluated


def at_size(
    content: bytes, height: int, width: int, shapes: Mapping[int, Shape] | None = None
) -> bytes:
    """Return the file for pictures of another height and width.

    `shapes` are the shapes of tensors for which the file stores none, by the tensors' numbers.
    Raises ConversionError, naming the operation and the reason, where there is no such file.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    tensors = model.subgraphs[0].tensors
    missing = frozenset(n for n, t in enumerate(tensors) if t.shape is None or not len(t.shape))
    for index, shape in (shapes or {}).items():
        if index < len(tensors):  # LiteRT has some of its own behind them
            tensors[index].shape = list(shape)
    graph = _Graph(model, (width, height), missing)
    operators = model.subgraphs[0].operators
    for number, operation in enumerate(operators):
        graph.grow(number, operation)
    graph.store()
    return packed(model)


@final
class _Graph:
    """A file's tensors while they grow from one picture size to another (width, height).

    `unstored` are the numbers of tensors whose shapes the file does not store.
    """

    def __init__(self, model: Any, size: tuple[int, int], unstored: frozenset[int]) -> None:
        self._model, self._main = model, model.subgraphs[0]
        self._unstored = unstored
        self._dims: dict[int, Dims] = {}
        self._values: dict[int, tuple[Values, Values]] = {}
        self._rewritten: dict[tuple[int, str], int] = {}
        self._count = len(self._main.tensors)  # what is appended has no users but one
        inputs = {int(index): self._shape(int(index)) for index in self._main.inputs}
        self._old, self._new = _main_picture(inputs), (size[1], size[0])
        for index, shape in inputs.items():
            self._dims[index] = self._input(index, shape)
        self._read_by_windows = self._windowed()
        self._given = {int(index) for index in self._main.outputs}

    def grow(self, number: int, operation: Any) -> None:
        """Work out one operation's outputs; ConversionError where no rule gives them."""
        name = operation_name(self._model, operation)
        inputs = [int(index) for index in operation.inputs]
        outputs = [int(index) for index in operation.outputs]
        step = GrowthStep(
            label=f"operation {number} {name} ({self._name(outputs[0]) if outputs else ''})",
            name=name,
            options=operation.builtinOptions,
            inputs=[None if i < 0 else self._of(i) for i in inputs],
            values=[None if i < 0 else self._value(i) for i in inputs],
            outputs=[self._shape(index) for index in outputs],
            old=self._old,
            new=self._new,
            windowed=any(index in self._read_by_windows for index in outputs),
        )
        try:
            if step.changed:
                results = RULES[name](step) if name in RULES else step.without_rule()
            else:
                results = spread(step) or [fixed_dims(shape) for shape in step.outputs]
        except (AttributeError, IndexError, TypeError, ValueError, ZeroDivisionError) as error:
            raise step.refusal(f"its form is not known here ({error})") from error
        for index, dims in zip(outputs, results, strict=True):
            self._dims[index] = self._checked(step, index, dims)
        for place, values in step.rewritten.items():
            self._rewrite(operation, place, values)
        self._evaluate(step, outputs)
        for index, dims in zip(outputs, results, strict=True):
            if index in self._given and any(was(one) == 1 < now(one) for one in dims):
                raise step.refusal(
                    f"its output of {_words(was_of(dims))} is one answer for the whole picture, "
                    f"and would be {_words(now_of(dims))}"
                )

    def _checked(self, step: GrowthStep, index: int, dims: Dims) -> Dims:
        if was_of(dims) != self._shape(index):
            raise step.refusal(
                f"its output is {_words(self._shape(index))}, which does not follow from its "
                "inputs as far as is known here"
            )
        if any(now(one) < 1 <= was(one) for one in dims):
            raise step.no_whole_size(self._shape(index))
        return dims

    def _evaluate(self, step: GrowthStep, outputs: list[int]) -> None:
        """Compute sizes that the file computes from shapes, at both picture sizes."""
        pairs: list[tuple[Values, Values]] | None = None
        if step.name == "SHAPE" and step.inputs[0] is not None:
            dims = step.inputs[0]
            pairs = [(np.asarray(was_of(dims), np.int32), np.asarray(now_of(dims), np.int32))]
        elif any(pair is not None and pair[0] is not pair[1] for pair in step.values):
            constants = [pair for pair in step.values if pair is not None]
            both = [
                evaluated(step.name, step.options, [pair[when] for pair in constants])
                for when in (0, 1)
            ]
            if len(constants) == len(step.values) and both[0] and both[1]:
                pairs = list(zip(both[0], both[1], strict=True))
        if pairs is not None:
            self._values.update(zip(outputs, pairs, strict=False))

    def store(self) -> None:
        """Write the new shapes; sides that the file leaves open, and shapes it does not store, stay
        so.
        """
        main = self._main
        for index, dims in self._dims.items():
            tensor, shape = main.tensors[index], list(now_of(dims))
            signature = [] if tensor.shapeSignature is None else list(tensor.shapeSignature)
            tensor.shape = None if index in self._unstored else shape
            if len(signature) == len(shape):
                pairs = zip(signature, shape, strict=True)
                tensor.shapeSignature = [-1 if open_ < 0 else side for open_, side in pairs]
            else:
                tensor.shapeSignature = None
        self._tidy()

    def _tidy(self) -> None:
        """Put new constants in the places of old ones that nothing reads any more."""
        main = self._main
        used = {int(i) for step in main.operators for i in (*step.inputs, *step.outputs)}
        used |= {int(index) for index in (*main.inputs, *main.outputs)}
        places: dict[int, int] = {}
        for (old, _), new in self._rewritten.items():
            if old not in used and old not in places.values():
                places[new] = old
                main.tensors[old] = main.tensors[new]
        more = [n for n in range(self._count, len(main.tensors)) if n not in places]
        places.update({n: self._count + number for number, n in enumerate(more)})
        main.tensors[self._count :] = [main.tensors[n] for n in more]
        for step in main.operators:
            step.inputs = [places.get(int(index), int(index)) for index in step.inputs]

    def _rewrite(self, operation: Any, place: int, values: Values) -> None:
        """Give the operation a constant of its own, since others may read the old one."""
        old = int(operation.inputs[place])
        key = (old, f"{values.shape} {values.tobytes().hex()}")
        if key not in self._rewritten:
            tensor = copy.copy(self._main.tensors[old])
            tensor.shape, tensor.shapeSignature = list(values.shape), None
            put_values(self._model, tensor, values)
            self._rewritten[key] = len(self._main.tensors)
            self._main.tensors.append(tensor)
        operation.inputs = [int(index) for index in operation.inputs]
        operation.inputs[place] = self._rewritten[key]
        if hasattr(operation.builtinOptions, "newShape"):
            operation.builtinOptions.newShape = [int(value) for value in values]

    def _of(self, index: int) -> Dims:
        return self._dims.get(index) or fixed_dims(self._shape(index))

    def _value(self, index: int) -> tuple[Values, Values] | None:
        if index not in self._values:
            values = constant_values(self._model, self._main.tensors[index])
            if values is None:
                return None
            self._values[index] = (values, values)
        return self._values[index]

    def _windowed(self) -> set[int]:
        """Return the tensors that a window of several pixels reads, without padding of its own."""
        tensors = set()
        for operation in self._main.operators:
            name, options = operation_name(self._model, operation), operation.builtinOptions
            if name not in _WINDOWS or options.padding != schema.Padding.VALID:
                continue
            if hasattr(options, "filterHeight"):
                pixels = options.filterHeight * options.filterWidth
            else:  # a kernel's sides, between two numbers of channels
                pixels = math.prod(self._shape(int(operation.inputs[1]))[1:3])
            if pixels > 1:
                tensors.add(int(operation.inputs[0]))
        return tensors

    def _shape(self, index: int) -> Shape:
        shape = self._main.tensors[index].shape
        return () if shape is None else tuple(int(side) for side in shape)

    def _name(self, index: int) -> str:
        return repr((self._main.tensors[index].name or b"").decode(errors="replace"))

    def _input(self, index: int, shape: Shape) -> Dims:
        """Return an input's new dimensions: the picture's, or sides in proportion to it."""
        axes = picture_axes(shape)
        if axes is None or max(shape[axis] for axis in axes) == 1:
            return fixed_dims(shape)
        sides = [shape[axis] for axis in axes]
        grown = [divmod(s * n, o) for s, n, o in zip(sides, self._new, self._old, strict=True)]
        if sides[0] * self._old[1] != sides[1] * self._old[0] or any(rest for _, rest in grown):
            raise ConversionError(
                f"its input {self._name(index)} of {_words(shape)} has no whole size in a picture "
                f"of {self._new[1]}x{self._new[0]} instead of {self._old[1]}x{self._old[0]}"
            )
        dims = list(fixed_dims(shape))
        for axis, side, (larger, _) in zip(axes, sides, grown, strict=True):
            dims[axis] = ((side, larger),)
        return tuple(dims)


_WINDOWS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D", "CONV_3D"})


def _main_picture(inputs: Mapping[int, Shape]) -> tuple[int, int]:
    """Return (height, width) of the largest picture that goes in; ConversionError
    where none does.
    """
    sides = largest_picture(inputs.values())
    if sides is None:
        shapes = " and ".join(map(_words, inputs.values())) or "nothing"
        raise ConversionError(f"no picture goes into it: its input is {shapes}")
    return sides


def _words(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a single value"
