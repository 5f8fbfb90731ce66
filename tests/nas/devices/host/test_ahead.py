"""Processes that are started ahead of the next measurement."""

import psutil

from nas.devices import TimingProtocol
from nas.devices.host.ahead import AHEAD
from nas.devices.host.device import HostDevice
from nas.execution.processes import ProcessCrew
from tests.helpers.artifacts import network

QUICK = TimingProtocol(launches=1, warmup=0, runs=2, threads=1, timeout_seconds=60)


CONV = network("resize-bilinear", "relu")


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
    return any("host/worker.py" in part for part in child.cmdline())


def children():
    return {child.pid for child in psutil.Process().children() if worker_of(child)}


def test_a_crew_of_processes_keeps_some_while_it_has_the_host():
    crew = ProcessCrew(threads=1, networks=False)
    assert AHEAD._kept is None
    crew.start("paper:pixel-4")
    assert AHEAD._kept is None  # nothing is timed here
    crew.start(HostDevice.spec)
    assert AHEAD._kept is not None
    crew.close()
    assert AHEAD._kept is None
