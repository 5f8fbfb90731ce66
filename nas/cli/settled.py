"""`nas search --show`: what a search would do, and who said so, without starting it."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Any

from nas.cli.model_table import ModelTable, print_models
from nas.networks.candidate import Candidate

if TYPE_CHECKING:
    from nas.study.study import Study


def show_settled(study: Study, options: Mapping[str, Any]) -> None:
    """Print each field of a study with its value and its origin.

    `options` are what options say of fields, None or empty where they say nothing.
    """
    given = {name for name, value in options.items() if value is not None and value != []}
    if "trials" in given:  # an option of the search, which goes on with more of them
        study = dataclasses.replace(study, trials=options["trials"])
    fields = dataclasses.fields(study)
    names = {
        "field": [field.name for field in fields],
        "from": [_origin(study, field, given) for field in fields],
    }
    values = [_in_words(getattr(study, field.name)) for field in fields]
    print_models(ModelTable(names, values, "value", left=frozenset(names)))


def _origin(study: Study, field: dataclasses.Field[Any], given: Container[str]) -> str:
    if field.name in given:
        return "option"
    return "default" if getattr(study, field.name) == field.default else "study"


def _in_words(value: Any) -> str:
    """Write a value in a line: a candidate by its label, several with commas between."""
    if isinstance(value, Candidate):
        return value.label
    if isinstance(value, tuple):
        return ", ".join(_in_words(one) for one in value) or "none"
    return "none" if value is None else str(value)
