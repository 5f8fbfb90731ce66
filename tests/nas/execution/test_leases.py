import pytest

from nas.execution.leases import Leases, in_words


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _leases() -> tuple[Leases, Clock]:
    clock = Clock()
    return Leases(clock, attempts=3, patience_s=60.0), clock


def test_a_sign_of_life_moves_the_deadline() -> None:
    leases, clock = _leases()
    leases.take(7, "trial", "a")
    clock.now += 59
    assert leases.overdue() == []
    leases.heard("a", "training", 5, 10)
    clock.now += 59
    assert leases.overdue() == []
    clock.now += 2
    assert [lease.worker for lease in leases.overdue()] == ["a"]
    (lease,) = leases
    assert lease.to_dict(clock.now)["for_s"] == 120.0
    assert (lease.stage, lease.done, lease.total) == ("training", 5, 10)


def test_a_measurement_has_no_deadline_here() -> None:
    leases, clock = _leases()
    leases.take(7, "adb:A", "phone", limited=False)
    clock.now += 1e6
    assert leases.overdue() == []


def test_attempts_are_counted_by_trial_and_place_and_end() -> None:
    leases, _ = _leases()
    again = []
    for attempt in (1, 2, 3):
        assert leases.take(7, "trial", "a").attempt == attempt
        found = leases.lost("a", f"cause {attempt % 2}")
        assert found is not None
        again.append(found[1])
    assert again == [True, True, False]
    assert leases.take(7, "adb:A", "b").attempt == 1
    assert leases.take(8, "trial", "c").attempt == 1
    assert in_words(leases.causes[7, "trial"]) == "cause 1 (2x); cause 0 (1x)"
    leases.forget(7)
    assert leases.causes == {}
    assert leases.take(7, "trial", "a").attempt == 1


def test_a_worker_has_one_thing_to_do() -> None:
    leases, _ = _leases()
    leases.take(7, "trial", "a")
    with pytest.raises(ValueError, match="a already works on trial 7"):
        leases.take(8, "trial", "a")
    assert leases.done("a") is not None
    assert leases.done("a") is None
    assert leases.lost("a", "late") is None
    assert len(leases) == 0
