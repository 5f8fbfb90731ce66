import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from nas.execution.attempts import DRIVER, attempts
from nas.execution.leases import ATTEMPTS
from nas.execution.trial.task import TrialProgress
from nas.search.driver import search
from nas.storage.run_folder import RunFolder
from tests.helpers.quick_search import Stops, quick_study
from tests.helpers.trials import Kills


def _killed(log: Path, *stages: tuple[str, int]) -> int:
    """The number of an attempt that came to these stages and was killed."""
    number = attempts(log).count + 1
    rows: list[dict[str, Any]] = [{"event": "given", "worker": DRIVER}]
    rows += [{"event": "stage", "stage": s, "done": n, "total": 1000} for s, n in stages]
    with log.open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return number


def test_the_same_end_again_and_again_uses_up_the_attempts(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    for number in range(1, ATTEMPTS + 1):
        assert not attempts(log).used_up
        assert _killed(log, ("cost", 0), ("training", 10)) == number
    assert attempts(log).used_up
    why = attempts(log).why(tmp_path)
    assert "in each of 3 attempts, the last one in training, and none got further" in why
    assert f"remove {tmp_path} to have it done again" in why


def test_progress_counts_anew(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    for done in range(0, 900, 100):
        assert not attempts(log).used_up
        _killed(log, ("cost", 0), ("training", done))
    assert [_killed(log, ("cost", 0), ("training", 805)) for _ in range(2)] == [2, 3]
    assert attempts(log).used_up


@pytest.mark.parametrize(
    "line",
    [
        {"event": "ended", "state": "failed"},
        {"event": "stopped"},
        {"event": "rests", "rung": 1},
        {"event": "given", "place": "trial", "worker": "process-3", "attempt": 1},
    ],
)
def test_an_end_in_order_is_no_attempt(tmp_path: Path, line: dict[str, Any]) -> None:
    log = tmp_path / "log.jsonl"
    for _ in range(ATTEMPTS):
        _killed(log, ("cost", 0))
    with log.open("a") as file:
        file.write(json.dumps(line) + "\n")
    assert attempts(log).count == 0


def test_a_damaged_line_is_passed_over(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    _killed(log, ("cost", 0))
    with log.open("ab") as file:
        file.write(b'{"event": "giv\xff\n5\n{"event": "given"}\n')
    assert _killed(log, ("cost", 0)) == 2


def test_a_candidate_that_kills_the_driver_fails_in_the_end(tmp_path: Path) -> None:
    marks, out = tmp_path / "marks", tmp_path / "run"
    marks.mkdir()
    (marks / "0").touch()  # the trial that is to kill comes when this one is there
    study = quick_study(evaluators=(Kills(str(marks), ATTEMPTS + 1),), sampler="random")

    def start(trials: int) -> int:
        pid = os.fork()
        if pid == 0:
            try:
                search(study, out, trials)
                os._exit(0)
            finally:
                os._exit(1)
        return os.waitpid(pid, 0)[1]

    for _ in range(ATTEMPTS):
        assert os.WTERMSIG(start(3)) == signal.SIGKILL
    assert start(3) == 0
    results = RunFolder(out).results()
    assert [result.state for result in results] == ["failed", "infeasible", "infeasible"]
    assert results[0].failure is not None
    assert results[0].failure.kind == "DriverDied"
    assert "in each of 3 attempts, the last one in cost" in results[0].failure.message
    assert [attempts(log).count for log in sorted(out.glob("trials/*/log.jsonl"))] == [0, 0, 0]


def test_ctrl_c_is_no_attempt(tmp_path: Path) -> None:
    class AtOnce(Stops):
        def progress(self, progress: TrialProgress) -> None:
            if progress.stage != "in line":  # the trial has begun
                raise KeyboardInterrupt

    for _ in range(ATTEMPTS + 1):
        try:
            search(quick_study(), tmp_path, 1, watcher=AtOnce(1))
        except KeyboardInterrupt:
            continue
        raise AssertionError("not stopped")
    search(quick_study(), tmp_path, 1)
    assert RunFolder(tmp_path).results()[0].state == "infeasible"
