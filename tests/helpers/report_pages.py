"""Reads a report's page as values, and stands in for pictures and models."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from nas.data import Pair
from nas.storage.run_folder import RunFolder

VOID = {"meta", "img", "input", "br", "link", "hr"}


class Page(HTMLParser):
    """Collects what a page shows, and checks that elements are closed.

    `scripts` are its scripts by id, `addresses` what it would load or link to. `headings` are the
    texts of its h2, `sections` the text of each element with an id, `banners` of each banner.
    `rows` are the cells of table rows by the id of the element around them, `stats` the entries of
    the strip of large figures as (value, what it is, note), `tags` the texts of tags.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scripts: dict[str, str] = {}
        self.addresses: list[str] = []
        self.text = ""
        self.headings: list[str] = []
        self.sections: dict[str, str] = {}
        self.rows: dict[str, list[list[str]]] = {}
        self.banners: list[str] = []
        self.stats: list[tuple[str, ...]] = []
        self._script = ""
        self._places: list[tuple[str, str, str]] = []  # tag, id, classes of what is open
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        values = dict(attrs)
        self.addresses += [values[name] for name in ("src", "href") if name in values]
        if tag not in VOID:
            self.open.append(tag)
            place = (tag, str(values.get("id") or ""), str(values.get("class") or ""))
            self._places.append(place)
            self._begin(*place)
        self._script = values.get("id", "?") if tag == "script" else ""

    def _begin(self, tag: str, name: str, classes: str) -> None:
        if name:
            self.sections.setdefault(name, "")
        if tag == "tr":
            self.rows.setdefault(self._around(), []).append([])
        if tag in ("td", "th") and self.rows.get(self._around()):
            self.rows[self._around()][-1].append("")
        if "banner" in classes:
            self.banners.append("")
        if tag == "li" and any(c == "stats" for _, _, c in self._places):
            self.stats.append(("", "", ""))

    def _around(self) -> str:
        """The id of the innermost element that has one."""
        return next((name for _, name, _ in reversed(self._places) if name), "")

    def _add(self, data: str) -> None:
        for _, name, classes in self._places:
            if name:
                self.sections[name] += data
            if "banner" in classes:
                self.banners[-1] += data
        tags = [tag for tag, _, _ in self._places]
        if ("td" in tags or "th" in tags) and self.rows.get(self._around()):
            self.rows[self._around()][-1][-1] += data
        if self.stats and any(c == "stats" for _, _, c in self._places):
            at = {"b": 0, "span": 1, "small": 2}.get(tags[-1])
            if at is not None:
                entry = list(self.stats[-1])
                entry[at] += data
                self.stats[-1] = tuple(entry)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self._places.pop()
        self._script = ""

    def handle_data(self, data: str) -> None:
        if self._script:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data
        elif self.open and self.open[-1] != "style":
            self.text += data
            self._add(data)
            if self.open[-1] == "h2":
                self.headings.append(data)


def pairs(count: int = 4, height: int = 60, width: int = 90) -> list[Pair]:
    """Made-up pictures, blurred and sharp."""
    random = np.random.default_rng(1)
    made = []
    for index in range(count):
        sharp = random.integers(0, 256, (height, width, 3)).astype(np.uint8)
        sharp[:, : width // 2] = sharp[:, : width // 2] // (index + 2)
        made.append(Pair(f"picture {index}", sharp // 2 + 40, sharp))
    return made


def open_model(path: Path) -> Any:
    """A stand-in for opening a file: its model raises the contrast."""
    return lambda image: np.clip(image.astype(int) * 3 // 2 - 30, 0, 255).astype(np.uint8)


def as_reported(run: RunFolder) -> Callable[[Path], float]:
    """Score a stand-in for a model by its content, as the run reported it."""
    figures = {f"not a real model: {r.key}": r for r in run.results()}
    return lambda path: figures[path.read_text()].value("psnr_db")
