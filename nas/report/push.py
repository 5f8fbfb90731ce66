"""Puts an exported model on the Hugging Face Hub, after a look at what would be put there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import ConfigError, HubError, RunError
from nas.system.files import read_json
from nas.system.hashing import file_sha256

CARD = "README.md"
UNCHOSEN = "to-be-chosen"  # the licence's name that an export writes


@dataclass(frozen=True)
class Upload:
    """What a push would do: each file with its bytes, and what stands in its way.

    `front_matter` is the card's, as the Hub reads it. `obstacles` are sentences; empty where
    nothing does.
    """

    repo: str
    folder: Path
    title: str
    front_matter: dict[str, Any]
    files: tuple[tuple[str, int], ...]
    obstacles: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """The bytes of all files together."""
        return sum(size for _, size in self.files)


def planned_upload(folder: Path, repo: str) -> Upload:
    """Look at an exported model's folder; nothing is sent, and no network is needed.

    Raises ConfigError where `repo` is no name on the Hub or `folder` no exported model, RunError
    where a file is not what was exported.
    """
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", repo):
        raise ConfigError(f"{repo!r} is no repository of the Hub: expected USER/NAME")
    if not (folder / "card.json").is_file() or not (folder / CARD).is_file():
        raise ConfigError(
            f"{folder} is no exported model: it has no card.json and {CARD}. `nas export RUN --out "
            "DIR` writes one folder a model"
        )
    _check_files(folder)
    front_matter, title = _card(folder / CARD)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = tuple((path.relative_to(folder).as_posix(), path.stat().st_size) for path in paths)
    obstacles = []
    if front_matter.get("license_name") == UNCHOSEN:
        obstacles.append(
            f"the card has no licence yet: put one in place of {UNCHOSEN!r} in {folder / CARD}"
        )
    return Upload(repo, folder, title, front_matter, files, tuple(obstacles))


def _check_files(folder: Path) -> None:
    """Raise RunError where a file of the export is gone or is another one now."""
    for name, known in read_json(folder / "card.json")["files"].items():
        path = folder / name
        if not path.is_file() or file_sha256(path) != known["sha256"]:
            state = "is not the file that was exported" if path.is_file() else "is missing"
            raise RunError(f"{path} {state}; export the model again")


def _card(path: Path) -> tuple[dict[str, Any], str]:
    from huggingface_hub import ModelCard

    try:
        card = ModelCard.load(path)
    except ValueError as error:
        raise ConfigError(f"{path}: the Hub can't read its front matter: {error}") from error
    title = re.search(r"^# (.+)$", card.text, re.MULTILINE)
    return card.data.to_dict(), title[1] if title else path.parent.name


def push(upload: Upload, private: bool) -> str:
    """Upload the folder and return the repository's address.

    Raises ConfigError where something stands in its way, HubError where the Hub refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    if upload.obstacles:
        raise ConfigError("; ".join(upload.obstacles))
    api = HfApi()
    try:
        api.create_repo(upload.repo, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=upload.repo, folder_path=upload.folder, commit_message=upload.title
        )
    except (HfHubHTTPError, OSError) as error:
        raise HubError(
            f"{upload.repo} was not pushed: {error}; `hf auth login` signs in"
        ) from error
    return str(done)
