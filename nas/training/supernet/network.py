"""The elastic U-Net: every candidate computes with a slice of its weights, in one traced function.

A row of whole numbers (`Elastic.encode`) decides what is computed while it runs: kernels are cut to
the candidate's channels, so that a small candidate costs what a small network costs, and operations
are chosen by branches of the graph. Nothing is traced or built for a candidate.

Candidates share all weights but these: the part of a decoder's first kernel that reads the
up-sampled channels is another for each up-sampling operation, since these leave other numbers of
channels. Imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nas.training.supernet.elastic import HEAD, Choice, Elastic
from nas.training.supernet.first_weights import PARTS, SHUFFLE, Array, carries

Weights = Mapping[str, Any]


@final
@dataclass(frozen=True)
class _Candidate:
    """A candidate's row with names: numbers, or tensors while a function is traced."""

    up: Any
    act: Any
    levels: Any
    convolutions: Any
    kernel: Any
    residual: Any
    widths: tuple[Any, ...]

    @classmethod
    def of(cls, row: Sequence[Any]) -> _Candidate:
        up, act, levels, convolutions, kernel, residual, *widths = row
        return cls(up, act, levels, convolutions, kernel, residual, tuple(widths))


@final
class ElasticUNet:
    """Weights of the full width, and the function that computes any candidate with them.

    Every output of a kernel has a gain of its own for each width that the kernel may read: slices
    of a few channels and of many need not agree on how strong they are. Where the space has
    networks without a global residual, the identity of the picture's channels is added to the
    kernels it passes through, for all candidates alike. Biases are kept for each pair of
    up-sampling and activation.
    """

    def __init__(self, elastic: Elastic, weights: Mapping[str, Array]) -> None:
        self.elastic = elastic
        self.variables = {name: tf.Variable(value, name=name) for name, value in weights.items()}

    def __call__(self, choice: Any, pictures: Any) -> Any:
        """Return pictures (batch, height, width, 3), 0 to 1, restored by the candidate
        of `choice`.
        """
        tensors = {name: tf.convert_to_tensor(value) for name, value in self.variables.items()}
        numbers = tf.unstack(choice, len(HEAD) + self.elastic.deepest)
        return _Forward(self.elastic, tensors, _Candidate.of(numbers)).restored(pictures)

    def arrays(self) -> dict[str, Array]:
        """Return the weights by name."""
        return {name: variable.numpy() for name, variable in self.variables.items()}

    def sliced(self, choice: Choice) -> dict[str, list[Array]]:
        """Return a candidate's weights by layer, for `keras_model.with_weights`: as of a network
        alone.
        """
        candidate = _Candidate.of([int(number) for number in choice])
        return _Slices(self.elastic, self.variables, candidate).layers()


