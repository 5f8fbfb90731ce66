import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from nas.devices import Measurement, Placement, TimingProtocol, open_device
from nas.devices.host import device as host
from nas.devices.host import worker as host_worker
from nas.devices.host.device import AHEAD, HostDevice
from nas.errors import ConfigError, DeviceStableError, DeviceTransientError, RunError
from nas.system import host_lock
from tests.helpers.artifacts import SIX, artifact, network

QUICK = TimingProtocol(launches=1, warmup=0, runs=2, threads=1, timeout_seconds=60)
CONV = network("resize-bilinear", "relu")


@pytest.fixture
def model(tmp_path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(artifact(CONV, "float"))
    return path


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """Put a script in the place of the true worker."""

    def replace(code: str) -> None:
        path = tmp_path / "worker.py"
        path.write_text(f"import os, signal, sys, time\n{code}\n")
        monkeypatch.setattr(host_worker, "__file__", str(path))

    return replace


def test_a_measurement(model):
    protocol = TimingProtocol(launches=3, warmup=1, runs=4, threads=1)
    found = HostDevice().measure(model, protocol)
    assert (found.device, found.source) == ("host", "measured")
    assert len(found.samples_ms) == 3
    assert all(len(launch) >= 4 for launch in found.samples_ms)  # more on a slow processor
    assert all(0 < sample < 1000 for launch in found.samples_ms for sample in launch)
    assert 0 < found.init_ms < 1000
    assert 0 < found.first_ms < 1000
    conditions = found.conditions
    assert found.init_ms == sorted(conditions["init_ms"])[1]  # the median of three launches
    assert found.first_ms == sorted(conditions["first_ms"])[1]
    assert conditions["threads"] == 1
    assert conditions["protocol"] == asdict(protocol)
    assert conditions["artifact"] == {
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "bytes": model.stat().st_size,
    }
    assert conditions["processor"]
    assert conditions["cores"] == os.cpu_count()
    assert 1 <= conditions["cores_available"] <= conditions["cores"]
    assert conditions["versions"]["python"] == sys.version.split()[0]
    assert conditions["versions"]["ai-edge-litert"]
    for moment in ("before", "after"):
        assert len(conditions[moment]["load_average"]) == 3
    assert conditions["busy"] == (conditions["others_busy_cores"] > 0.1)


def test_a_measurement_is_json_and_comes_back(model):
    found = open_device("host").measure(model, QUICK)
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert Measurement.from_dict(json.loads(text)) == found


def test_at_least_so_many_seconds(model):
    protocol = TimingProtocol(launches=1, warmup=0, runs=1, min_seconds=0.3, threads=1)
    [samples] = HostDevice().measure(model, protocol).samples_ms
    assert sum(samples) > 0.14e3  # runs on a slow processor are left out, up to half
    assert len(samples) > 10


@pytest.mark.parametrize(("upsampling", "activation"), SIX)
@pytest.mark.parametrize("precision", ["float", "int8-ptq"])
def test_placement(tmp_path, upsampling, activation, precision):
    """XNNPACK has every operation of these networks but PRELU in int8."""
    content = artifact(network(upsampling, activation), precision)
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    found = HostDevice().measure(path, QUICK).placement
    for row in found:
        left = row.op == "PRELU" and precision == "int8-ptq"
        assert row.accelerator == ("cpu" if left else "xnnpack"), row
    from nas.tflite.file import parse_tflite

    names = [operation.name for operation in parse_tflite(content, "m").operations]
    assert [row.op for row in found] == names
    assert [row.index for row in found] == list(range(len(names)))


def test_the_number_of_operations_that_litert_says_it_replaced():
    """The runtime's own count of partitions is the number of delegate nodes that were walked."""
    from ai_edge_litert.interpreter import Interpreter

    content = artifact(network("resize-bilinear", "prelu"), "int8-ptq")
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    rows = interpreter._get_ops_details()
    partitions = [row for row in rows if row["op_name"] == "DELEGATE"]
    found = host_worker._operations(interpreter)
    left = [row["op"] for row in found if not row["delegated"]]
    assert left == ["PRELU"] * len(left)
    # Between two operations that were left lies one partition: the network is a chain of them.
    assert len(partitions) == len(left) + 1


def fake_interpreter(operations, nodes):
    rows = [
        {"index": index, "op_name": f"OP{index}", "inputs": sources, "outputs": [made]}
        for index, (sources, made) in enumerate(operations)
    ]
    rows += [
        {"index": len(rows) + index, "op_name": "DELEGATE", "inputs": sources, "outputs": made}
        for index, (sources, made) in enumerate(nodes)
    ]
    return SimpleNamespace(_get_ops_details=lambda: rows)


def test_placement_of_random_partitions():
    """Any set of operations taken by a delegate is found again from its nodes' ends alone."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        count = int(rng.integers(1, 12))
        operations = []
        for made in range(1, count + 1):
            sources = sorted({int(s) for s in rng.integers(max(0, made - 3), made, 2)})
            operations.append((sources, made))
        taken = [bool(rng.integers(2)) for _ in operations]
        groups = [index for index, mine in enumerate(taken) if mine]
        nodes = []
        while groups:  # neighbours in the order of execution form a node
            first = groups.pop(0)
            node = [first]
            while groups and groups[0] == node[-1] + 1:
                node.append(groups.pop(0))
            made = {operations[index][1] for index in node}
            used = {s for index in node for s in operations[index][0]}
            later = {s for i, (ss, _) in enumerate(operations) if i not in node for s in ss}
            outputs = sorted(m for m in made if m in later or m not in used)
            nodes.append((sorted(used - made), outputs))
        found = host_worker._operations(fake_interpreter(operations, nodes))
        assert [row["delegated"] for row in found] == taken


def test_a_litert_that_does_not_tell_placement(model, worker):
    assert host_worker._operations(SimpleNamespace()) is None
    source = Path(host_worker.__file__).read_text()
    worker(source.split("from __future__ import annotations")[1].replace("_get_ops_details", "x"))
    placement = HostDevice().measure(model, QUICK).placement
    assert placement[0] == Placement(0, "CONV_2D", None)
    assert {row.accelerator for row in placement} == {None}


def test_memory_is_the_workers_own(tmp_path, model):
    """A process starts with the peak of its parent under getrusage; this must not be that."""
    ballast = np.ones(400 * 2**20, np.uint8)
    small = HostDevice().measure(model, QUICK)
    assert ballast[0] == 1
    assert 10 < small.peak_memory_mb < 200
    assert 10 < small.conditions["memory_before_load_mb"] <= small.peak_memory_mb
    large = tmp_path / "large.tflite"
    large.write_bytes(artifact(CONV, "float", side=512))
    found = HostDevice().measure(large, QUICK)
    assert found.peak_memory_mb > small.peak_memory_mb + 512 * 512 * 4 * 4 / 1e6  # one tensor


def test_a_home_that_can_not_be_written_is_told(model, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.delenv("NAS_LOCK_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    with pytest.raises(RunError, match=r"can't write .*host-gate\.lock: Not.*NAS_LOCK_DIR may"):
        HostDevice().measure(model, QUICK)


def test_nothing_of_ours_works_meanwhile(model):
    order = []
    inside, leave = threading.Event(), threading.Event()

    def work():
        with host_lock.working():
            inside.set()
            leave.wait(30)
            order.append("work done")

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(30)
    timer = threading.Timer(0.5, leave.set)
    timer.start()
    HostDevice().measure(model, QUICK)
    order.append("measured")
    thread.join()
    assert order == ["work done", "measured"]


def test_what_is_no_model(tmp_path):
    path = tmp_path / "m.tflite"
    with pytest.raises(ConfigError, match=r"m\.tflite can't be read: No such file"):
        HostDevice().measure(path, QUICK)
    path.write_bytes(b"not a model")
    with pytest.raises(ConfigError, match=r"m\.tflite is no \.tflite file"):
        HostDevice().measure(path, QUICK)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"launches": 0}, "TimingProtocol.launches=0: expected 1 at least"),
        ({"runs": 0}, "TimingProtocol.runs=0: expected 1 at least"),
        ({"threads": 0}, "TimingProtocol.threads=0"),
        ({"warmup": -1}, "TimingProtocol.warmup=-1: expected 0 at least"),
        ({"timeout_seconds": 0}, "TimingProtocol.timeout_seconds=0: expected more than 0"),
    ],
)
def test_a_protocol_that_makes_no_sense(model, change, reason):
    with pytest.raises(ConfigError, match=reason):
        HostDevice().measure(model, TimingProtocol(**{**asdict(QUICK), **change}))


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
    monkeypatch.setattr(host, "_ENDING_SECONDS", 0.3)
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


def gone(pid: int, seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def measuring_process(model: Path) -> tuple[subprocess.Popen, psutil.Process]:
    """A process that measures for a minute, and the worker that it started."""
    code = (
        "import signal, sys; from pathlib import Path\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's & ignores it
        "from nas.devices import TimingProtocol, open_device\n"
        "protocol = TimingProtocol(launches=1, min_seconds=60, threads=1)\n"
        "open_device('host').measure(Path(sys.argv[1]), protocol)\n"
    )
    # Else NumPy has threads, and the worker looks as if it had its request while it imports.
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, str(model)]
    driver = subprocess.Popen(command, stderr=subprocess.PIPE, env=alone)
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for child in psutil.Process(driver.pid).children():
            threads = child.num_threads()
            if "host/worker" in " ".join(child.cmdline()) and threads >= 2:  # it watches its parent
                return driver, child
        time.sleep(0.02)
    driver.kill()
    raise AssertionError("no worker was started")


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_worker_ends_with_its_driver(model, signum):
    driver, worker = measuring_process(model)
    assert os.getsid(worker.pid) == worker.pid  # a Ctrl-C at the terminal would not reach it
    driver.send_signal(signum)
    _, errors = driver.communicate(timeout=120)
    assert gone(worker.pid)
    assert (b"KeyboardInterrupt" in errors) == (signum == signal.SIGINT)


def test_a_worker_ends_when_its_standard_input_does(model):
    """The other way in which it learns that nobody waits for it: where there is no PDEATHSIG."""
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    process = subprocess.Popen(
        [sys.executable, "-P", host_worker.__file__, str(write_end)],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        close_fds=False,
    )
    os.close(write_end)
    request = {**asdict(QUICK), "min_seconds": 60, "artifact": str(model)}
    request |= {"parent": os.getpid(), "best_pace_ms": None}
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()
    time.sleep(0.5)
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(timeout=60) == 1
    assert os.read(read_end, 9) == b"\n"  # ready, and nothing else
    os.close(read_end)


def test_a_worker_of_another_parent_does_nothing(model):
    request = {**asdict(QUICK), "artifact": str(model), "parent": 1}
    ran = subprocess.run(
        [sys.executable, "-P", host_worker.__file__, "1"],
        input=json.dumps(request).encode() + b"\n",
        capture_output=True,
        timeout=120,
    )
    assert (ran.returncode, ran.stdout) == (1, b"\n")


def test_a_worker_without_a_request():
    command = [sys.executable, "-P", host_worker.__file__, "1"]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    assert (ran.returncode, ran.stdout) == (1, b"\n")


def test_the_driver_imports_no_tensorflow(model):
    code = (
        "import sys; from pathlib import Path\n"
        "from nas.devices import TimingProtocol, open_device\n"
        "open_device('host').measure(Path(sys.argv[1]), TimingProtocol(launches=1, runs=1))\n"
        "print('tensorflow' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(model)], capture_output=True, text=True, check=True
    )
    assert (ran.stdout, ran.stderr) == ("False\n", "")


def test_no_descriptors_or_processes_are_left(model, worker):
    HostDevice().measure(model, QUICK)
    before = len(os.listdir("/proc/self/fd")), len(psutil.Process().children())
    for _ in range(2):
        HostDevice().measure(model, QUICK)
    worker("os.abort()")
    with pytest.raises(DeviceStableError):
        HostDevice().measure(model, QUICK)
    assert (len(os.listdir("/proc/self/fd")), len(psutil.Process().children())) == before


def test_inputs_are_noise_of_the_inputs_type():
    rng = np.random.default_rng(0)
    for dtype, low, high in ((np.float32, 0, 1), (np.int8, -128, 127), (np.int16, -32768, 32767)):
        values = host_worker._noise(rng, {"dtype": dtype, "shape": np.array([1, 64, 64, 3])})
        assert values.dtype == dtype
        assert values.shape == (1, 64, 64, 3)
        assert low <= values.min() < low + (high - low) * 0.01
        assert high - (high - low) * 0.01 < values.max() <= high


def test_others_work_is_noted(model, worker):
    """A core that somebody else keeps busy shows up in the conditions."""
    answer = {
        "init_ms": 1.0, "first_ms": 1.0, "samples_ms": [1.0], "peak_memory_mb": None,
        "memory_before_load_mb": None, "cpu_seconds": 0.0, "operations": None,
        "paces_ms": [0.1], "disturbed_runs": 0,
    }  # fmt: skip
    worker(  # its own work is not told in cpu_seconds, so it counts as another's
        "os.write(int(sys.argv[1]), b'\\n')\nsys.stdin.readline()\n"
        "end = time.monotonic() + 0.6\nwhile time.monotonic() < end: pass\n"
        f"os.write(int(sys.argv[1]), {json.dumps(answer).encode()!r})"
    )
    conditions = HostDevice().measure(model, QUICK).conditions
    assert conditions["busy"] is True
    assert conditions["others_busy_cores"] > 0.3


def test_processes_that_were_started_ahead_measure_next_time(model):
    protocol = TimingProtocol(launches=2, warmup=0, runs=1, threads=1)
    AHEAD.keep()
    try:
        assert children() == set()
        HostDevice().measure(model, protocol)
        AHEAD.settle()
        ahead = children()
        assert len(ahead) == 2
        killed = psutil.Process(min(ahead))
        killed.kill()
        killed.wait()  # one that somebody ends is made up for
        assert len(HostDevice().measure(model, protocol).samples_ms) == 2
        assert not ahead & children()
    finally:
        AHEAD.end()
    assert children() == set()


def test_nothing_is_started_ahead_of_a_single_measurement(model):
    HostDevice().measure(model, TimingProtocol(launches=1, warmup=0, runs=1, threads=1))
    assert children() == set()


def worker_of(child):
    return any("host/worker" in part for part in child.cmdline())


def children():
    return {child.pid for child in psutil.Process().children() if worker_of(child)}
