import os
import resource
import time

import pytest

from nas.devices.host.pipes import read_some


@pytest.fixture
def many_descriptors() -> int:
    """As many as this process may have; skipped where that is too few to tell."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2000:
        if hard != resource.RLIM_INFINITY and hard < 2000:
            pytest.skip(f"this machine allows {hard} descriptors a process")
        resource.setrlimit(resource.RLIMIT_NOFILE, (2000, hard))
    return 1500


def test_answers_are_read_by_descriptors_above_1023_too(many_descriptors: int) -> None:
    reading, writing = os.pipe()
    high = many_descriptors
    os.dup2(reading, high)
    os.close(reading)
    with os.fdopen(high, "rb", buffering=0) as answers:
        assert read_some(answers, time.monotonic() + 0.01) is None
        os.write(writing, b"told\n")
        assert read_some(answers, time.monotonic() + 5) == b"told\n"
        assert read_some(answers, time.monotonic() - 1) is None
        os.close(writing)
        assert read_some(answers, time.monotonic() + 5) == b""
