"""Lists a data set's pairs of files, clip by clip, with everything that is wrong with them.

Listing reads no picture and raises no error for what lies in the folders: everything wrong becomes
a `Problem`, so that a check can report all of it at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nas.data.leftovers import is_archive, what_lies
from nas.data.problems import Problem, Problems, Severity
from nas.data.walk import files_in, folders_in, one_form, twice

MAX_SHARDS = 256  # a pack keeps every shard open


@dataclass(frozen=True)
class Files:
    """The two files of a pair, and its name."""

    name: str
    blurred: Path
    sharp: Path


@dataclass(frozen=True)
class Clip:
    """Pairs that become one shard; `uniform` says that all are frames of one size."""

    name: str
    files: tuple[Files, ...]
    uniform: bool


@dataclass(frozen=True)
class Listing:
    """A data set's files.

    `layout` names the kind of folders; `split` and `task` are what reports say (see
    `nas.data.Dataset`). `passed_over` counts by kind the files and folders that lie there and are
    no pictures of the data set.
    """

    layout: str
    split: str
    task: str
    training: tuple[Clip, ...]
    heldout: tuple[Files, ...]
    problems: tuple[Problem, ...]
    passed_over: Mapping[str, int] = field(default_factory=dict)

    @property
    def errors(self) -> list[str]:
        """The problems that make the data set unusable, in words."""
        return [problem.what for problem in self.problems if problem.severity == "error"]

    @property
    def training_pairs(self) -> int:
        """The number of pairs in all training clips."""
        return sum(len(clip.files) for clip in self.training)


def pictures_in(folder: Path, problems: Problems, deep: bool = False) -> dict[str, Path]:
    """Return the picture files inside by name without suffix, sorted.

    With `deep` they are named by their way from `folder`. Names are in Unicode's composed form.
    Leftovers and other kinds of files are passed over. Two files of one name are an error.
    """
    pictures: dict[str, Path] = {}
    for path in files_in(folder, problems, deep):
        name = one_form(path.relative_to(folder).with_suffix("").as_posix())
        if name in pictures:
            problems.error(twice(folder, pictures[name], path))
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
    """Return the pairs of two folders, by name.

    Files without a partner are problems of severity `lone`, which messages put into `label`. A
    missing or empty folder is an error.
    """
    missing = [folder for folder in (blurred, sharp) if not folder.is_dir()]
    for folder in missing:
        problems.error(f"{label}: the folder {folder} is {no_folder(folder)}")
    if missing:
        return ()
    sides = {"blurred": pictures_in(blurred, problems, deep)}
    sides["sharp"] = pictures_in(sharp, problems, deep)
    empty = [
        folder for folder, side in zip((blurred, sharp), sides.values(), strict=True) if not side
    ]
    for folder in empty:
        problems.error(f"{label}: no picture in {folder}{lies_in(folder, deep)}")
    if empty:
        return ()
    for side, other in (("blurred", "sharp"), ("sharp", "blurred")):
        alone = [name for name in sides[side] if name not in sides[other]]
        if alone:
            message = f"{label}: {side} without {other}: {some(alone)}"
            (problems.error if lone == "error" else problems.warn)(message)
    common = [name for name in sides["blurred"] if name in sides["sharp"]]
    return tuple(Files(name, sides["blurred"][name], sides["sharp"][name]) for name in common)


def some(names: Sequence[str], limit: int = 5) -> str:
    """Return the first few names, and how many there are in all."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown}, … ({len(names)} in all)"


def in_shards(files: Sequence[Files]) -> tuple[Clip, ...]:
    """Put loose pictures into groups, at most `MAX_SHARDS` of them."""
    size = max(1, -(-len(files) // MAX_SHARDS))
    groups = [tuple(files[start : start + size]) for start in range(0, len(files), size)]
    return tuple(Clip(_group_name(group), group, uniform=False) for group in groups)


def _group_name(group: Sequence[Files]) -> str:
    return group[0].name if len(group) == 1 else f"{group[0].name} … {group[-1].name}"


def prefixed(clip: str, files: Iterable[Files]) -> tuple[Files, ...]:
    """Return the same files with the clip's name before theirs."""
    return tuple(Files(f"{clip}/{file.name}", file.blurred, file.sharp) for file in files)


def lies_in(folder: Path, deep: bool = False) -> str:
    """Return ": there lie …" with the files in a folder that are no pictures, or nothing."""
    problems = Problems()
    files_in(folder, problems, deep)
    return what_lies(problems.passed_over)


def lies_beside(folder: Path) -> str:
    """Return ": there lie …" with the files that lie in a folder of folders, or nothing."""
    problems = Problems()
    folders_in(folder, problems)
    return what_lies(problems.passed_over)


def no_folder(path: Path) -> str:
    """Return the reason why a path is no folder to look into."""
    if not path.exists():
        return "missing"
    return "no folder, but a file" + (": unpack it" if is_archive(path.name) else "")
