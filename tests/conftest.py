"""What every test needs: locks and caches of its own, and quiet logs."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache and lock folder for this process of the test run."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["NAS_CACHE_DIR"] = str(folder)
    os.environ["NAS_LOCK_DIR"] = str(folder)
    return folder
