"""What the pages' templates share: how they are read, and how they write figures and words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nas.report.numbers import duration, number

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

HERE = Path(__file__).parent


def environment(folder: Path = HERE) -> Environment:
    """Return the environment of a folder's templates: escaping, and refusing unknown names."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters["number"] = number
    made.filters["count"] = count
    made.filters["duration"] = duration
    made.filters["code"] = code
    return made


def count(amount: int, noun: str, nouns: str = "") -> str:
    """Write `amount` and the noun, in the plural where it should be, which may be `nouns`."""
    return f"{amount} {noun}" if amount == 1 else f"{amount} {nouns or noun + 's'}"


def code(text: str) -> Markup:
    """Return a text as HTML in which what stands between backticks is code."""
    from markupsafe import Markup, escape

    pieces = text.split("`")
    marked = (
        Markup("<code>{}</code>").format(piece) if index % 2 else escape(piece)
        for index, piece in enumerate(pieces)
    )
    return Markup("").join(marked)
