"""Walks through folders of pictures: sorted, without leftovers, links followed but never twice."""

from __future__ import annotations

import os
import stat
import unicodedata
from pathlib import Path

from nas.data.leftovers import AGAIN, FOLDER, LOOP, NO_FILE, PICTURE, kind_of_file, leftover
from nas.data.problems import Problems

_Id = tuple[int, int]  # a folder's device and number on it: the same through every link


def one_form(name: str) -> str:
    """Return the name in Unicode's composed form: macOS writes another than other systems do."""
    return unicodedata.normalize("NFC", name)


def existing(path: Path) -> Path:
    """Return the path as the disk has it, where its names differ in Unicode form only."""
    if path.exists() or str(path.parent) == str(path):
        return path
    parent = existing(path.parent)
    try:
        names = [entry.name for entry in os.scandir(parent)]
    except OSError:
        return path
    same = [name for name in names if one_form(name) == one_form(path.name)]
    return parent / (same[0] if same else path.name)


def folders_in(folder: Path, problems: Problems) -> dict[str, Path]:
    """Return the folders directly inside, by name, sorted; none where `folder` is missing.

    Leftovers, and links back to a folder that they lie in, are passed over.
    """
    folders: dict[str, Path] = {}
    for path, mode in _entries(folder, problems):
        if not stat.S_ISDIR(mode):
            problems.pass_over(path, kind_of_file(path.name) or PICTURE)
        elif _is_leftover(path, problems) or (path.is_symlink() and _leads_back(path, problems)):
            continue
        elif (name := one_form(path.name)) in folders:
            problems.error(twice(folder, folders[name], path))
        else:
            folders[name] = path
    return dict(sorted(folders.items()))


def files_in(folder: Path, problems: Problems, deep: bool = False) -> list[Path]:
    """Return the files inside that may be pictures by their names, sorted.

    With `deep` files in folders inside are returned, too. Of links to one folder the first is
    followed, and none to a folder that is read anyway: a picture under two names could be both
    trained on and held out. Links that lead nowhere are returned as files, so that whoever reads
    them reports them.
    """
    files: list[Path] = []
    links: list[Path] = []
    seen = {_id(folder)}
    waiting = [folder]
    while waiting or links:
        if not waiting:
            link = links.pop(0)
            if not _leads_back(link, problems) and _is_new(link, seen, problems):
                waiting.append(link)
            continue
        for path, mode in _entries(waiting.pop(), problems):
            if not stat.S_ISDIR(mode):
                if _may_be_picture(path, mode, problems):
                    files.append(path)
            elif deep and not _is_leftover(path, problems):
                if path.is_symlink():
                    links.append(path)
                elif _is_new(path, seen, problems):
                    waiting.append(path)
            elif not deep and not _is_leftover(path, problems):
                problems.pass_over(path, FOLDER)
        links.sort()
    return sorted(files, key=lambda path: [one_form(part) for part in path.parts])


def twice(folder: Path, one: Path, other: Path) -> str:
    """Return the message for two files or folders of one name."""
    alike = one_form(one.name) == one_form(other.name) and one.name != other.name
    forms = ", one name in two Unicode forms" if alike else ""
    return f"{folder} holds {one.name} and {other.name}{forms}: keep one of them"


def _entries(folder: Path, problems: Problems) -> list[tuple[Path, int]]:
    """Return the paths in a folder, sorted, with their `st_mode` (0 of a link that
    leads nowhere).
    """
    try:
        return [(path, _mode(path)) for path in sorted(folder.iterdir())]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        problems.error(f"the folder {folder} can't be read ({error.strerror})")
        return []


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        if path.is_symlink():  # left to whoever reads it
            return 0
        raise


def _is_leftover(path: Path, problems: Problems) -> bool:
    kind = leftover(path.name)
    if kind is not None:
        problems.pass_over(path, kind)
    return kind is not None


def _may_be_picture(path: Path, mode: int, problems: Problems) -> bool:
    kind = kind_of_file(path.name)
    if kind is None and mode and not stat.S_ISREG(mode):
        kind = NO_FILE
    if kind is not None:
        problems.pass_over(path, kind)
    return kind is None


def _leads_back(link: Path, problems: Problems) -> bool:
    if _id(link) not in _ids_above(link.parent):
        return False
    problems.pass_over(link, LOOP)
    problems.warn(f"{link} is a link back to {link.resolve()}, which it lies in: passed over")
    return True


def _is_new(folder: Path, seen: set[_Id], problems: Problems) -> bool:
    """Return whether a folder was not read yet; from now on it counts as read."""
    if _id(folder) in seen:
        problems.pass_over(folder, AGAIN)
        return False
    seen.add(_id(folder))
    return True


def _id(path: Path) -> _Id:
    status = path.stat()
    return status.st_dev, status.st_ino


def _ids_above(folder: Path) -> set[_Id]:
    """Return the ids of the folder and of all that it lies in, by its own path and by
    its real one.
    """
    real, named = folder.resolve(), folder.absolute()
    return {_id(one) for one in (real, *real.parents, named, *named.parents)}
