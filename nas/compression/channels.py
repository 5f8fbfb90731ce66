"""Groups the channels of a network that can only be removed together, and removes groups.

Every output channel of every layer is followed through the graph. Where two can only be removed
together (an addition's operands, the factor^2 channels that depth-to-space makes one of) they are
in one group. Removing a group removes its filters and everything that reads them: biases, slopes of
PReLU, a normalisation's arrays, the matching inputs of every consumer through poolings, resizings
and slices of concatenations. A removed channel is one that is 0 everywhere: tests compare with
that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import numpy.typing as npt

from nas.errors import ConfigError
from nas.networks.graph import (
    Add,
    AveragePool,
    BatchNorm,
    Concat,
    Conv,
    DepthToSpace,
    DepthwiseConv,
    Graph,
    Input,
    Layer,
    LeakyReLU,
    MaxPool,
    PReLU,
    ReLU,
    ResizeBilinear,
    ResizeNearest,
    Scale,
    SpaceToDepth,
    Subtract,
    Tanh,
    TransposeConv,
    Weights,
    ZeroPad,
)

Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

# For each kind of layer and each of its arrays: the axes of the input's and the output's channels.
_AXES: dict[type, tuple[tuple[int | None, int], ...]] = {
    Conv: ((2, 3), (None, 0)),
    TransposeConv: ((3, 2), (None, 0)),
    DepthwiseConv: ((None, 2), (None, 0)),
    PReLU: ((None, 2),),
    BatchNorm: ((None, 0),) * 4,
}


@final
@dataclass(frozen=True, eq=False)
class Groups:
    """The groups of a graph, numbered.

    `of` gives the group of each output channel of each layer. `fixed` groups can't be removed: the
    picture's channels and the output's. `sites` are the places where groups are alike: those of one
    site have equally many filters in each of the same layers, so they cost the same and are
    compared with each other. `site` is the place of each group among them; -1 where it is fixed.
    """

    graph: Graph
    of: Mapping[str, Ints]
    fixed: Bools
    site: Ints
    sites: tuple[tuple[tuple[str, int], ...], ...]

    @property
    def count(self) -> int:
        """The number of all groups, the fixed ones too."""
        return len(self.fixed)

    def all_kept(self) -> Bools:
        """Return the choice of groups that leaves the network as it is."""
        return np.ones(self.count, np.bool_)

    def channels(self, kept: Bools) -> dict[str, int]:
        """Return how many filters remain of each layer that has filters."""
        return {
            layer.name: int(kept[self.of[layer.name]].sum())
            for layer in self.graph.layers
            if isinstance(layer, (Conv, TransposeConv))
        }


def group_channels(graph: Graph) -> Groups:
    """Follow every channel through `graph`.

    Raises ConfigError, naming the layer, where it is of a kind that pruning does not know.
    """
    ties = _Ties()
    atoms: dict[str, Ints] = {}
    for layer in graph.layers:
        sources = [atoms[name] for name in layer.inputs]
        match layer:
            case Input() | Conv() | TransposeConv():
                atoms[layer.name] = ties.new(layer.channels)
            case (
                DepthwiseConv() | PReLU() | LeakyReLU() | ReLU() | Tanh() | BatchNorm() | Scale()
                | MaxPool() | AveragePool() | ResizeBilinear() | ResizeNearest() | ZeroPad()
            ):  # fmt: skip
                atoms[layer.name] = sources[0]
            case Concat():
                atoms[layer.name] = np.concatenate(sources)
            case Add() | Subtract():
                atoms[layer.name] = ties.tie(sources)
            case DepthToSpace():  # a pixel of an output channel each, in blocks of all of them
                atoms[layer.name] = ties.tie(np.split(sources[0], layer.factor**2))
            case SpaceToDepth():  # all channels of the first pixel, of the second, ...
                atoms[layer.name] = np.tile(sources[0], layer.factor**2)
            case _:
                raise ConfigError(
                    f"pruning does not know the kind of layer {layer.name!r} "
                    f"({type(layer).__name__}); set the pruned share to 0 for this network"
                )
    return _numbered(graph, atoms, ties)


class _Ties:
    """Channels some of which are tied to each other: a union-find."""

    def __init__(self) -> None:
        self._parent: list[int] = []

    def new(self, count: int) -> Ints:
        first = len(self._parent)
        self._parent.extend(range(first, first + count))
        return np.arange(first, first + count)

    def tie(self, rows: Sequence[Ints]) -> Ints:
        """Tie the rows to each other, channel by channel; return the first."""
        for row in rows[1:]:
            for one, other in zip(rows[0], row, strict=True):
                self._parent[self.root(int(other))] = self.root(int(one))
        return rows[0]

    def root(self, atom: int) -> int:
        while self._parent[atom] != atom:
            self._parent[atom] = self._parent[self._parent[atom]]
            atom = self._parent[atom]
        return atom

    def numbers(self) -> Ints:
        roots = [self.root(atom) for atom in range(len(self._parent))]
        return np.unique(roots, return_inverse=True)[1].astype(np.intp)


def _numbered(graph: Graph, atoms: Mapping[str, Ints], ties: _Ties) -> Groups:
    numbers = ties.numbers()
    of = {name: numbers[row] for name, row in atoms.items()}
    fixed = np.zeros(int(numbers.max()) + 1, np.bool_)
    filters: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for layer in graph.layers:
        if isinstance(layer, Input) or layer is graph.layers[-1]:
            fixed[of[layer.name]] = True
        if isinstance(layer, (Conv, TransposeConv)):
            for group in of[layer.name]:
                filters[int(group)][layer.name] += 1
    kinds = {g: tuple(sorted(layers.items())) for g, layers in filters.items() if not fixed[g]}
    sites = tuple(sorted(set(kinds.values())))
    site = np.array([sites.index(kinds[g]) if g in kinds else -1 for g in range(len(fixed))])
    return Groups(graph, of, fixed, site.astype(np.intp), sites)


def with_channels(graph: Graph, channels: Mapping[str, int]) -> Graph:
    """Return the same layers with other numbers of filters, by name.

    Raises ConfigError where a name is no layer with filters, or the widths don't fit together.
    """
    names = {layer.name for layer in graph.layers if isinstance(layer, (Conv, TransposeConv))}
    if strange := sorted(channels.keys() - names):
        raise ConfigError(f"no layer with filters is called {strange[0]!r}")
    if few := [name for name, count in channels.items() if count < 1]:
        raise ConfigError(f"layer {few[0]!r}: expected 1 filter at least, got {channels[few[0]]}")
    layers = [
        replace(layer, channels=channels[layer.name])
        if isinstance(layer, (Conv, TransposeConv)) and layer.name in channels
        else layer
        for layer in graph.layers
    ]
    return Graph(tuple(layers))


def _axes(layer: Layer) -> tuple[tuple[int | None, int], ...]:
    axes = _AXES.get(type(layer), ())
    return axes[:1] if isinstance(layer, Conv) and not layer.bias else axes


def narrowed(groups: Groups, kept: Bools) -> Graph:
    """Return the graph with the groups of `kept` alone."""
    return with_channels(groups.graph, groups.channels(kept))


def narrowed_weights(groups: Groups, kept: Bools, weights: Weights) -> dict[str, list[Any]]:
    """Return the weights of `narrowed(groups, kept)`, by layer; `weights` are the whole graph's."""
    result = {}
    for layer in groups.graph.layers:
        axes = _axes(layer)
        if not axes:
            continue
        reads = np.flatnonzero(kept[groups.of[layer.inputs[0]]])
        makes = np.flatnonzero(kept[groups.of[layer.name]])
        arrays = []
        for array, (source, target) in zip(weights[layer.name], axes, strict=True):
            part = np.take(array, makes, axis=target)
            arrays.append(part if source is None else np.take(part, reads, axis=source))
        result[layer.name] = arrays
    return result


