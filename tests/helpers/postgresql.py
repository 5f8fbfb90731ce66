"""A PostgreSQL of the tests' own, started where the programs are installed."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NEEDS = "this test starts a PostgreSQL of its own (Debian: apt install postgresql)"


def _programs() -> Path | None:
    """The folder of PostgreSQL's programs: Debian's, which is in nobody's PATH, or the PATH's."""
    debian = Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")
    newest = sorted(debian, key=lambda path: int(path.parts[-3].split(".")[0]))[-1:]
    others = [Path(path).resolve() for path in (shutil.which("pg_ctl"),) if path]
    return next((path.parent for path in newest + others), None)


def _as_user() -> list[str]:
    """What starts a program as somebody who may run PostgreSQL, which root may not."""
    if os.getuid() != 0:
        return []
    runuser = shutil.which("runuser", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if runuser is None:
        pytest.skip(f"{NEEDS}, which root leaves to the user postgres: no program runuser here")
    if all(user.pw_name != "postgres" for user in pwd.getpwall()):
        pytest.skip(f"{NEEDS}, which root leaves to the user postgres: there is no such user here")
    return [runuser, "-u", "postgres", "--"]


@contextmanager
def own_database() -> Iterator[str]:
    """The URL of an empty database in a cluster of its own, which root leaves to another user."""
    pytest.importorskip("psycopg")
    programs, as_user = _programs(), _as_user()
    if programs is None:
        pytest.skip(f"{NEEDS}: no program pg_ctl here")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    reached = "/tmp" if as_user else None  # the other user may not enter root's TMPDIR
    with tempfile.TemporaryDirectory(prefix="nas-postgres-", dir=reached) as name:
        folder = Path(name)
        if as_user:
            shutil.chown(folder, "postgres")

        def tool(name: str, *arguments: str) -> None:
            command = [*as_user, str(programs / name), "-D", str(folder / "data"), *arguments]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)

        tool("initdb", "-A", "trust", "-U", "nas", "--no-sync")
        tool("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql://nas@127.0.0.1:{port}/postgres"
        finally:
            tool("pg_ctl", "-m", "immediate", "stop")
