"""On a real PostgreSQL, started here, where one is installed."""

import os
import socket
from pathlib import Path

import pytest

from nas.errors import ConfigError, RunError
from nas.search.driver import search
from nas.storage.postgres import public, shared_study
from nas.storage.run_folder import RunFolder
from tests.helpers.quick_search import Stops, keys, quick_study


def test_a_study_in_a_database_and_moved_there_and_back(database: str, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from nas.cli.app import app

    search(quick_study(), tmp_path / "whole", trials=8)
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        search(quick_study(), out, trials=8, watcher=Stops(3), storage=database)
    assert not RunFolder(out).journal.exists()
    with pytest.raises(RunError, match=r"is in postgresql://nas@127.*give --storage"):
        search(quick_study(), out, trials=8)
    assert CliRunner().invoke(app, ["study", "copy", database, str(out)]).exit_code == 0
    assert RunFolder(out).journal.exists()
    with pytest.raises(KeyboardInterrupt):
        search(quick_study(), out, trials=8, watcher=Stops(2))
    with pytest.raises(RunError, match=r"study\.journal, not in postgresql"):
        search(quick_study(), out, trials=8, storage=database)
    again = CliRunner().invoke(app, ["study", "copy", str(out), database])
    assert isinstance(again.exception, RunError)
    assert "has a study 'run' already" in str(again.exception)
    out = out.rename(tmp_path / "moved")
    assert CliRunner().invoke(app, ["study", "copy", str(out), database]).exit_code == 0
    search(quick_study(), out, trials=8, storage=database)
    assert keys(out) == keys(tmp_path / "whole")


def test_a_second_driver_is_refused_with_who_holds_it(database: str, tmp_path: Path) -> None:
    with shared_study(database, "one", "a"):
        with shared_study(database, "another", "a"):
            pass
        who = rf"held by another driver \(nas pid {os.getpid()} on {socket.gethostname()} since 2"
        with pytest.raises(RunError, match=who), shared_study(database, "one", "a"):
            pass
    with shared_study(database, "one", "a"):
        pass


def test_a_study_is_free_before_the_server_has_noticed_that_its_driver_left(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    left: list[psycopg.Connection] = []
    with monkeypatch.context() as patched:
        patched.setattr(psycopg.Connection, "close", lambda connection: left.append(connection))
        with shared_study(database, "one", "a"):
            pass
    assert left
    assert not any(connection.closed for connection in left)
    with shared_study(database, "one", "a"):
        pass
    for connection in left:
        connection.close()


def test_another_runs_study_of_that_name_is_refused(database: str, tmp_path: Path) -> None:
    search(quick_study(), tmp_path / "a" / "same", trials=1, storage=database)
    with pytest.raises(RunError, match="holds a study 'same' of another run"):
        search(quick_study(seed=5), tmp_path / "b" / "same", trials=1, storage=database)


def test_a_foreign_schema_is_told(database: str) -> None:
    import psycopg

    other = f"{database.rpartition('/')[0]}/other"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create database other")
    with psycopg.connect(other, autocommit=True) as connection:
        connection.execute("create table version_info (version_info_id int, what text)")
    with (
        pytest.raises(RunError, match=r"the tables in .*/other are not those of optuna"),
        shared_study(other, "one", "a"),
    ):
        pass


def test_a_database_that_is_down_or_no_database(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"postgresql://me:secret@127.0.0.1:{nobody.getsockname()[1]}/nas"
        with pytest.raises(RunError) as error:
            search(quick_study(), tmp_path / "run", trials=1, storage=url)
    assert "PostgreSQL does not answer at postgresql://me@127.0.0.1" in str(error.value)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_urls() -> None:
    assert public("postgresql://me:secret@db:5432/nas?sslmode=require") == (
        "postgresql://me@db:5432/nas"
    )
    for wrong in ("mysql://db/nas", "postgresql://db", "runs/a"):
        with pytest.raises(ConfigError, match="expected postgresql://USER"):
            public(wrong)
