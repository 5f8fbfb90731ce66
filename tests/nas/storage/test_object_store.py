"""Copies on object storage: folders and memory; a real S3 server where moto is installed."""

import importlib.util
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.errors import ConfigError, RunError
from nas.search import uploads
from nas.search.driver import search
from nas.storage.object_store import ObjectStore, StoreError, checked, fetched, within
from nas.storage.run_folder import RunFolder
from tests.helpers.fake_run import make_run
from tests.helpers.quick_search import Hears, Stops, keys, quick_study


def _refuse(monkeypatch: pytest.MonkeyPatch, store: ObjectStore, times: int) -> list[str]:
    """The next `times` writes into any store of this kind fail; returns those that were tried."""
    kind, tried = type(store._fs), list[str]()
    put, pipe = kind.put_file, kind.pipe_file

    def refuse(do: Any, path: str) -> None:
        tried.append(path)
        if len(tried) <= times:
            raise PermissionError("403 Forbidden:\nno writing today")

    def put_file(self: Any, local: str, path: str, **more: Any) -> Any:
        refuse(put, path)
        return put(self, local, path, **more)

    def pipe_file(self: Any, path: str, content: bytes, **more: Any) -> Any:
        refuse(pipe, path)
        return pipe(self, path, content, **more)

    monkeypatch.setattr(kind, "put_file", put_file)
    monkeypatch.setattr(kind, "pipe_file", pipe_file)
    return tried


def test_a_search_goes_on_from_the_store_alone(url: str, tmp_path: Path) -> None:
    search(quick_study(), tmp_path / "whole", trials=8)
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        search(quick_study(), out, trials=8, watcher=Stops(5), artifacts=url)
    search(quick_study(), out, trials=6)  # the folder knows where its copies are
    before = {number: RunFolder(out).read_result(number) for number in range(6)}
    shutil.rmtree(out)
    heard = Hears()
    search(quick_study(), out, trials=8, watcher=heard, artifacts=url)
    assert f"6 finished trials were fetched from {url}/run" in heard.notes
    assert {number: RunFolder(out).read_result(number) for number in range(6)} == before
    assert keys(out) == keys(tmp_path / "whole")
    assert ObjectStore(url, "run").numbers() == set(range(8))


def test_what_a_folder_has_lost_comes_back(url: str, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", 12)
    kept = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    sent = CliRunner().invoke(app, ["study", "send", str(run.path), url])
    assert sent.exit_code == 0, sent
    trained = [result for result in run.results() if result.artifact and result.weights]
    assert trained
    shutil.rmtree(run.path / "trials")
    shutil.rmtree(run.path / "weights")
    assert CliRunner().invoke(app, ["pareto", str(run.path), "--json"]).exit_code == 0
    assert len(run.finished_numbers()) == 12
    for result in trained:
        for name in (result.artifact, result.weights):
            assert name is not None
            assert not (run.path / name).exists()
            assert fetched(run, result.number, name).read_bytes() == kept[run.path / name]
    for number in range(12):
        path = run.trial(number) / "result.json"
        assert path.read_bytes() == kept[path]


def test_a_folder_is_made_from_the_store(url: str, tmp_path: Path) -> None:
    make_run(tmp_path / "run", 3)
    assert CliRunner().invoke(app, ["study", "send", str(tmp_path / "run"), url]).exit_code == 0
    again = tmp_path / "elsewhere" / "run"
    assert CliRunner().invoke(app, ["study", "fetch", url, str(again)]).exit_code == 0
    assert RunFolder(again).results() == RunFolder(tmp_path / "run").results()
    assert RunFolder(again).description() == RunFolder(tmp_path / "run").description()
    wrong = CliRunner().invoke(app, ["study", "fetch", url, str(tmp_path / "another")])
    assert isinstance(wrong.exception, ConfigError)
    assert f"{url}/another holds no run" in str(wrong.exception)


def test_a_result_is_there_last_and_a_half_copy_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"file://{tmp_path}/store"
    run, store = make_run(tmp_path / "run", 3), ObjectStore(url, "run")
    store.claim(run)
    tried = _refuse(monkeypatch, store, times=0)
    trained = next(result for result in run.results() if result.artifact)
    store.send(run, trained.number)
    assert [path.rpartition("/")[2] for path in tried[-2:]] == ["files.json", "result.json"]
    assert any(path.endswith("final.weights.h5") for path in tried[:-2])
    store.send(run, trained.number)
    assert tried.count(tried[-1]) == 1  # it knows what it has sent
    copy = tmp_path / "store" / "run" / "trials" / f"{trained.number:05d}"
    whole = (copy / "result.json").read_bytes()
    for half in (whole[:40], None):
        if half is None:
            (copy / "result.json").unlink()
        else:
            (copy / "result.json").write_bytes(half)
        shutil.rmtree(run.trial(trained.number), ignore_errors=True)
        assert store.restore(run) == 0
    (copy / "result.json").write_bytes(whole)
    assert store.restore(run) == 1
    (copy / "model.tflite").write_bytes(b"another")
    with pytest.raises(StoreError, match=r"model\.tflite is damaged: it has another checksum"):
        fetched(run, trained.number, str(trained.artifact))
    assert not (run.path / str(trained.artifact)).exists()


def test_a_store_that_refuses_for_a_while_loses_nothing(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "FIRST_WAIT_SECONDS", 0.01)
    out, heard = tmp_path / "run", Hears()
    search(quick_study(), out, trials=1, watcher=heard, artifacts=url)
    _refuse(monkeypatch, ObjectStore(url, "run"), times=4)
    search(quick_study(), out, trials=6, watcher=heard)
    assert [note.partition(": Perm")[0] for note in heard.notes] == [
        f"warning: {url}/run refuses",
        f"{url}/run takes trials again",
    ]
    assert "403 Forbidden: no writing today; trials are kept here" in heard.notes[0]
    elsewhere = RunFolder(tmp_path / "elsewhere" / "run")
    assert ObjectStore(url, "run").restore(elsewhere) == 6
    assert elsewhere.results() == RunFolder(out).results()


def test_a_store_that_refuses_to_the_end_is_told_and_served_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, out, heard = f"file://{tmp_path}/store", tmp_path / "run", Hears()
    search(quick_study(), out, trials=1, artifacts=url)
    monkeypatch.setattr(uploads, "LAST_SECONDS", 0.1)
    with monkeypatch.context() as while_it_refuses:
        _refuse(while_it_refuses, ObjectStore(url, "run"), times=10**9)
        search(quick_study(), out, trials=4, watcher=heard)
    assert len(RunFolder(out).finished_numbers()) == 4
    assert f"warning: 3 trials are not in {url}/run: " in heard.notes[-1]
    assert f"`nas study send {out}` sends them" in heard.notes[-1]
    assert CliRunner().invoke(app, ["study", "send", str(out)]).exit_code == 0
    assert all(ObjectStore(url, "run").has(RunFolder(out), number) for number in range(4))


def test_a_store_that_is_wrong_from_the_start_is_told_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match=r"file/below/run refuses: NotADirectoryError"):
        search(quick_study(), tmp_path / "run", trials=1, artifacts=f"file://{tmp_path}/file/below")
    assert not (tmp_path / "run" / "trials").exists()
    for url, said in {
        "runs/a": "expected a URL, such as s3://BUCKET/PREFIX",
        "s3://": "expected a URL",
        "s3://key:secret@bucket/a": "AWS_ACCESS_KEY_ID",
        "nothing://bucket/a": "Protocol not known",
    }.items():
        with pytest.raises(ConfigError, match=said) as error:
            search(quick_study(), tmp_path / "run", trials=1, artifacts=url)
        assert "secret" not in str(error.value)
    assert checked("s3://bucket/a/") == "s3://bucket/a"


