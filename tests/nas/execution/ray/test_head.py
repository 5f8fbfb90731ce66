"""A head that goes away: told once, with how to go on, whether the search notices or hangs."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from nas.errors import ClusterError, ConfigError
from nas.execution.ray import head as rayhead
from nas.execution.ray.cluster import answers, check_service, why_not
from nas.execution.ray.head import HeadWatch, how_to_go_on

RUN = Path("/data/run")


class Head:
    """A head that answers as it is told to, and counts."""

    def __init__(self) -> None:
        self.well = True
        self.asked = 0

    def __call__(self, address: str) -> None:
        self.asked += 1
        if not self.well:
            raise ConfigError(f"no Ray cluster answers at {address}")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rayhead, "ASK_SECONDS", 0.01)
    monkeypatch.setattr(rayhead, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(rayhead, "STUCK_SECONDS", 0.05)


def _until(condition: object) -> None:
    deadline = time.monotonic() + 30
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_head_that_is_gone_is_told_with_the_run_and_the_way_on() -> None:
    head, gave_up = Head(), list[ClusterError]()
    watch = HeadWatch("lab:6379", RUN, head, gave_up.append)
    _until(lambda: head.asked > 3)
    watch.check()
    assert not watch.silent
    head.well = False
    _until(lambda: watch.lost)
    with pytest.raises(ClusterError, match=r"at lab:6379 is gone: .* /data/run is kept") as caught:
        watch.check()
    assert caught.value.exit_code == 7
    assert "\n" not in str(caught.value)
    _until(lambda: gave_up)  # the search hangs in a call of Ray's: its process is ended
    assert str(gave_up[0]) == str(caught.value)


def test_a_head_that_comes_back_in_time_is_no_loss() -> None:
    head, gave_up = Head(), list[ClusterError]()
    watch = HeadWatch("lab:6379", RUN, head, gave_up.append)
    head.well = False
    _until(lambda: watch.silent)
    head.well = True
    _until(lambda: not watch.silent)
    watch.check()
    watch.close()
    assert gave_up == []


def test_a_search_that_stopped_by_itself_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rayhead, "STUCK_SECONDS", 60.0)
    head, gave_up = Head(), list[ClusterError]()
    watch = HeadWatch("lab:6379", RUN, head, gave_up.append)
    head.well = False
    _until(lambda: watch.lost)
    watch.close()
    _until(lambda: threading.active_count() < 50)
    asked = head.asked
    time.sleep(0.1)
    assert (gave_up, head.asked) == ([], asked)


@pytest.mark.parametrize(
    "given",
    [
        ["--ray", "10.0.0.1:6379", "--out", "my run"],
        ["--ray=10.0.0.1:6379", "--out", "my run"],
        ["--out", "my run", "--ray"],
        ["--ray", "local", "--out", "my run"],
        ["--ray", "--out", "my run"],
    ],
)
def test_the_command_that_goes_on_without_ray(given: list[str]) -> None:
    told = how_to_go_on(["/usr/bin/nas", "search", "quickstart", *given])
    assert "`nas search quickstart --out 'my run'`" in told
    assert "`nas node`" in told


def test_a_program_of_ones_own_is_told_of_the_call() -> None:
    assert "without `ray`" in how_to_go_on(["mine.py"])


def test_a_grpc_server_that_is_not_rays_is_told_at_once() -> None:
    """Ray itself would try for minutes, and end in a traceback."""
    server = grpc.server(ThreadPoolExecutor(1))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        answers(address)  # it speaks gRPC
        with pytest.raises(ConfigError, match=f"what answers at {address} is no Ray cluster"):
            check_service(address)
    finally:
        server.stop(None)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nowhere.invalid:6379", "the host 'nowhere.invalid' is unknown here; check it"),
        ("ray://127.0.0.1:10001", "give the head itself, as HOST:PORT without ray://"),
        ("ray://nowhere.invalid:10001", r"\(The host 'nowhere.invalid' is unknown here, too\)"),
        ("ray://", "is that of a Ray Client's server"),
        ("http://127.0.0.1:8265", "expected HOST:PORT, as `nas node` prints it"),
        ("127.0.0.1:99999", "expected HOST:PORT"),
        ("127.0.0.1", "expected HOST:PORT"),
    ],
)
def test_an_address_that_cannot_be(address: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        answers(address)
    assert "\n" not in str(caught.value)


def test_of_a_traceback_only_what_was_raised_is_told() -> None:
    text = (
        'Traceback (most recent call last):\n  File "x.py", line 1, in f\n    g()\nOSError: no way'
    )
    told = why_not("lab:6379", RuntimeError(text))
    assert told.startswith("can't join the cluster at lab:6379: OSError: no way. Is this machine")
