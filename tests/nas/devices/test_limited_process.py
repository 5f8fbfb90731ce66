"""Programs with a limit: what becomes of those that hang, die or want too much."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nas.devices.limited_process import Ended, Limits, run
from nas.devices.npu.failures import NpuError, NpuTransientError, ended_error

GENEROUS = Limits(cpu_seconds=60)


@pytest.fixture(autouse=True)
def _locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAS_LOCK_DIR", str(tmp_path / "locks"))


def python(code: str, folder: Path, limits: Limits = GENEROUS) -> Ended:
    return run([sys.executable, "-c", code], folder, limits, {"GREETING": "hello"})


def test_both_streams_and_the_environment_are_the_programs(tmp_path: Path) -> None:
    code = (
        "import os, sys; print(os.environ['GREETING'], os.getcwd());"
        "sys.stderr.write('oops'); sys.exit(3)"
    )
    ended = python(code, tmp_path)
    assert (ended.code, ended.errors) == (3, "oops")
    assert ended.output.strip() == f"hello {tmp_path.resolve()}"
    error = ended_error("npu:x", "placement", ended, GENEROUS)
    assert isinstance(error, NpuError)
    assert str(error).startswith("npu:x: crash: placement ended with exit code 3: oops; ")


def test_one_that_uses_up_its_processor_time(tmp_path: Path) -> None:
    limits = Limits(cpu_seconds=1, wait_factor=100)
    ended = python("while True: pass", tmp_path, limits)
    assert ended.out_of_time
    error = ended_error("npu:x", "compilation", ended, limits)
    assert isinstance(error, NpuError)
    assert "compiler_timeout: compilation took more than 1 s of processor time" in str(error)


def test_one_that_hangs_is_stopped_with_its_children(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "open('child', 'w').write(str(child.pid)); time.sleep(60)"
    )
    limits = Limits(cpu_seconds=60, wait_factor=0.1)
    ended = python(code, tmp_path, limits)
    assert ended.code is None
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 10
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _runs(child)
    error = ended_error("npu:x", "compilation", ended, limits)
    assert isinstance(error, NpuTransientError)
    assert "timeout: compilation was not done within 6 s" in str(error)


def _runs(pid: int) -> bool:
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(done.stdout.strip()) and not done.stdout.startswith("Z")


def test_one_that_wants_too_much_memory(tmp_path: Path) -> None:
    limits = Limits(cpu_seconds=60, memory_mb=500)
    ended = python("bytearray(2**30)", tmp_path, limits)
    error = ended_error("npu:x", "compilation", ended, limits)
    assert error.failure.failure_class == "oom"
    assert "compilation needs more than the 500 MB that it may have" in str(error)


def test_a_lower_limit_that_is_there_already_stays(tmp_path: Path) -> None:
    code = (
        "import resource, sys, pathlib; resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32));"
        "from nas.devices.limited_process import Limits, run;"
        "ended = run([sys.executable, '-c', 'import resource; "
        "print(resource.getrlimit(resource.RLIMIT_AS))'],"
        f"pathlib.Path({str(tmp_path)!r}), Limits(60), {{}}); print(ended.text)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[4], capture_output=True, text=True
    )
    assert f"({2**32}, {2**32})" in done.stdout


def test_one_that_dies(tmp_path: Path) -> None:
    code = "import os; print('before', flush=True); os.abort()"
    error = ended_error("npu:x", "placement", python(code, tmp_path), GENEROUS)
    assert error.failure.failure_class == "crash"
    assert "placement ended in SIGABRT: before" in str(error)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    ended = run([tmp_path / "absent"], tmp_path, GENEROUS, {})
    assert ended.code not in (0, None)
    assert f"can't start {tmp_path / 'absent'}: No such file" in ended.errors


def test_one_whose_starter_was_killed_ends(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from nas.devices.limited_process import Limits, run;"
        f"run([sys.executable, '-c', 'import os, time; print(os.getpid(), flush=True);"
        f" time.sleep(60)'], pathlib.Path({str(tmp_path)!r}), Limits(60), {{}})"
    )
    starter = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[4])
    output = tmp_path / "output.txt"
    deadline = time.monotonic() + 30
    while not (output.exists() and output.read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.05)
    pid = int(output.read_text())
    assert _runs(pid)
    starter.kill()
    starter.wait()
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _runs(pid)
    assert os.getpid() != pid