def test_two_runs_of_one_name_do_not_mix(url: str, tmp_path: Path) -> None:
    search(quick_study(), tmp_path / "a" / "run", trials=1, artifacts=url)
    search(quick_study(seed=5), tmp_path / "b" / "run", trials=1)
    with pytest.raises(RunError, match=r"holds another run than .*: name this run's folder other"):
        search(quick_study(seed=5), tmp_path / "b" / "run", trials=2, artifacts=url)
    run, store = RunFolder(tmp_path / "a" / "run"), ObjectStore(url, "run")
    path = run.trial(0) / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "key": "0123456789ab"}))
    with pytest.raises(RunError, match=r"has another candidate as trial 0 \(.*, here 0123456789ab"):
        store.send(run, 0)


def test_a_store_that_says_nothing_is_not_waited_for() -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError, match="no answer within 0 s"):
        within(0.1, lambda: time.sleep(600))
    assert time.monotonic() - started < 300
    assert within(60, lambda: 5) == 5
    with pytest.raises(KeyError, match="nothing"):
        within(60, lambda: {}["nothing"])


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a server that speaks S3."""
    for needed in ("s3fs", "moto", "flask"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)], stderr=subprocess.DEVNULL
    )
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    import s3fs

    deadline = time.monotonic() + 120
    while True:
        try:
            s3fs.S3FileSystem(skip_instance_cache=True).mkdir("bucket")
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    yield "s3://bucket/some/prefix"
    server.terminate()
    server.wait()


@pytest.mark.slow
def test_on_s3(s3: str, tmp_path: Path) -> None:
    search(quick_study(), tmp_path / "whole", trials=6)
    search(quick_study(), tmp_path / "run", trials=4, artifacts=s3)
    shutil.rmtree(tmp_path / "run")
    heard = Hears()
    search(quick_study(), tmp_path / "run", trials=6, watcher=heard, artifacts=s3)
    assert f"4 finished trials were fetched from {s3}/run" in heard.notes
    assert keys(tmp_path / "run") == keys(tmp_path / "whole")
    made = make_run(tmp_path / "made", 12)
    trained = next(result for result in made.results() if result.artifact)
    assert CliRunner().invoke(app, ["study", "send", str(made.path), s3]).exit_code == 0
    content = (made.path / str(trained.artifact)).read_bytes()
    shutil.rmtree(made.path / "trials")
    assert fetched(made, trained.number, str(trained.artifact)).read_bytes() == content
    with pytest.raises(StoreError, match=r"refuses: .*bucket does not exist"):
        search(quick_study(), tmp_path / "no", trials=1, artifacts="s3://no-such-bucket/prefix")
