"""A node that is started on a fresh machine: no home, no token, no variable is there before."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nas.errors import ConfigError
from nas.execution.ray.node import start_node

ROOT = Path(__file__).parents[4]
PROGRAM = """
import ray
import socket, sys
from nas.execution.ray.node import start_node
from nas.search.driver import search
from tests.helpers.small_study import small_study
from tests.helpers.trials import STOP

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
process, address = start_node(None, port, 1, [])
try:
    run = search(small_study(constraints=STOP), sys.argv[1], trials=1, workers=1, ray=address)
    print([result.state for result in run.results()])
finally:
    process.terminate()
    process.wait()
"""


def test_a_program_that_has_imported_ray_starts_a_node_and_searches_on_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {n: v for n, v in os.environ.items() if not n.startswith("RAY_AUTH")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "run")],
        cwd=ROOT, env=environment | {"HOME": str(home)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1:] == ["['infeasible']"], done.stderr
    assert (home / ".ray" / "auth_token").is_file()


def test_a_home_that_can_not_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match=r"can't keep the new cluster's token .*HOME must be"):
        start_node(None, 1, 1, [])
