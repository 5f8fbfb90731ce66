import os
import signal
from pathlib import Path

from nas.attempts import FILE, Attempt
from nas.leases import ATTEMPTS
from nas.search import search
from nas.store import RunFolder
from nas.trial import TrialProgress
from tests.nas.test_executors import Kills
from tests.nas.test_search import Stops, _quick


def _killed(path: Path, *stages: tuple[str, int]) -> Attempt:
    """An attempt that came to these stages and was killed."""
    attempt = Attempt.begin(RunFolder(path), 0)
    if not attempt.is_one_too_many:
        for stage, done in stages:
            attempt.heard(TrialProgress(0, stage, done, 1000))
            attempt.heard(TrialProgress(0, stage, done + 500, 1000))  # never checkpointed
    return attempt


def test_the_same_end_again_and_again_uses_up_the_attempts(tmp_path: Path) -> None:
    for number in range(1, ATTEMPTS + 1):
        assert _killed(tmp_path, ("cost", 0), ("training", 10)).number == number
    last = _killed(tmp_path)
    assert last.is_one_too_many
    assert "in each of 3 attempts, the last one in training, and none got further" in last.why()
    last.end()
    assert _killed(tmp_path).number == 1


def test_progress_counts_anew(tmp_path: Path) -> None:
    for done in range(0, 900, 100):
        assert not _killed(tmp_path, ("cost", 0), ("training", done)).is_one_too_many
    assert [_killed(tmp_path, ("cost", 0), ("training", 805)).number for _ in range(2)] == [2, 3]
    assert _killed(tmp_path).is_one_too_many


def test_a_damaged_count_is_none(tmp_path: Path) -> None:
    _killed(tmp_path, ("cost", 0))
    (tmp_path / "trials" / "00000" / FILE).write_text('{"attempt": ')
    assert _killed(tmp_path, ("cost", 0)).number == 1


def test_a_candidate_that_kills_the_driver_fails_in_the_end(tmp_path: Path) -> None:
    marks, out = tmp_path / "marks", tmp_path / "run"
    marks.mkdir()
    (marks / "0").touch()  # the trial that is to kill comes when this one is there
    study = _quick(evaluators=(Kills(str(marks), ATTEMPTS + 1),), sampler="random")

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
    assert not list(out.glob(f"trials/*/{FILE}"))


def test_ctrl_c_is_no_attempt(tmp_path: Path) -> None:
    class AtOnce(Stops):
        def progress(self, progress: TrialProgress) -> None:
            raise KeyboardInterrupt

    for _ in range(ATTEMPTS + 1):
        try:
            search(_quick(), tmp_path, 1, watcher=AtOnce(1))
        except KeyboardInterrupt:
            continue
        raise AssertionError("not stopped")
    search(_quick(), tmp_path, 1)
    assert RunFolder(tmp_path).results()[0].state == "infeasible"
