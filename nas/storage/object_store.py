"""A run's finished trials on object storage, by a URL that fsspec knows.

    URL/NAME/run.json                  whose trials these are; NAME is that of the run's folder
    URL/NAME/trials/00012/...          a trial's folder
    URL/NAME/trials/00012/files.json   what belongs to the trial, with checksums
    URL/NAME/trials/00012/result.json  written last: with it the trial is there
    URL/NAME/weights/KEY/...           the weights that a result names

The search works in its own folder; the store gets copies. Nothing is believed without its
checksum, so that no store has to write atomically.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, final
from urllib.parse import urlsplit

from nas.errors import ConfigError, NasError, RunError, one_line
from nas.storage.run_folder import ARTIFACTS, RESULT, RunFolder, trial_name
from nas.system.files import read_json, write_atomically, write_json
from nas.system.hashing import content_key, file_sha256

SENT = "sent.json"  # in a trial's folder: that its copy is there
FILES = "files.json"  # in a trial's copy: its files with their checksums
ANSWER_SECONDS = 30.0
_BATCH = 200
_FOLDERS = ("file", "local")  # whose stores have folders, which are made as they are needed
Value = TypeVar("Value")


class StoreError(RunError):
    """The store does not answer, refuses, or gives back other content than it was given."""


@final
class ObjectStore:
    """The copies of the run `name` below `url`; raises ConfigError for a URL that can't be used.

    Every method raises StoreError where the store does not do as it is asked.
    """

    def __init__(self, url: str, name: str) -> None:
        self.url = checked(url)
        self.where = f"{self.url}/{name}"
        self._fs, base = _file_system(self.url)
        self._base = f"{base.rstrip('/')}/{name}"
        self._weights: set[tuple[str, str]] = set()  # sent by this process, with their checksums

    @classmethod
    def of(cls, run: RunFolder) -> ObjectStore | None:
        """Return the store that a run's folder names; None where it names none."""
        path = run.path / ARTIFACTS
        return cls(read_json(path)["url"], run.path.resolve().name) if path.exists() else None

    def claim(self, run: RunFolder) -> None:
        """Note the store in the run's folder and the run in the store, as far as there is one.

        A folder without a run gets the run that is in the store. Raises RunError where the store
        has another run under this name.
        """
        with self._asked():
            theirs = within(ANSWER_SECONDS, lambda: self._read("run.json"))
        path = run.path / "run.json"
        if theirs is None and path.exists():
            content = path.read_bytes()
            with self._asked():
                within(ANSWER_SECONDS, lambda: self._fs.pipe_file(self._at("run.json"), content))
        elif theirs is not None and not path.exists():
            write_atomically(path, lambda file: file.write(theirs))
        elif theirs is not None and _study(json.loads(theirs)) != _study(run.description()):
            raise RunError(
                f"{self.where} holds another run than {run.path}: name this run's folder "
                "otherwise, or choose another place"
            )
        if path.exists():
            write_json(run.path / ARTIFACTS, {"url": self.url})

    def send(self, run: RunFolder, number: int) -> None:
        """Copy a finished trial, its result last; nothing where its copy is there already."""
        if self.has(run, number):
            return
        content = run.result(number).read_bytes()
        result = json.loads(content)
        names = _names(run, number, result.get("weights"))
        about = {name: _about(run.path / name) for name in names}
        folder = trial_name(number)
        about[f"{folder}/{RESULT}"] = _about_bytes(content)
        with self._asked():
            self._refuse_another(number, result["key"])
            for name in names:
                self._send_file(run.path / name, name, about[name])
            listed = json.dumps({"key": result["key"], "files": about}, indent=1)
            self._fs.pipe_file(self._at(f"{folder}/{FILES}"), listed.encode())
            self._fs.pipe_file(self._at(f"{folder}/{RESULT}"), content)
        self._mark(run, number, content)

    def has(self, run: RunFolder, number: int) -> bool:
        """Return whether the run's folder says that this result was copied to the store."""
        with contextlib.suppress(RunError):
            mark = read_json(run.trial(number) / SENT)
            result = file_sha256(run.result(number))
            return bool(mark == {"to": self.where, "result": result})
        return False

    def numbers(self) -> set[int]:
        """Return the numbers of the trials of which the store has any file."""
        with self._asked():
            self._fs.invalidate_cache()
            try:
                paths = self._fs.ls(self._at("trials"), detail=False)
            except FileNotFoundError:
                return set()
        names = (str(path).rstrip("/").rpartition("/")[2] for path in paths)
        return {int(name) for name in names if re.fullmatch(r"\d+", name)}

    def restore(self, run: RunFolder) -> int:
        """Write the results that only the store has into the run's folder; return their number.

        Their other files are fetched once they are needed. A copy that is not whole is left alone:
        its trial is done again.
        """
        missing = sorted(self.numbers() - run.finished_numbers())
        restored = 0
        for start in range(0, len(missing), _BATCH):
            batch = missing[start : start + _BATCH]
            lists, results = self._read_all(batch, FILES), self._read_all(batch, RESULT)
            for number, listed, content in zip(batch, lists, results, strict=True):
                if listed is None or content is None:
                    continue
                about = json.loads(listed)["files"][f"{trial_name(number)}/{RESULT}"]
                if _about_bytes(content) == about:
                    path = run.result(number)
                    write_atomically(path, lambda file, c=content: file.write(c))  # type: ignore[misc]
                    self._mark(run, number, content)
                    restored += 1
        return restored

    def fetch(self, run: RunFolder, number: int, name: str) -> None:
        """Write a file of a trial, by its name below the run's folder, to its place there."""
        with self._asked():
            listed = self._read(f"{trial_name(number)}/{FILES}")
            content = self._read(name)
        about = json.loads(listed)["files"].get(name) if listed is not None else None
        if about is None or content is None:
            raise StoreError(f"{self.where} has no {name} of trial {number}")
        if _about_bytes(content) != about:
            raise StoreError(
                f"{self.where}/{name} is damaged: it has another checksum than {FILES} says"
            )
        write_atomically(run.path / name, lambda file: file.write(content))

    def _at(self, name: str) -> str:
        return f"{self._base}/{name}"

    def _read(self, name: str) -> bytes | None:
        try:
            return bytes(self._fs.cat_file(self._at(name)))
        except FileNotFoundError:
            return None

    def _read_all(self, numbers: Sequence[int], name: str) -> list[bytes | None]:
        """Return one file of several trials, None where one is missing; read side by side."""
        paths = [self._at(f"{trial_name(number)}/{name}") for number in numbers]
        with self._asked():
            answers = self._fs.cat(paths, on_error="return")
            by_name = answers if isinstance(answers, dict) else {paths[0]: answers}
            for content in by_name.values():
                if isinstance(content, Exception) and not isinstance(content, FileNotFoundError):
                    raise content
        at = {str(path).lstrip("/"): content for path, content in by_name.items()}
        read = (at.get(path.lstrip("/")) for path in paths)
        return [content if isinstance(content, bytes) else None for content in read]

    def _send_file(self, path: Path, name: str, about: dict[str, Any]) -> None:
        weights = (name, about["sha256"])
        if weights in self._weights:
            return
        self._fs.put_file(str(path), self._at(name))
        self._fs.invalidate_cache()
        size = self._fs.info(self._at(name))["size"]
        if size != about["bytes"]:
            raise StoreError(
                f"{self.where}/{name} has {size} bytes, {about['bytes']} were sent: "
                "was the file changed meanwhile?"
            )
        if name.startswith("weights/"):
            self._weights.add(weights)

    def _refuse_another(self, number: int, key: str) -> None:
        """Raise RunError where the store has another candidate under this number."""
        listed = self._read(f"{trial_name(number)}/{FILES}")
        theirs = json.loads(listed)["key"] if listed is not None else key
        if theirs != key:
            raise RunError(
                f"{self.where} has another candidate as trial {number} ({theirs}, here {key}): "
                "another search writes there, too. Stop one of the two"
            )

    def _mark(self, run: RunFolder, number: int, content: bytes) -> None:
        mark = {"to": self.where, "result": _about_bytes(content)["sha256"]}
        write_json(run.trial(number) / SENT, mark)

    @contextlib.contextmanager
    def _asked(self) -> Iterator[None]:
        """Turn the errors of whichever library serves the store into StoreError."""
        try:
            yield
        except NasError:
            raise
        except Exception as error:
            kind = type(error).__name__
            raise StoreError(f"{self.where} refuses: {kind}: {one_line(error)}") from error


