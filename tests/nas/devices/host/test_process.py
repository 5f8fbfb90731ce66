"""Processes that die, hang, or answer and do not end."""

import json
import os
import time

import psutil
import pytest

from nas.devices import TimingProtocol
from nas.devices.host import process
from nas.devices.host.device import HostDevice
from nas.errors import DeviceStableError, DeviceTransientError
from tests.helpers.artifacts import artifact, network
from tests.helpers.ended import gone

QUICK = TimingProtocol(launches=1, warmup=0, runs=2, threads=1, timeout_seconds=60)


CONV = network("resize-bilinear", "relu")


def test_a_model_that_litert_refuses(tmp_path, monkeypatch):
    path = tmp_path / "m.tflite"
    content = bytearray(artifact(CONV, "float"))
    path.write_bytes(content)
    from nas.tflite.file import read_tflite

    readable = read_tflite(path)
    monkeypatch.setattr("nas.devices.host.device.read_tflite", lambda given: readable)
    content[4:8] = b"TFL9"
    path.write_bytes(content)
    with pytest.raises(
        DeviceStableError, match=r"host: LiteRT can't run .*m\.tflite: ValueError: "
    ):
        HostDevice().measure(path, QUICK)


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        (
            "print('INFO: first'); print('FATAL: at last', file=sys.stderr); sys.stdout.flush()\n"
            "os.abort()",
            DeviceStableError,
            r"running .*model.tflite ended in signal 6 SIGABRT; its last line: .*(FATAL|INFO)",
        ),
        (
            "os.kill(os.getpid(), signal.SIGSEGV)",
            DeviceStableError,
            r"signal 11 SIGSEGV; its last line: \(it wrote nothing\)",
        ),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            DeviceStableError,
            r"signal 9 SIGKILL \(as the kernel does when memory runs out\)",
        ),
        ("os.kill(os.getpid(), signal.SIGTERM)", DeviceTransientError, r"was stopped \(SIGTERM\)"),
        (
            "sys.exit('nothing to import')",
            DeviceStableError,
            r"gave no answer \(exit code 1\); its last line: nothing to import",
        ),
        (
            "os.write(int(sys.argv[1]), b'{\"init_ms\": 1'); os.abort()",
            DeviceStableError,
            "signal 6 SIGABRT",
        ),
        (
            'os.write(int(sys.argv[1]), b\'{"error": "RuntimeError: two\\\\nlines"}\')',
            DeviceStableError,
            "LiteRT can't run .*model.tflite: RuntimeError: two lines$",
        ),
    ],
)
def test_a_worker_that_dies(model, worker, code, kind, reason):
    worker(code)
    with pytest.raises(kind, match=reason) as raised:
        HostDevice().measure(model, QUICK)
    assert "\n" not in str(raised.value)


def test_a_worker_that_hangs_is_killed_with_all_that_it_started(model, worker, tmp_path):
    note = tmp_path / "pids"
    worker(
        "import subprocess\n"
        "child = subprocess.Popen(['sleep', '600'], close_fds=False)\n"
        f"open({str(note)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "time.sleep(600)"
    )
    for seconds in (3, 12, 48):  # a slow machine may need some only to start Python twice
        protocol = TimingProtocol(launches=1, timeout_seconds=seconds)
        started, what = time.monotonic(), rf"not measured within {seconds} s a launch; allow"
        with pytest.raises(DeviceTransientError, match=what):
            HostDevice().measure(model, protocol)
        assert time.monotonic() - started < 300
        if note.exists():
            break
    for pid in note.read_text().split():
        assert gone(int(pid))


def test_a_worker_that_answers_and_does_not_end_is_not_waited_for(model, worker, monkeypatch):
    answer = {
        "init_ms": 1.0, "first_ms": 2.0, "samples_ms": [3.0, 3.0], "peak_memory_mb": None,
        "memory_before_load_mb": None, "cpu_seconds": 0.0, "operations": None,
        "paces_ms": [0.1, 0.1], "disturbed_runs": 0,
    }  # fmt: skip
    monkeypatch.setattr(process, "ENDING_SECONDS", 0.3)
    worker(
        f"os.write(int(sys.argv[1]), {json.dumps(answer).encode()!r})\n"
        "os.close(int(sys.argv[1]))\n"
        "time.sleep(600)"
    )
    started = time.monotonic()
    found = HostDevice().measure(model, QUICK)
    assert time.monotonic() - started < 300
    assert (found.latency_ms, found.peak_memory_mb) == (3.0, None)
    assert {row.accelerator for row in found.placement} == {None}


def test_no_descriptors_or_processes_are_left(model, worker):
    HostDevice().measure(model, QUICK)
    before = len(os.listdir("/proc/self/fd")), len(psutil.Process().children())
    for _ in range(2):
        HostDevice().measure(model, QUICK)
    worker("os.abort()")
    with pytest.raises(DeviceStableError, match="signal 6 SIGABRT"):
        HostDevice().measure(model, QUICK)
    assert (len(os.listdir("/proc/self/fd")), len(psutil.Process().children())) == before
