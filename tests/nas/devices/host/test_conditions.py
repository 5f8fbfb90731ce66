"""A figure that was taken beside other work is none: what says so, and who refuses a verdict."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.verdict import undisturbed
from nas.devices.host import conditions as host_conditions
from nas.devices.host.conditions import alone, disturbed, others_disturb
from nas.errors import BusyMachineError


@pytest.mark.parametrize(
    ("cores", "busy", "threads", "refused"),
    [
        (2, 0.2, 2, False),
        (2, 0.3, 2, True),
        (4, 0.3, 1, False),
        (4, 0.31, 1, True),
        (64, 4.0, 2, False),
        (64, 7.0, 2, True),
    ],
)
def test_others_disturb_where_they_take_more_than_a_tenth_of_what_is_free(
    monkeypatch: pytest.MonkeyPatch, cores: int, busy: float, threads: int, refused: bool
) -> None:
    monkeypatch.setattr(host_conditions.os, "cpu_count", lambda: cores)
    said = others_disturb(busy, threads)
    assert (said is not None) == refused
    assert said is None or said == f"others used {busy:.1f} of this machine's {cores} cores"


@pytest.mark.parametrize(("slow", "said"), [(2, None), (3, "slow in 3 of 5 launches (1.6 times")])
def test_a_processor_that_was_mostly_slow_is_told(slow: int, said: str | None) -> None:
    pace = {"best_ms": 1.0, "slow_launches": slow, "launches_ms": [1.0] * (5 - slow) + [1.6] * slow}
    found = disturbed(0.0, pace, 2)
    assert (found is None) if said is None else (found is not None and said in found)


@pytest.mark.parametrize(
    ("launches_ms", "said"),
    [
        ((866.0, 3197.0, 900.0), "launches of the same file took 866 to 3,197 ms"),
        ((10.0, 15.0, 12.0), None),
        ((10.0, 15.1, 12.0), "launches of the same file took 10 to 15.1 ms"),
        ((700.0,), None),
    ],
)
def test_launches_that_disagree_are_told(launches_ms: tuple[float, ...], said: str | None) -> None:
    pace = {"best_ms": 1.0, "slow_launches": 0, "launches_ms": [1.0] * len(launches_ms)}
    assert disturbed(0.0, pace, 1, launches_ms) == said


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """What the clock and the processor's busy seconds are, one after another."""
    seconds = [0.0, 10.0]
    busy = [100.0, 100.0]
    monkeypatch.setattr(host_conditions.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(host_conditions.time, "monotonic", lambda: seconds.pop(0))
    monkeypatch.setattr(host_conditions, "own_seconds", lambda: 5.0)
    monkeypatch.setattr(host_conditions, "busy_seconds", lambda: busy.pop(0))
    return busy


def test_a_benchmark_on_a_quiet_machine_has_its_verdict(others: list[float]) -> None:
    others[1] += 2.0
    with alone("a benchmark"):
        pass


def test_a_benchmark_beside_other_work_has_none(
    others: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    others[1] += 9.0
    with pytest.raises(SystemExit) as caught, undisturbed("benchmarks.asking"):
        pass
    assert caught.value.code == BusyMachineError.exit_code == 8
    assert "no verdict on benchmarks.asking: others used 0.9 of this" in capsys.readouterr().err


def test_what_a_child_process_works_is_our_own() -> None:
    before = host_conditions.own_seconds()
    program = "import time\nwhile time.process_time() < 0.5: pass\nprint(1, flush=True)\ninput()"
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    alive = host_conditions.own_seconds() - before
    child.communicate(b"\n")
    assert alive > 0.4
    assert host_conditions.own_seconds() - before > 0.4


def test_benchmarks_that_take_times_are_run_so() -> None:
    """Whoever reads a clock of its own in a benchmark asks whether others had the machine."""
    folder = Path(__file__).parents[4] / "benchmarks"
    other_work = {
        "phones.py",
        "portable_exhaustive.py",
        "simulated_cluster.py",
        "searches.py",
        "supernet_ranking.py",
    }
    timed = [path for path in folder.glob("*.py") if "perf_counter()" in path.read_text()]
    assert len(timed) > 4
    for path in timed:
        if path.name not in other_work:
            assert "with undisturbed(" in path.read_text(), path.name
