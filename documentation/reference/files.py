"""The page of files, from the modules that write them."""

from __future__ import annotations

import inspect
import textwrap
from types import ModuleType

INTRODUCTION = """\
# Files

All files are plain: JSON, CSV, PNG, SVG, HTML, `.tflite`. Each appears whole or not at all, whenever a
program is killed. This page is made from the modules that write them.
"""


def page() -> str:
    """Return the page's Markdown."""
    from nas.report import export, restoring
    from nas.storage import run_folder

    parts = [
        INTRODUCTION,
        _section("A run", "`nas search STUDY --out RUN` writes:", run_folder),
        "`report/` is added by `nas report RUN`: `index.html`, one page that needs no network, "
        "PNG and SVG files of its charts, and `trial-N-DEVICE.json`, the times of a model's operations for "
        "Model Explorer.",
        _section("An export", "`nas export RUN --out OUT` writes:", export),
        _section(
            "Restored photographs", "`nas restore MODEL PHOTO... --out OUT` writes:", restoring
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _section(title: str, opening: str, module: ModuleType) -> str:
    """Return a module's own list of its files, as it stands in its docstring."""
    text = inspect.cleandoc(module.__doc__ or "")
    _, _, behind = text.partition("\n\n")
    listing, _, after = behind.partition("\n\n")
    return f"## {title}\n\n{opening}\n\n```\n{textwrap.dedent(listing)}\n```" + (
        f"\n\n{after}" if after else ""
    )
