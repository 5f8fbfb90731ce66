import json
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.errors import RunError
from nas.execution.run_log import RunLog
from nas.execution.status import Look
from nas.storage.run_folder import RunFolder
from nas.study.pareto import front
from nas.system.files import held
from tests.helpers.envelope import data_of
from tests.helpers.fake_run import make_run

TABLE = {
    "workers": [
        {"worker": "process-1", "kind": "train", "where": "pid 5", "state": "busy", "trial": 60,
         "place": "trial", "attempt": 2, "stage": "training", "done": 30, "total": 40, "for_s": 90,
         "left_s": 1700},
        {"worker": "adb:A", "kind": "adb:A", "where": "lab", "state": "idle", "for_s": 3},
    ],
    "queued": {"train": 2},
    "retried": {"its process was killed by signal 9": 1},
}  # fmt: skip


def _run(path: Path) -> RunFolder:
    run = make_run(path, 60)
    RunLog(path, goal=100).publish(lambda: TABLE, force=True)
    started = time.time() - 600
    for number in range(60):
        at = started + 10 * number
        os.utime(run.trial(number) / "result.json", (at, at))
    return run


def test_a_run_that_is_held_is_told_by_its_table(tmp_path: Path) -> None:
    run = _run(tmp_path / "run")
    results = run.results()
    with held(run.path):
        now = Look(run).status()
    assert now.driver is not None
    assert f"pid {os.getpid()} on {socket.gethostname()}" in now.driver
    assert now.finished == 60
    assert sum(now.states.values()) == 60
    assert now.states["failed"] == sum(r.state == "failed" for r in results)
    assert now.front == len(front(results, run.objectives()))
    assert now.hypervolume is not None
    assert now.hypervolume > 0
    assert now.rate_per_hour == pytest.approx(360)
    assert now.left_s == pytest.approx(400)
    assert [row["state"] for row in now.workers] == ["busy", "idle"]
    assert sum(now.failures.values()) == now.states["failed"]
    assert json.loads(json.dumps(now.to_dict()))["finished"] == 60


def test_what_a_stage_needs_yet_is_told_by_the_pace_in_the_trial_s_log(tmp_path: Path) -> None:
    run = _run(tmp_path / "run")
    steps = [(0, 1), (20, 10), (80, 25)]  # seconds, steps: after another attempt, 15 in 60 s
    rows = [
        {"at": f"2026-01-02T03:0{s // 60}:{s % 60:02d}.000Z", "event": "progress",
         "stage": "training", "done": done, "total": 40, "note": ""}
        for s, done in steps
    ]  # fmt: skip
    rows.insert(1, {"at": "2026-01-02T03:00:10.000Z", "event": "given"})
    run.log(60).parent.mkdir()
    run.log(60).write_text("\n".join(map(json.dumps, rows)))
    with held(run.path):
        busy, idle = Look(run).status().workers
        assert busy["stage_left_s"] == pytest.approx(40, abs=2)  # 10 steps of 4 s
        assert "stage_left_s" not in idle
        run.log(60).write_text('{"event": "progress"')
        assert "stage_left_s" not in Look(run).status().workers[0]


def test_a_run_that_nobody_drives_has_no_workers_and_no_end(tmp_path: Path) -> None:
    run = _run(tmp_path / "run")
    look = Look(run)
    now = look.status()
    assert (now.driver, now.workers, now.left_s) == (None, (), None)
    (run.path / ".owner.json").write_text(
        json.dumps({"pid": 2**22 + 1, "host": socket.gethostname(), "since": "then"})
    )  # killed: it left its name
    assert look.status().driver is None


def test_only_new_results_are_read(tmp_path: Path) -> None:
    run = _run(tmp_path / "run")
    look = Look(run)
    look.status()
    (run.trial(0) / "result.json").write_text("damaged since")
    assert look.status().finished == 60
    with pytest.raises(RunError, match="can't be read"):
        Look(run).status()


def test_the_page(tmp_path: Path) -> None:
    run = _run(tmp_path / "run")
    with held(run.path):
        shown = CliRunner().invoke(app, ["status", str(run.path)], env={"COLUMNS": "140"})
        as_json = CliRunner().invoke(app, ["status", str(run.path), "--json"])
    assert "60 of 100 trials: " in shown.output
    assert "1 running, 2 waiting" in shown.output
    assert "360 trials an hour, about 6 min 40 s left" in shown.output
    assert "training 30/40 (75%, attempt 2)" in shown.output
    assert "1x tried again: its process was killed by signal 9" in " ".join(shown.output.split())
    assert data_of(as_json.output, "status")["goal"] == 100
    nothing = CliRunner().invoke(app, ["status", str(tmp_path)])
    assert isinstance(nothing.exception, RunError)


def test_a_driver_that_was_killed_drives_no_more_also_before_it_is_reaped(tmp_path: Path) -> None:
    run = _run(tmp_path / "run")
    killed = subprocess.Popen(["sleep", "60"])
    owner = {"pid": killed.pid, "host": socket.gethostname(), "since": "now"}
    (run.path / ".owner.json").write_text(json.dumps(owner))
    assert Look(run).status().driver is not None
    killed.kill()
    os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie
    assert Look(run).status().driver is None
    killed.wait()
    assert Look(run).status().driver is None


def test_looks_stand_beside_the_trials_with_the_seconds_of_each(tmp_path: Path) -> None:
    run = make_run(tmp_path, 4)
    lines = [json.dumps({"seconds": seconds, "refused": ""}) for seconds in (61.0, 62.0)]
    (run.path / "looks.jsonl").write_text("\n".join(lines))
    now = Look(run).status()
    assert (now.looks, now.look_seconds) == (2, 123.0)
    expected = sum(sum(result.timings_s.values()) for result in run.results())
    assert now.trial_seconds == pytest.approx(expected, abs=0.1)
    said = " ".join(CliRunner().invoke(app, ["status", str(run.path)]).output.split())
    assert "2 looks in 2 min 3 s beside " in said


def test_a_run_that_has_converged_has_not_been_stopped(tmp_path: Path) -> None:
    run = make_run(tmp_path, 4)
    RunLog(run.path, goal=100).publish(lambda: TABLE, force=True)
    run.keep_ending(4, "10 further trials are expected to add little")
    said = " ".join(CliRunner().invoke(app, ["status", str(run.path)]).output.split())
    assert "converged" in said
    assert ": 10 further trials are expected to add little 4 of 100 trials" in said
    run.keep_ending(3, "another trial was added since")
    said = " ".join(CliRunner().invoke(app, ["status", str(run.path)]).output.split())
    assert "stopped; the same command goes on" in said
    (run.path / "ended.json").write_text('{"why":')
    assert run.ended_early() is None


def test_a_copied_run_tells_no_times(tmp_path: Path) -> None:
    run = _run(tmp_path / "run")
    moment = time.time()
    for number in range(60):  # as cp -r leaves them: within a few milliseconds
        at = moment + 0.001 * number
        os.utime(run.trial(number) / "result.json", (at, at))
    now = Look(run).status()
    assert now.finished == 60
    assert (now.rate_per_hour, now.seconds) == (None, None)
