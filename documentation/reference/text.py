"""Markdown of tables and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; bars in cells are escaped, line ends become spaces."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def docstring(thing: Any) -> str:
    """Return a docstring as Markdown: paragraphs, with indented blocks as they are.

    Raises ValueError where there is none: what is public is explained.
    """
    text = inspect.getdoc(thing)
    if not text:
        raise ValueError(f"{thing!r} has no docstring")
    return text


def described_fields(text: str) -> dict[str, str]:
    """Return what a docstring says of fields, one a paragraph: lines that begin "`name`: "."""
    found = re.findall(r"^`(\w+)`: (.*?)(?=^`\w+`: |\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return {name: " ".join(words.split()) for name, words in found}


def without_fields(text: str) -> str:
    """Return a docstring without the lines that `described_fields` reads."""
    pattern = r"^`\w+`: .*?(?=^`\w+`: |\n\n|\Z)"
    return re.sub(pattern, "", text, flags=re.MULTILINE | re.DOTALL).strip()
