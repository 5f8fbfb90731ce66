"""Where this user's caches are."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "NAS_CACHE_DIR"


def cache_folder() -> Path:
    """Where packs live: `$NAS_CACHE_DIR`, or the user's cache."""
    given = os.environ.get(CACHE_VARIABLE)
    return Path(given) if given else platformdirs.user_cache_path("portable-nas")