@final
@dataclass(frozen=True)
class _Slicer:
    """Cuts weights to a candidate's channels."""

    elastic: Elastic
    weights: Weights
    candidate: _Candidate

    def kernel(self, name: str, before: int, level: int) -> Any:
        """Return the kernel of a convolution that reads the channels of one level and gives
        another's.
        """
        cin, cout = self.candidate.widths[before], self.candidate.widths[level]
        return self._finished(name, self.weights[name][:, :, :cin, :cout], before)

    def first(self) -> Any:
        """Return the kernel of the first convolution: the middle of the largest."""
        whole, side = self.weights["down0_conv1"], self.candidate.kernel
        off = (whole.shape[0] - side) // 2
        part = whole[off : off + side, off : off + side, :, : self.candidate.widths[0]]
        return self._finished("down0_conv1", part, 0)

    def joined(self, level: int, up: str) -> Any:
        """Return the kernel of a decoder's first convolution.

        It reads the up-sampled channels, then the skip's.
        """
        below, cout = self.candidate.widths[level + 1], self.candidate.widths[level]
        names = [f"up{level}_conv1/{up}", f"up{level}_conv1/skip"]
        lifted, skip = (self.weights[name] for name in names)
        parts = [
            self._gained(names[0], lifted[:, :, : below // PARTS[up], :cout], level + 1),
            self._finished(names[1], skip[:, :, :cout, :cout], level),
        ]
        return tf.concat(parts, 2)

    def transpose(self, level: int) -> tuple[Any, Any]:
        name, below = f"up{level}_transpose", self.candidate.widths[level + 1]
        kernel = self.weights[name][:, :, : below // 2, :below]
        return kernel, self.weights[f"{name}/bias"][: below // 2]

    def output(self, residual: int) -> tuple[Any, Any]:
        name = f"output/{residual}"
        kernel = self._finished(name, self.weights[name][:, :, : self.candidate.widths[0]], 0)
        if not residual:
            kernel += _identity(kernel)
        return kernel, self.weights[f"{name}/bias"][self._row]

    def bias(self, name: str, cout: Any) -> Any:
        return self.weights[f"{name}/bias"][self._row, :cout]

    @property
    def _row(self) -> Any:
        return self.candidate.up * len(self.elastic.activation) + self.candidate.act

    def _finished(self, name: str, part: Any, before: int) -> Any:
        """Return a slice with its gains, and the picture carried through where it has to be."""
        part = self._gained(name, part, before)
        return part + _identity(part) if carries(self.elastic, name) else part

    def _gained(self, name: str, part: Any, before: int) -> Any:
        """Return a slice times its outputs' gains for the width that it reads."""
        steps = tf.constant(self.elastic.widths[before][:-1], tf.int32)
        place = tf.reduce_sum(tf.cast(self.candidate.widths[before] > steps, tf.int32))
        return part * self.weights[f"{name}/gain"][place][: tf.shape(part)[3]]


def _identity(like: Any) -> Any:
    """Return the kernel of the same shape which copies the first three channels."""
    shape = tf.shape(like)
    off = shape[0] // 2
    middle = tf.reshape(tf.eye(3), (1, 1, 3, 3))
    return tf.pad(middle, [(off, off), (off, off), (0, shape[2] - 3), (0, shape[3] - 3)])


@final
class _Forward:
    """A candidate's computation, as it is traced."""

    def __init__(self, elastic: Elastic, weights: Weights, candidate: _Candidate) -> None:
        self._elastic = elastic
        self._weights = weights
        self._candidate = candidate
        self._cut = _Slicer(elastic, weights, candidate)

    def restored(self, pictures: Any) -> Any:
        features = self._level(0, pictures)
        outputs = [
            partial(self._output, features, pictures, residual)
            for residual in self._elastic.global_residual
        ]
        place = self._candidate.residual if len(outputs) > 1 else 0
        return _switch(place, outputs)

    def _output(self, features: Any, pictures: Any, residual: bool) -> Any:
        kernel, bias = self._cut.output(int(residual))
        output = tf.nn.conv2d(features, kernel, 1, "SAME") + bias
        return output + pictures if residual else output

    def _level(self, level: int, x: Any) -> Any:
        """Return a level's output, with all that lies below it."""
        skip = self._stage("down", level, x)
        if level + 1 == self._elastic.deepest:
            return skip
        if level + 1 < self._elastic.levels[0]:
            return self._around(level, skip)
        return tf.cond(
            self._candidate.levels > level + 1, lambda: self._around(level, skip), lambda: skip
        )

    def _around(self, level: int, skip: Any) -> Any:
        """Return a level's output from its skip: down, through the levels below, up, and joined
        with it.
        """
        pooled = tf.nn.max_pool2d(skip, 2, 2, "VALID")
        below = self._level(level + 1, pooled)
        lifts = [partial(self._lift, level, below, up) for up in self._elastic.upsampling]
        lifted, kernel = _switch(self._candidate.up, lifts)
        return self._stage("up", level, tf.concat([lifted, skip], 3), kernel)

    def _lift(self, level: int, below: Any, up: str) -> tuple[Any, Any]:
        return self._lifted(level, below, up), self._cut.joined(level, up)

    def _lifted(self, level: int, x: Any, up: str) -> Any:
        shape = tf.shape(x)
        height, width = 2 * shape[1], 2 * shape[2]
        if up == "transpose-conv":
            kernel, bias = self._cut.transpose(level)
            size = tf.stack([shape[0], height, width, shape[3] // 2])
            return tf.nn.conv2d_transpose(x, kernel, size, 2, "SAME") + bias
        if up == SHUFFLE:  # four neighbouring channels are one pixel's, at every width
            split = tf.reshape(x, tf.concat([shape[:3], [shape[3] // 4, 4]], 0))
            ordered = tf.transpose(split, (0, 1, 2, 4, 3))
            return tf.nn.depth_to_space(tf.reshape(ordered, shape), 2)
        return tf.image.resize(x, (height, width), method="bilinear")

    def _stage(self, way: str, level: int, x: Any, joined: Any = None) -> Any:
        """Apply the convolutions of a level on the way down or up, as many as the candidate has."""
        for index in range(1, self._elastic.convolutions[-1] + 1):
            name = f"{way}{level}_conv{index}"
            first = self._cut.first() if name == "down0_conv1" else joined
            kernel = first if index == 1 else None
            before = level - (index == 1)
            compute = self._convolution(name, x, kernel, before, level)
            if index <= self._elastic.convolutions[0]:
                x = compute()
            else:
                x = tf.cond(self._candidate.convolutions >= index, compute, lambda x=x: x)
        return x

    def _convolution(
        self, name: str, x: Any, kernel: Any, before: int, level: int
    ) -> Callable[[], Any]:
        def compute() -> Any:
            cout = self._candidate.widths[level]
            own = self._cut.kernel(name, before, level) if kernel is None else kernel
            y = tf.nn.bias_add(tf.nn.conv2d(x, own, 1, "SAME"), self._cut.bias(name, cout))
            activations = [
                partial(self._activated, name, y, cout, act) for act in self._elastic.activation
            ]
            return _switch(self._candidate.act, activations)

        return compute

    def _activated(self, name: str, x: Any, cout: Any, activation: str) -> Any:
        positive = tf.nn.relu(x)
        if activation == "relu":
            return positive
        slopes = self._weights[name.replace("conv", "prelu")][:cout]
        return positive + slopes * (x - positive)


def _switch(place: Any, branches: Sequence[Callable[[], Any]]) -> Any:
    return branches[0]() if len(branches) == 1 else tf.switch_case(place, list(branches))


@final
class _Slices:
    """Gives a candidate's weights as those of a network alone."""

    def __init__(self, elastic: Elastic, weights: Weights, candidate: _Candidate) -> None:
        self._elastic = elastic
        self._weights = weights
        self._candidate = candidate
        self._cut = _Slicer(elastic, weights, candidate)
        self._up = elastic.upsampling[candidate.up]

    def layers(self) -> dict[str, list[Array]]:
        deepest = self._candidate.levels - 1
        weights: dict[str, list[Array]] = {}
        for level in range(deepest + 1):
            weights |= self._stage("down", level, shuffled=level == deepest)
        for level in range(deepest):
            weights |= self._stage("up", level, shuffled=level > 0)
            if self._up == "transpose-conv":
                kernel, bias = self._cut.transpose(level)
                weights[f"up{level}_transpose"] = [kernel.numpy(), bias.numpy()]
        kernel, bias = self._cut.output(int(self._candidate.residual))
        weights["output"] = [kernel.numpy(), bias.numpy()]
        return weights

    def _stage(self, way: str, level: int, shuffled: bool) -> dict[str, list[Array]]:
        """Return the weights of a stage; `shuffled` says that its output is up-sampled next."""
        width, count = self._candidate.widths[level], self._candidate.convolutions
        weights: dict[str, list[Array]] = {}
        for index in range(1, count + 1):
            name = f"{way}{level}_conv{index}"
            last = shuffled and index == count and self._up == SHUFFLE
            order = _shuffle_order(width) if last else np.arange(width)
            if name == "down0_conv1":
                kernel = self._cut.first()
            elif way == "up" and index == 1:
                kernel = self._cut.joined(level, self._up)
            else:
                kernel = self._cut.kernel(name, level - (index == 1), level)
            bias = self._cut.bias(name, width)
            weights[name] = [kernel.numpy()[..., order], bias.numpy()[order]]
            if self._elastic.activation[self._candidate.act] == "prelu":
                slopes = self._weights[name.replace("conv", "prelu")][:width].numpy()
                weights[name.replace("conv", "prelu")] = [slopes[order].reshape(1, 1, -1)]
        return weights


def _shuffle_order(width: int) -> npt.NDArray[np.int64]:
    """Return for each channel of `tf.nn.depth_to_space`, whose pixels come first, which of ours it
    is.
    """
    return np.arange(width).reshape(-1, 4).T.reshape(-1)