def fetched(run: RunFolder, number: int, name: str) -> Path:
    """Return the path of a trial's file; it is fetched first where only its copy is left.

    `name` is the file's path below the run's folder. The file may be missing all the same: then
    neither the folder nor its object store has it. Raises RunError where a copy can't be had.
    """
    path = run.path / name
    if not path.exists():
        store = ObjectStore.of(run)
        if store is not None:
            store.fetch(run, number, name)
    return path


def checked(url: str) -> str:
    """Return the URL without a slash at its end; ConfigError for no URL, or one with a password."""
    parts = urlsplit(url)
    if not parts.scheme or "://" not in url or not (parts.netloc or parts.path.strip("/")):
        raise ConfigError(
            f"artifacts {url!r}: expected a URL, such as s3://BUCKET/PREFIX or file:///FOLDER"
        )
    if parts.password or "@" in parts.netloc:
        raise ConfigError(
            f"artifacts {url.rpartition('@')[2]!r}: give credentials as the store's own library "
            "reads them (for s3 AWS_ACCESS_KEY_ID and the like), not in the URL, which is kept"
        )
    return url.rstrip("/")


def within(seconds: float, do: Callable[[], Value]) -> Value:
    """Return or raise what `do` does; TimeoutError after `seconds`: its thread is left behind."""
    ended: list[tuple[Value | None, BaseException | None]] = []

    def run() -> None:
        try:
            ended.append((do(), None))
        except BaseException as error:
            ended.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not ended:
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    value, error = ended[0]
    if error is not None:
        raise error
    return value  # type: ignore[return-value]


