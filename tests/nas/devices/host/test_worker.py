"""The process that times one network: its runs, its placement, and its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from nas.devices import TimingProtocol
from nas.devices.host import worker as host_worker
from tests.helpers.artifacts import artifact, network
from tests.helpers.ended import gone

QUICK = TimingProtocol(launches=1, warmup=0, runs=2, threads=1, timeout_seconds=60)


CONV = network("resize-bilinear", "relu")


def test_the_number_of_operations_that_litert_says_it_replaced():
    """The runtime's own count of partitions is the number of delegate nodes that were walked."""
    from ai_edge_litert.interpreter import Interpreter

    content = artifact(network("resize-bilinear", "prelu"), "int8-ptq")
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    rows = interpreter._get_ops_details()
    partitions = [row for row in rows if row["op_name"] == "DELEGATE"]
    found = host_worker.operations_of(interpreter)
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
        found = host_worker.operations_of(fake_interpreter(operations, nodes))
        assert [row["delegated"] for row in found] == taken


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
            if (
                "host/worker.py" in " ".join(child.cmdline()) and threads >= 2
            ):  # it watches its parent
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


def test_inputs_are_noise_of_the_inputs_type():
    rng = np.random.default_rng(0)
    for dtype, low, high in ((np.float32, 0, 1), (np.int8, -128, 127), (np.int16, -32768, 32767)):
        values = host_worker.noise(rng, {"dtype": dtype, "shape": np.array([1, 64, 64, 3])})
        assert values.dtype == dtype
        assert values.shape == (1, 64, 64, 3)
        assert low <= values.min() < low + (high - low) * 0.01
        assert high - (high - low) * 0.01 < values.max() <= high


REQUEST = {"runs": 3, "min_seconds": 0.0, "best_pace_ms": None}


@pytest.fixture
def paces(monkeypatch):
    """Have the fixed work take what is given, then the last one for good; a run takes 10 ms."""
    clock = [0.0]

    def given(*milliseconds: float) -> list[float]:
        left = list(milliseconds)

        def pace() -> float:
            clock[0] += 0.05
            return left.pop(0) if len(left) > 1 else left[0]

        def timed(_: object) -> float:
            clock[0] += 0.01
            return 10.0

        monkeypatch.setattr(host_worker, "pace_ms", pace)
        monkeypatch.setattr(host_worker, "timed_ms", timed)
        monkeypatch.setattr(host_worker, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
        return left

    return given


def runs(**changes: object) -> tuple[list[float], int]:
    found, disturbed = host_worker.timed_runs(None, REQUEST | changes)
    return [pace for pace, _ in found], disturbed


def test_a_steady_processor_is_timed_as_often_as_asked(paces) -> None:
    paces(1.0)
    assert runs() == ([1.0, 1.0, 1.0], 0)


def test_a_run_beside_a_slow_pace_is_done_again(paces) -> None:
    paces(1.0, 1.0, 1.7, 1.0)  # slow after the second run, then waited for
    assert runs() == ([1.0, 1.0, 1.0], 1)


def test_it_waits_for_the_pace_that_is_known(paces) -> None:
    left = paces(1.7, 1.7, 1.7, 1.0)
    assert runs(best_pace_ms=1.0) == ([1.0, 1.0, 1.0], 0)
    assert left == [1.0]


def test_patience_ends_with_the_least_disturbed_runs(paces) -> None:
    paces(2.0)
    kept, disturbed = runs(best_pace_ms=1.0)
    assert kept == [2.0, 2.0, 2.0]
    assert disturbed == 0
    paces(*[2.0] * 13, 1.9, 3.0, 2.5, 1.9)  # 0.6 s go by with waiting, 12 times 50 ms
    kept, disturbed = runs(best_pace_ms=1.0)
    assert len(kept) == 3
    assert disturbed == 0


def test_small_networks_are_not_timed_between_paces_alone(paces, monkeypatch) -> None:
    paces(1.0)
    monkeypatch.setattr(host_worker, "timed_ms", lambda _: 4.0)
    assert runs(runs=7) == ([1.0] * 9, 0)  # three blocks of three
    assert len(runs(runs=1, min_seconds=0.1)[0]) == 27


def test_a_pace_is_a_time() -> None:
    assert 0 < host_worker.pace_ms() < 1000
