"""Measuring on phones: side by side, the driver's own time, agreement with the host.

    python -m benchmarks.phones [ARTIFACTS]

On emulated phones behind the real adb server, whose speed is waited for (about four seconds a
measurement), so that this machine's cores don't decide. Wanted:

- four phones finish 40 artifacts in at most 1.15 times a quarter of one phone's time;
- the driver adds at most 0.5 s to a measurement, beyond the tool's own runs;
- the stand-in tool's median on this machine lies within its noise of the host device's.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nas.devices import TimingProtocol
from nas.devices.adb.server import AdbServer
from nas.devices.delegate import Delegate
from nas.devices.host.device import HostDevice
from nas.devices.phone.device import AdbDevice
from nas.devices.phone.fitness import Limits
from nas.devices.phone.launch import PhoneOptions
from nas.system.environment import processor, versions
from tests.emulated_phone import models
from tests.emulated_phone.phone import EmulatedPhone
from tests.emulated_phone.profiles import PROFILES, Profile
from tests.emulated_phone.server import PrivateAdbServer

PHONES = 4
WAITED = replace(PROFILES["modern"], wait_scale=1.0, gmacs_per_s=1.0, launch_noise=0.002)
PROTOCOL = TimingProtocol(launches=3, runs=10, warmup=1, threads=4)
CLOSE = TimingProtocol(launches=5, runs=40, warmup=5, threads=1)


def main(artifacts: int = 40) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ["NAS_CACHE_DIR"] = os.environ["NAS_LOCK_DIR"] = str(folder / "cache")
        server = AdbServer("127.0.0.1", stack.enter_context(PrivateAdbServer()).port)
        side_by_side(server, folder, artifacts)
        agreement(server, folder)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {processor()}, {versions()}")


def side_by_side(server: AdbServer, folder: Path, count: int) -> None:
    """The same artifacts on one phone, then shared out among four; nothing measured before."""
    files = [network(folder / f"{number}.tflite", number) for number in range(count)]
    with lab(server, folder, [WAITED] * PHONES) as phones:
        for phone in phones:  # what is asked and sent once a phone
            phone.measure(files[0], replace(PROTOCOL, launches=1))
        timers = [timed_tool(phone) for phone in phones]
        alone = took([lambda: measure_all(phones[0], files)])
        beyond = (alone - timers[0]()) / count
        shares = [files[number::PHONES] for number in range(PHONES)]
        together = took([
            lambda phone=phone, share=share: measure_all(phone, share)
            for phone, share in zip(phones, shares, strict=True)
        ])  # fmt: skip
    ratio = together / (alone / PHONES)
    print(f"{count} artifacts: {alone:.1f} s on one phone, {together:.1f} s on {PHONES}")
    print(f"  {ratio:.3f} of a quarter (at most 1.15)")
    print(f"driver: {beyond:.3f} s a measurement beyond the tool's runs (at most 0.5)")


def network(path: Path, seed: int) -> Path:
    """Convolutions of 45 MMAC: 45 ms on these phones. All of one structure, none like another."""
    graph = models.Builder(128, 128)
    graph._random = np.random.default_rng(seed)
    return graph.write(graph.conv(graph.conv(graph.input, 16), 16), path)


def measure_all(phone: AdbDevice, files: list[Path]) -> None:
    for file in files:
        phone.measure(file, PROTOCOL)


def agreement(server: AdbServer, folder: Path) -> None:
    """The stand-in tool, which times this machine, against the host device, one after another."""
    file = models.small_unet(folder / "unet.tflite", 256, 16)
    with lab(server, folder, [PROFILES["host-speed"]], delegate=Delegate("cpu")) as (phone,):
        tool = phone.measure(file, CLOSE)
    host = HostDevice().measure(file, CLOSE)
    print(f"host {told(host)}; tool {told(tool)}; {tool.latency_ms / host.latency_ms - 1:+.1%}")


def told(measurement: Any) -> str:
    low, high = measurement.interval_ms
    return f"{measurement.latency_ms:.2f} ms ({low:.2f} to {high:.2f})"


@contextmanager
def lab(
    server: AdbServer, folder: Path, profiles: list[Profile], **options: Any
) -> Iterator[list[AdbDevice]]:
    """Emulated phones, connected, as devices; the load of this machine does not hold them up."""
    with ExitStack() as stack:
        phones = []
        for profile in profiles:
            phone = stack.enter_context(EmulatedPhone(profile, cache=folder / "known"))
            server.connect(phone.address)
            given = PhoneOptions(limits=Limits(load_per_core=1e9), blocks=1, **options)
            phones.append(AdbDevice(phone.address, given, server))
        yield phones


def timed_tool(phone: AdbDevice) -> Callable[[], float]:
    """Time the tool's runs from now on; return a function that gives their seconds so far."""
    seconds: list[float] = []
    run = phone.adb.run

    def timed(*arguments: Any, **options: Any) -> Any:
        result = run(*arguments, **options)
        seconds.append(result.seconds)
        return result

    phone.adb.run = timed  # type: ignore[method-assign]
    return lambda: statistics.fsum(seconds)


def took(jobs: list[Callable[[], None]]) -> float:
    started = time.monotonic()
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - started


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
