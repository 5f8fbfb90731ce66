"""The page of what a study file can say, from the classes that it makes values of."""

from __future__ import annotations

import dataclasses
from typing import Any

from documentation.reference.text import described_fields, docstring, table, without_fields

INTRODUCTION = """\
# Study fields

A study file is a `.py` file with a value `STUDY`: [studies of your own](../studies.md) shows one. This
page lists the fields of every value that a study is made of. It is made from the code. Fields without
a default must be given. In a study file, change some of them with `dataclasses.replace`.
"""
OPENING = {
    "Study": "The study itself.",
    "UNetSpace": "The choices for each part of a U-Net; what a label's parts mean is under "
    "[labels](../start/labels.md).",
    "NetworkSpace": "U-Nets, with other networks beside them.",
    "CompressionSpace": "The choices of compression.",
    "Schedule": "How each candidate is trained. `nas.training.schedule.short_schedule(steps)` gives "
    "one for seconds of training.",
    "TimingProtocol": "How a device times a file.",
    "Candidate": "A network with its compression: what `baselines` and `reference` hold.",
    "Compression": "What is done to a trained network.",
    "UNet": "A network of the U-Net family.",
}


def classes() -> list[Any]:
    """Return the classes whose fields a study file sets, in the order of the page."""
    import evaluators
    import search_spaces
    from nas.devices import TimingProtocol
    from nas.networks.candidate import Candidate, Compression
    from nas.study.study import Study
    from nas.training.schedule import Schedule

    named = [Study, *_dataclasses(search_spaces), Candidate, Compression, Schedule]
    return [*dict.fromkeys([*named, TimingProtocol, *_dataclasses(evaluators)])]


def _dataclasses(package: Any) -> list[Any]:
    """Return a package's public dataclasses, spaces first."""
    values = [getattr(package, name) for name in package.__all__]
    found = [
        value for value in values if isinstance(value, type) and dataclasses.is_dataclass(value)
    ]
    return sorted(found, key=lambda one: not one.__name__.endswith("Space"))


def page() -> str:
    """Return the page's Markdown."""
    return "\n\n".join([INTRODUCTION, *map(section, classes())]) + "\n"


def section(kind: Any) -> str:
    """Return one class's section: what it says of itself, and a row for each field."""
    text = docstring(kind)
    said = described_fields(text)
    fields = dataclasses.fields(kind)
    headings = ["Field", "Type", "Default", *(["What it says"] if said else [])]
    rows = [
        [
            f"`{field.name}`",
            f"`{_type(field)}`",
            _default(field),
            *([said.get(field.name, "")] if said else []),
        ]
        for field in fields
    ]
    opening = OPENING.get(kind.__name__, "")
    parts = [f"## {kind.__name__}", f"`from {_package(kind)} import {kind.__name__}`", opening]
    parts += [without_fields(text), table(headings, rows) if rows else ""]
    return "\n\n".join(filter(None, parts))


def _package(kind: Any) -> str:
    """Return the shortest module that hands a class on."""
    module: str = kind.__module__
    top = module.partition(".")[0]
    return top if top in ("search_spaces", "evaluators") else module


def _type(field: Any) -> str:
    return field.type if isinstance(field.type, str) else getattr(field.type, "__name__", "Any")


def _default(field: Any) -> str:
    if field.default is not dataclasses.MISSING:
        return f"`{field.default!r}`"
    if field.default_factory is not dataclasses.MISSING:
        return f"`{field.default_factory()!r}`"
    return "must be given"
