"""On a real cluster: one node, started once; every driver joins it."""

import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.data import open_dataset
from nas.errors import ConfigError, RunError
from nas.execution.measurement_jobs import MeasureJob
from nas.execution.ray.cluster import LOCAL, answers, connect
from nas.execution.ray.crew import phone_resource, progress_seconds, ray_executor
from nas.execution.ray.node_check import NodeCheck
from nas.execution.trial.task import TrialProgress
from nas.search.driver import search
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult
from tests.helpers.quick_search import keys
from tests.helpers.small_study import small_study
from tests.helpers.trials import STOP, FullDisk, Kills, small_task


def _executor(cluster: str, run: Path, workers: int, heard: list[TrialProgress], **changes: Any):
    told: list[str] = []
    study = small_study(constraints=STOP, **changes)
    dataset = open_dataset("photos")
    return ray_executor(
        cluster, study, workers, RunFolder(run), dataset, heard.append, told.append
    )[0], told


def test_trials_on_a_cluster_come_to_what_they_come_to_here(cluster: str, tmp_path: Path) -> None:
    study = small_study(constraints=STOP)
    search(study, tmp_path / "here", trials=6)
    search(study, tmp_path / "there", trials=6, workers=1, ray=cluster)
    assert keys(tmp_path / "here") == keys(tmp_path / "there")
    here = RunFolder(tmp_path / "here").results()
    there = RunFolder(tmp_path / "there").results()
    assert [(r.state, r.metrics) for r in here] == [(r.state, r.metrics) for r in there]


def test_a_killed_worker_is_replaced_and_a_candidate_that_always_kills_it_fails(
    cluster: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    once, always = tmp_path / "once", tmp_path / "always"
    once.mkdir()
    always.mkdir()
    heard: list[TrialProgress] = []
    executor, _ = _executor(cluster, tmp_path / "run", 2, heard)
    tasks = [
        small_task(tmp_path / "run", 0, evaluators=(Kills(str(once), 1),)),
        small_task(tmp_path / "run", 1, evaluators=(Kills(str(always), 99),)),
        small_task(tmp_path / "run", 2),
    ]
    results: dict[int, TrialResult] = {}
    try:
        for task in tasks:
            executor.submit(task)
        for _ in tasks:
            result = executor.next()
            assert result is not None
            results[result.number] = result
    finally:
        executor.close()
    assert [results[number].state for number in range(3)] == ["infeasible", "failed", "infeasible"]
    failure = results[1].failure
    assert failure is not None
    assert (
        f"on {socket.gethostname()} was killed or crashed in each of 3 attempts" in failure.message
    )
    assert sum(p.stage == "again" for p in heard) == 3
    assert "Worker exit type" not in capfd.readouterr().err


def test_what_the_cluster_lacks_is_told_at_once(cluster: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"9 workers of 1 CPU each .* has room for 2 \(.*2 CPU\)"):
        _executor(cluster, tmp_path, 9, [])
    phone = small_study(devices=("adb:XYZ?delegate=gpu",), objectives=("psnr_db",))
    with pytest.raises(ConfigError, match="the cluster has no phone:XYZ; it has phone:ABC:1"):
        ray_executor(cluster, phone, 1, RunFolder(tmp_path), open_dataset("photos"), print, print)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        free = nobody.getsockname()[1]
        with pytest.raises(ConfigError, match=f"no Ray cluster answers at 127.0.0.1:{free}"):
            search(small_study(), tmp_path / "a", ray=f"127.0.0.1:{free}")
    with pytest.raises(ConfigError, match="'there': expected HOST:PORT"):
        answers("there")


def test_a_process_that_is_in_a_cluster_already_is_told(cluster: str, tmp_path: Path) -> None:
    ray = connect(cluster, set())
    try:
        for address in (cluster, LOCAL):
            with pytest.raises(ConfigError, match=r"already; call ray\.shutdown\(\) before"):
                search(small_study(), tmp_path / "run", workers=1, ray=address)
        assert ray.is_initialized()
    finally:
        ray.shutdown()


def test_what_answers_and_is_no_ray_is_told_at_once() -> None:
    """Ray itself would try for minutes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"

        def serve() -> None:
            connection, _ = server.accept()
            connection.recv(64)
            connection.sendall(b"HTTP/1.0 400 Bad request\r\n\r\n")
            connection.close()

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(ConfigError, match=f"what answers at {address} is no Ray cluster"):
            answers(address)


def test_a_node_that_does_not_see_the_run_is_not_used(cluster: str, tmp_path: Path) -> None:
    executor, told = _executor(cluster, tmp_path / "run", 1, [])
    (tmp_path / "run" / ".cluster-token").write_text("another folder of the same name")
    executor.submit(small_task(tmp_path / "run", 0))
    try:
        with pytest.raises(RunError, match="does not see the run's folder"):
            executor.next()
    finally:
        executor.close()
    assert any("is not used: it does not see" in line for line in told)


def test_a_node_whose_disk_is_full_is_not_used(cluster: str, tmp_path: Path) -> None:
    study = small_study(evaluators=(FullDisk(),), sampler="random")
    with pytest.raises(RunError, match=r"no node of the cluster can be used: .*: the disk is full"):
        search(study, tmp_path / "run", trials=2, workers=1, ray=cluster)
    assert RunFolder(tmp_path / "run").finished_numbers() == set()


def test_a_node_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    check = NodeCheck.of(RunFolder(tmp_path), open_dataset("photos"))
    assert check.complaint() == ""
    old = replace(check, versions={**check.versions, "tensorflow": "1.15"})
    assert "(the driver has 1.15); install the same" in old.complaint()
    other = replace(check, identity={"seed": "another"})
    assert "its pictures of 'photos' differ from the driver's" in other.complaint()


def test_many_workers_tell_less_often() -> None:
    assert progress_seconds(2) == 0.5
    assert progress_seconds(1000) == 20.0


def test_a_phone_is_named_by_its_serial() -> None:
    assert phone_resource("adb:ABC?delegate=gpu") == "phone:ABC"
    assert phone_resource("adb:1.2.3.4:5555@lab:5037") == "phone:1.2.3.4:5555"
    job = MeasureJob(1, Path("a"), "adb:ABC?delegate=gpu", None, Path("b"))  # type: ignore[arg-type]
    assert job.place == "adb:ABC"
