"""The page of the Python interface, from signatures and docstrings."""

from __future__ import annotations

import dataclasses
import inspect
from importlib import import_module
from typing import Any

from documentation.reference.text import docstring

INTRODUCTION = """\
# Python

Every command is also a function. This page is made from the code; what is not on it is internal, and
may change from version to version.
"""
# What is public, by what it is for: modules whose `__all__` counts, and single names.
PUBLIC: dict[str, list[str]] = {
    "Searches": ["nas.search", "nas.storage.run_folder:RunFolder"],
    "Studies and results": ["nas.study"],
    "Networks": ["search_spaces", "nas.networks.candidate:Candidate"],
    "Evaluators": ["evaluators"],
    "The sampler, in any Optuna study": ["nas.sampling"],
    "Devices": ["nas.devices"],
    "Pictures": ["nas.data"],
    "Predictor": ["nas.predictor"],
    "Reports, exports, photographs": [
        "nas.report",
        "nas.report.comparison:compare_runs",
        "nas.report.explanation:explain_run",
        "nas.report.explanation:explain_trial",
        "nas.report.export:export_models",
        "nas.report.restoring:restore_photos",
        "nas.study.pareto:front",
        "nas.study.picker:best_within",
    ],
    "A `.tflite` file": ["nas.tflite.interpreter:Artifact", "nas.tflite.tiling:restore_tiled"],
}


def public() -> dict[str, dict[str, Any]]:
    """Return the public classes and functions by group and full name; other values are left out."""
    groups: dict[str, dict[str, Any]] = {}
    for group, entries in PUBLIC.items():
        found = groups.setdefault(group, {})
        for entry in entries:
            module_name, _, single = entry.partition(":")
            module = import_module(module_name)
            for name in [single] if single else module.__all__:
                value = getattr(module, name)
                if inspect.isclass(value) or inspect.isfunction(value):
                    found[f"{module_name}.{name}"] = value
    return groups


def page() -> str:
    """Return the page's Markdown."""
    parts = [INTRODUCTION]
    for group, values in public().items():
        parts.append(f"## {group}")
        parts += [_section(name, value) for name, value in values.items()]
    return "\n\n".join(parts) + "\n"


def _section(name: str, value: Any) -> str:
    module, _, short = name.rpartition(".")
    parts = [f"### {short}", f"```python\nfrom {module} import {short}\n{_call(short, value)}\n```"]
    parts.append(docstring(value))
    if isinstance(value, type):
        parts += [line for line in map(_member, _members(value)) if line]
    return "\n\n".join(parts)


def _call(name: str, value: Any) -> str:
    """Return how it is called, one argument a line where that is long."""
    if getattr(value, "_is_protocol", False):
        return f"class {name}(Protocol)"
    signature = _unquoted(inspect.signature(value))
    line = f"{name}{signature}".replace(" -> None", "")
    if len(line) <= 88:
        return line
    arguments = "".join(f"    {parameter},\n" for parameter in signature.parameters.values())
    returned = str(signature).rpartition(" -> ")[2] if " -> " in str(signature) else ""
    return f"{name}(\n{arguments})" + (f" -> {returned}" if returned not in ("", "None") else "")


class _Words:
    """An annotation that shows as its words, without quotation marks."""

    def __init__(self, annotation: Any) -> None:
        self._words = (
            annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        )

    def __repr__(self) -> str:
        return self._words


def _unquoted(signature: inspect.Signature) -> inspect.Signature:
    parameters = [
        p if p.annotation is p.empty else p.replace(annotation=_Words(p.annotation))
        for p in signature.parameters.values()
    ]
    returned = signature.return_annotation
    if returned is not signature.empty:
        returned = _Words(returned)
    return signature.replace(parameters=parameters, return_annotation=returned)


def _members(kind: type) -> list[tuple[str, Any]]:
    """Return the public methods and properties that a class itself defines."""
    fields = {f.name for f in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
    return [
        (name, member)
        for name, member in vars(kind).items()
        if not name.startswith("_") and name not in fields
    ]


def _member(entry: tuple[str, Any]) -> str | None:
    name, member = entry
    if isinstance(member, property):
        member, call = member.fget, name
    elif isinstance(member, classmethod | staticmethod) or inspect.isfunction(member):
        function = getattr(member, "__func__", member)
        call = f"{name}{_without_self(inspect.signature(function))}"
        member = function
    else:
        return None
    text = inspect.getdoc(member)
    return f"`{call}`\n:   " + " ".join(text.split("\n\n")[0].split()) if text else None


def _without_self(signature: inspect.Signature) -> str:
    parameters = list(signature.parameters.values())[1:]
    return str(_unquoted(signature.replace(parameters=parameters)))