def _file_system(url: str) -> tuple[Any, str]:
    try:
        import fsspec.core
    except ImportError as error:
        raise ConfigError(
            "object storage needs fsspec; install it: pip install 'portable-nas[object-storage]'"
        ) from error
    options = {"auto_mkdir": True} if urlsplit(url).scheme in _FOLDERS else {}
    try:
        system, path = fsspec.core.url_to_fs(url, **options)
    except (ImportError, ValueError) as error:
        raise ConfigError(
            f"artifacts {url}: {error}. For s3:// pip install 'portable-nas[object-storage]'"
        ) from error
    return system, str(path)


def _names(run: RunFolder, number: int, weights: str | None) -> list[str]:
    """Return the files of a trial besides its result, by name below the run's folder."""
    paths = sorted(path for path in run.trial(number).rglob("*") if path.is_file())
    names = [
        path.relative_to(run.path).as_posix()
        for path in paths
        if not path.name.startswith(".") and path.name not in (RESULT, SENT)
    ]
    if weights is not None and (run.path / weights).is_file():
        names.insert(0, weights)
    return names


def _about(path: Path) -> dict[str, Any]:
    return {"sha256": file_sha256(path), "bytes": path.stat().st_size}


def _about_bytes(content: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _study(description: dict[str, Any]) -> str:
    """A run's study by content; its pictures may be elsewhere on another machine."""
    study = dict(description["study"])
    return content_key({**study, "data": {**study["data"], "spec": ""}})