def masks(groups: Groups, kept: Bools) -> dict[str, list[npt.NDArray[np.float32]]]:
    """Return the factors for each array of each layer of the whole graph: 0 where removed, else 1.

    A network masked so computes what the narrowed one does: a filter of zeros without a bias gives
    0, and every layer passes 0 on as 0. The factors are shaped to broadcast.
    """
    result = {}
    for layer in groups.graph.layers:
        axes = _axes(layer)
        if not axes:
            continue
        makes = kept[groups.of[layer.name]].astype(np.float32)
        rows = []
        for _, target in axes:
            shape = [1] * _rank(layer, target)
            shape[target] = len(makes)
            rows.append(makes.reshape(shape))
        result[layer.name] = rows
    return result


def _rank(layer: Layer, target: int) -> int:
    """Return how many axes an array of a layer has, the output's channels on axis `target`."""
    if target == 0:
        return 1
    return 3 if isinstance(layer, PReLU) else 4


def filter_norms(groups: Groups, weights: Weights, order: int) -> dict[str, npt.NDArray[Any]]:
    """Return the L1 or L2 norm of every filter, without its bias, of every layer that
    has filters.
    """
    norms = {}
    for layer in groups.graph.layers:
        if not isinstance(layer, (Conv, TransposeConv)):
            continue
        kernel = np.asarray(weights[layer.name][0], np.float64)
        target = _AXES[type(layer)][0][1]
        rows = np.moveaxis(kernel, target, 0).reshape(kernel.shape[target], -1)
        norms[layer.name] = np.linalg.norm(rows, ord=order, axis=1)
    return norms
