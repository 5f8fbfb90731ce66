"""A Ray cluster of one node, started once for all tests of a process; every driver joins it."""

import socket
from collections.abc import Iterator

import pytest

from nas.execution.ray.node import start_node


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The address of a cluster with two cores and a phone named ABC."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process, address = start_node(None, port, 2, ["ABC:1"])
    yield address
    process.terminate()
    process.wait()
