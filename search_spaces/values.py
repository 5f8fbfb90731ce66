"""Mechanisms that the architectures share: their JSON, and a list of layers that grows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, fields
from types import UnionType
from typing import Any, Literal, TypeVar, final, get_args, get_origin, get_type_hints

from nas.errors import ConfigError
from nas.networks.graph import Graph, Input, Layer

Value = TypeVar("Value")


def to_json(value: Any) -> dict[str, Any]:
    """An architecture's fields as JSON types, `family` first."""
    return {"family": value.family, **asdict(value)}


def from_json(kind: type[Value], values: dict[str, Any], optional: Collection[str] = ()) -> Value:
    """The value that `to_json` wrote; ConfigError on a missing, an unknown or a wrong entry.

    `optional` entries may be missing: they have their defaults then.
    """
    hints = get_type_hints(kind)
    types = {field.name: hints[field.name] for field in fields(kind)}  # type: ignore[arg-type]
    entries = {name: value for name, value in values.items() if name != "family"}
    if types.keys() - entries.keys() - set(optional) or entries.keys() - types.keys():
        raise ConfigError(
            f"{kind.__name__} has the entries {sorted(types)}, but {sorted(entries)} came; "
            f"these differ: "
            f"{sorted((types.keys() ^ entries.keys()) - set(optional))}"
        )
    return kind(
        **{name: _read(f"{kind.__name__}.{name}", types[name], v) for name, v in entries.items()}
    )


def _read(name: str, wanted: Any, value: Any) -> Any:
    """Return a value of JSON as the type that a field has; lists become tuples."""
    if get_origin(wanted) is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{name}={value!r}: expected a list")
        (item, _) = get_args(wanted)
        return tuple(_read(f"{name}[{index}]", item, one) for index, one in enumerate(value))
    if get_origin(wanted) is UnionType:  # of a type and None
        if value is None:
            return None
        wanted = next(one for one in get_args(wanted) if one is not type(None))
    plain = str if get_origin(wanted) is Literal else wanted
    if type(value) is not plain:
        raise ConfigError(f"{name}={value!r}: expected {plain.__name__}")
    return value


def check_at_least(value: Any, least: int, names: Sequence[str]) -> None:
    """Raise ConfigError where one of the named fields of `value` is less than `least`."""
    for name in names:
        if getattr(value, name) < least:
            raise ConfigError(
                f"{type(value).__name__}.{name}={getattr(value, name)}: expected {least} at least"
            )


@final
class Layers:
    """Layers in order, which start with the picture, "input"."""

    def __init__(self) -> None:
        self._layers: list[Layer] = [Input("input")]

    def add(self, layer: Layer) -> str:
        """Append a layer; return its name."""
        self._layers.append(layer)
        return layer.name

    def graph(self) -> Graph:
        """Return the graph of all layers; the one that was added last is its output."""
        return Graph(tuple(self._layers))
