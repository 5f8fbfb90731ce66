"""The folders in which this user's caches and locks lie."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "NAS_CACHE_DIR"
"""The variable of the environment that names the folder of caches."""
LOCK_VARIABLE = "NAS_LOCK_DIR"
"""The variable of the environment that names the folder of locks."""


def cache_folder() -> Path:
    """Return the folder of files that can be made again: `$NAS_CACHE_DIR`, or the user's cache."""
    return _folder(CACHE_VARIABLE)


def lock_folder() -> Path:
    """Return the folder of locks between processes: `$NAS_LOCK_DIR`, or the user's cache.

    Somebody who keeps the caches on a shared disk gives another folder here, as a lock belongs to
    one machine.
    """
    return _folder(LOCK_VARIABLE)


def _folder(variable: str) -> Path:
    folder = os.environ.get(variable)
    return Path(folder) if folder else platformdirs.user_cache_path("portable-nas")
