import pickle
from pathlib import Path

import pytest

from nas.devices import Measurement, TimingProtocol, fleet
from nas.devices.failures import DeviceFailure, Evidence, PhoneStableError
from nas.devices.fleet import Outcome
from nas.errors import ConfigError, DeviceStableError, DeviceTransientError
from nas.execution.measurement_jobs import InHand, MeasureJob, Wanted, unreachable

PHONE = "adb:A?delegate=gpu"
TIMING = TimingProtocol()


def _answer(monkeypatch: pytest.MonkeyPatch, outcome: Outcome | Exception) -> Outcome:
    """What a trial gets where the device says `outcome`, by way of a job, a pickle and a reply."""

    def measured(*_: object) -> list[Outcome]:
        if isinstance(outcome, Exception):
            raise outcome
        return [outcome]

    monkeypatch.setattr("nas.execution.measurement_jobs.measure_everywhere", measured)
    hand = InHand(3, [])
    with pytest.raises(Wanted) as wanted:
        hand(Path("file"), [PHONE], TIMING, Path("cache"))
    (job,) = pickle.loads(pickle.dumps(wanted.value.jobs))
    assert job == MeasureJob(3, Path("file"), PHONE, TIMING, Path("cache"))
    reply = pickle.loads(pickle.dumps(job.run()))
    (found,) = InHand(3, [reply])(Path("file"), [PHONE], TIMING, Path("cache"))
    assert isinstance(found, Outcome)
    return found


def test_a_measurement_comes_back_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    measurement = Measurement(PHONE, "synthetic", ((3.5, 3.4),), 1.0, 3.6, None, ())
    found = _answer(monkeypatch, Outcome(PHONE, measurement, key="abc"))
    assert found == Outcome(PHONE, measurement, key="abc")


def test_a_lasting_refusal_keeps_its_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    error = PhoneStableError("no GPU", DeviceFailure("delegate_refused", "no GPU"), Evidence("A"))
    found = _answer(monkeypatch, Outcome(PHONE, None, error, "abc"))
    assert isinstance(found.error, DeviceStableError)
    assert str(found.error) == "no GPU"
    assert found.key == "abc"
    assert found.error.failure == error.failure


def test_what_is_not_kept_comes_back_in_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = _answer(monkeypatch, Outcome(PHONE, None, DeviceTransientError("unplugged"), lost=True))
    assert isinstance(lost.error, DeviceTransientError)
    assert lost.lost
    assert str(lost.error) == "unplugged"
    with pytest.raises(ConfigError, match="no such delegate"):
        _answer(monkeypatch, ConfigError("no such delegate"))


def test_only_what_is_missing_is_asked_for() -> None:
    job = MeasureJob(3, Path("file"), PHONE, TIMING, Path("cache"))
    hand = InHand(3, [unreachable(job, "its node is gone")])
    with pytest.raises(Wanted) as wanted:
        hand(Path("file"), [PHONE, "host"], TIMING, Path("cache"))
    assert [job.device for job in wanted.value.jobs] == ["host"]
    assert [job.place for job in wanted.value.jobs] == ["host"]
    assert job.place == fleet.physical(PHONE) == "adb:A"
    (outcome,) = hand(Path("file"), [PHONE], TIMING, Path("cache"))
    assert outcome.lost
