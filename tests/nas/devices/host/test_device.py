import hashlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nas.devices import Measurement, Placement, TimingProtocol, open_device
from nas.devices.host import worker as host_worker
from nas.devices.host.device import HostDevice
from nas.errors import ConfigError, RunError
from nas.system import host_lock
from tests.helpers.artifacts import SIX, artifact, network

QUICK = TimingProtocol(launches=1, warmup=0, runs=2, threads=1, timeout_seconds=60)


CONV = network("resize-bilinear", "relu")


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


def test_a_litert_that_does_not_tell_placement(model, worker):
    assert host_worker.operations_of(SimpleNamespace()) is None
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
