"""What lies in a data set's folders: pairs of files, clip by clip, and what is wrong with them.

Listing never reads a picture and never raises for what it finds: everything wrong becomes a
`Problem`, so that a check can tell all of it at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nas.data.pictures import SUFFIXES

Severity = Literal["error", "warning"]
MAX_SHARDS = 256  # a pack keeps every shard open


@dataclass(frozen=True)
class Problem:
    """Something wrong; a data set with an "error" can't be used, with "warning"s it can."""

    severity: Severity
    what: str


@dataclass(frozen=True)
class Files:
    """The two files of a pair."""

    name: str
    blurred: Path
    sharp: Path


@dataclass(frozen=True)
class Clip:
    """Pairs that become one shard; `uniform`: all are frames of one size."""

    name: str
    files: tuple[Files, ...]
    uniform: bool


@dataclass(frozen=True)
class Listing:
    """A data set's files, and what reports say of them (see `nas.data.Dataset`)."""

    layout: str
    split: str
    task: str
    training: tuple[Clip, ...]
    heldout: tuple[Files, ...]
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> list[str]:
        """The problems that make it unusable."""
        return [problem.what for problem in self.problems if problem.severity == "error"]

    @property
    def training_pairs(self) -> int:
        """Over all clips."""
        return sum(len(clip.files) for clip in self.training)


class Problems:
    """Collects what is wrong."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def error(self, what: str) -> None:
        """Something that makes the data set unusable."""
        self.found.append(Problem("error", what))

    def warn(self, what: str) -> None:
        """Something that a person should know."""
        self.found.append(Problem("warning", what))


def folders_in(folder: Path) -> dict[str, Path]:
    """The folders directly inside, by name, sorted; none where `folder` is missing."""
    if not folder.is_dir():
        return {}
    return {
        path.name: path
        for path in sorted(folder.iterdir())
        if path.is_dir() and not path.name.startswith(".")
    }


def pictures_in(folder: Path, problems: Problems, deep: bool = False) -> dict[str, Path]:
    """The picture files inside by name without suffix, sorted; `deep`: by their way from `folder`.

    Hidden files and other kinds are passed over. Two files of one name are an error.
    """
    pictures: dict[str, Path] = {}
    for path in sorted(folder.rglob("*") if deep else folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in SUFFIXES:
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in pictures:
            problems.error(
                f"{folder} holds {pictures[name].name} and {path.name}: keep one of them"
            )
        pictures[name] = path
    return pictures


def match(
    label: str,
    blurred: Path,
    sharp: Path,
    problems: Problems,
    *,
    lone: Severity,
    deep: bool = False,
) -> tuple[Files, ...]:
    """The pairs of two folders, by name; files without a partner are problems of severity `lone`.

    A missing or empty folder is an error.
    """
    missing = [folder for folder in (blurred, sharp) if not folder.is_dir()]
    for folder in missing:
        problems.error(f"{label}: the folder {folder} is missing")
    if missing:
        return ()
    sides = {"blurred": pictures_in(blurred, problems, deep)}
    sides["sharp"] = pictures_in(sharp, problems, deep)
    empty = [
        folder for folder, side in zip((blurred, sharp), sides.values(), strict=True) if not side
    ]
    for folder in empty:
        problems.error(f"{label}: no picture in {folder}")
    if empty:
        return ()
    for side, other in (("blurred", "sharp"), ("sharp", "blurred")):
        alone = [name for name in sides[side] if name not in sides[other]]
        if alone:
            message = f"{label}: {side} without {other}: {some(alone)}"
            problems.found.append(Problem(lone, message))
    common = [name for name in sides["blurred"] if name in sides["sharp"]]
    return tuple(Files(name, sides["blurred"][name], sides["sharp"][name]) for name in common)


def some(names: Sequence[str], limit: int = 5) -> str:
    """The first few names, and how many there are in all."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown}, … ({len(names)} in all)"


def in_shards(files: Sequence[Files]) -> tuple[Clip, ...]:
    """Loose pictures in groups, at most `MAX_SHARDS` of them."""
    size = max(1, -(-len(files) // MAX_SHARDS))
    groups = [tuple(files[start : start + size]) for start in range(0, len(files), size)]
    return tuple(Clip(_group_name(group), group, uniform=False) for group in groups)


def _group_name(group: Sequence[Files]) -> str:
    return group[0].name if len(group) == 1 else f"{group[0].name} … {group[-1].name}"


def prefixed(clip: str, files: Iterable[Files]) -> tuple[Files, ...]:
    """The same files, their names led by the clip's."""
    return tuple(Files(f"{clip}/{file.name}", file.blurred, file.sharp) for file in files)


def nested_hint(path: Path, kind: str, inside: str) -> str:
    """ " (did you mean …?)" where the data set lies one folder deeper, or nothing."""
    for child in folders_in(path).values():
        if (child / inside).is_dir():
            return f" (did you mean {kind}:{child}?)"
    return ""
