"""Where this user's caches and locks are."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "NAS_CACHE_DIR"
LOCK_VARIABLE = "NAS_LOCK_DIR"


def cache_folder() -> Path:
    """Return the folder of what can be made again: `$NAS_CACHE_DIR`, or the user's cache."""
    return _given(CACHE_VARIABLE)


def lock_folder() -> Path:
    """Return the folder of locks between processes: `$NAS_LOCK_DIR`, or the user's cache.

    It is another one than `cache_folder` where somebody keeps the caches on a shared disk: a lock
    belongs to one machine.
    """
    return _given(LOCK_VARIABLE)


def _given(variable: str) -> Path:
    folder = os.environ.get(variable)
    return Path(folder) if folder else platformdirs.user_cache_path("portable-nas")
