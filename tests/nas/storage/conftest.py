import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.postgresql import own_database


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    """The URL of a database of the tests' own; skips where PostgreSQL is not installed."""
    with own_database() as url:
        yield url


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place for copies: a folder, or the memory of this process."""
    if request.param == "file":
        return f"file://{tmp_path}/store"
    return f"memory://bucket-{uuid.uuid4().hex}/prefix"
