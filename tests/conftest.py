"""What every test needs: locks and caches of its own, quiet logs, a terminal like any other."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
for _name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "GITHUB_ACTIONS"):
    os.environ.pop(_name, None)  # how wide and colourful the caller would have it


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache and lock folder for this process of the test run."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["NAS_CACHE_DIR"] = str(folder)
    os.environ["NAS_LOCK_DIR"] = str(folder)
    return folder
