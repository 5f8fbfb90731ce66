"""The session: interleaved, kept as it goes, resumed after a kill, honest about refusals."""

import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nas.devices import TimingProtocol
from nas.errors import ConfigError, DeviceStableError
from nas.predictor import microbenchmarks
from nas.predictor.fitting import FittingSpace, plan_of
from tests.helpers.small_study import small_study

PROTOCOL = TimingProtocol()


class Fake:
    """A session that counts, and can stop or refuse."""

    def __init__(self, stop_after: int | None = None, refuses: int | None = None) -> None:
        self.repeats, self.count, self.lanes = True, 0, 1
        self.stop_after, self.refuses = stop_after, refuses
        self.files: list[bytes] = []

    def time(self, artifact: Path) -> float:
        self.count += 1
        if self.count == self.stop_after:
            raise KeyboardInterrupt
        content = artifact.read_bytes()
        if len(content) == self.refuses:
            raise DeviceStableError("phone X: nnapi_error:\n no")
        self.files.append(content)
        return float(self.count)


def _opened(monkeypatch: pytest.MonkeyPatch, session: Fake) -> Fake:
    @contextmanager
    def opened(spec: str, protocol: TimingProtocol) -> Iterator[Fake]:
        yield session

    monkeypatch.setattr(microbenchmarks, "open_session", opened)
    return session


def _plan() -> microbenchmarks.SessionPlan:
    space = FittingSpace.of(small_study())
    return plan_of(space, space.draw(4, seed=0))


def _measured(kept: Path, plan: microbenchmarks.SessionPlan) -> microbenchmarks.Timings:
    return microbenchmarks.measure("host", plan, PROTOCOL, kept, lambda done, total: None)


def test_each_pass_times_every_file_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    session, plan = _opened(monkeypatch, Fake()), _plan()
    found = _measured(tmp_path / "m.json", plan)
    files = len(plan.files())
    assert session.count == files * microbenchmarks.PASSES
    assert {len(times) for times in found.times_ms.values()} == {microbenchmarks.PASSES}
    first, second = session.files[:files], session.files[files : 2 * files]
    assert Counter(first) == Counter(second)
    assert first != second  # in another order


def test_a_stopped_session_goes_on_where_it_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan, kept = _plan(), tmp_path / "m.json"
    _opened(monkeypatch, Fake(stop_after=20))
    with pytest.raises(KeyboardInterrupt):
        _measured(kept, plan)
    assert sum(map(len, microbenchmarks.Timings.from_file(kept).times_ms.values())) == 19
    session = _opened(monkeypatch, Fake())
    whole = _measured(kept, plan)
    assert session.count == len(plan.files()) * microbenchmarks.PASSES - 19
    assert {len(times) for times in whole.times_ms.values()} == {microbenchmarks.PASSES}
    again = _opened(monkeypatch, Fake())
    assert _measured(kept, plan).times_ms == whole.times_ms
    assert again.count == 0


def test_a_damaged_file_of_timings_is_measured_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = tmp_path / "m.json"
    kept.write_text('{"times_ms": 3')
    plan, session = _plan(), _opened(monkeypatch, Fake())
    _measured(kept, plan)
    assert session.count == len(plan.files()) * microbenchmarks.PASSES


def test_a_refusal_is_a_result_and_is_not_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan = _plan()
    path = next(iter(plan.files().values()))(tmp_path / "one.tflite")
    _opened(monkeypatch, Fake(refuses=len(path.read_bytes())))
    found = _measured(tmp_path / "m.json", plan)
    assert found.refused
    assert set(found.refused.values()) == {"phone X: nnapi_error: no"}
    assert not set(found.refused) & set(found.times_ms)


def test_a_device_that_runs_nothing_is_an_error() -> None:
    plan = _plan()
    refused = dict.fromkeys(plan.files(), "no such thing")
    with pytest.raises(ConfigError, match=r"brick runs no operation in float32: no such thing"):
        microbenchmarks.fitted(plan, microbenchmarks.Timings(refused=refused), {"device": "brick"})


def test_files_are_timed_side_by_side_where_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    session, plan = _opened(monkeypatch, Fake()), _plan()
    session.repeats, session.lanes = False, 3
    both, entered = threading.Barrier(2, timeout=20), itertools.count()
    alone = session.time

    def meeting(artifact: Path) -> float:
        if next(entered) < 2:
            both.wait()  # passed only by two threads at once
        return alone(artifact)

    monkeypatch.setattr(session, "time", meeting)
    found = _measured(tmp_path / "m.json", plan)
    assert set(found.times_ms) == set(plan.files())
    assert all(len(times) == 1 for times in found.times_ms.values())
    assert session.count == len(plan.files())
