"""Blocks of launches on a held phone: drift, heat, and delegates that are believed or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nas.devices.adb.server import AdbServer
from nas.devices.delegate import Delegate
from nas.devices.failures import (
    PhoneStableError,
)
from nas.devices.logs import parse_output
from nas.devices.measurement import TimingProtocol
from nas.devices.phone.fitness import Limits
from nas.devices.phone.launch import PhoneOptions
from nas.devices.phone.session import PhoneSession
from tests.helpers.phones import StartPhone, device_of

PROTOCOL = TimingProtocol(launches=1, runs=10, warmup=1, threads=4, timeout_seconds=20)


def test_a_drifting_block_is_measured_again(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    phone = start_phone()
    device = device_of(phone, adb_server, interleave=True)
    fault = phone.inject("slow", seconds=3.0)
    opened = len(phone.opened)

    def restore() -> None:
        if len([n for n in phone.opened[opened:] if "num_runs=10" in n]) == 3:
            fault.unlink(missing_ok=True)

    phone.on_open = restore
    found = device.measure(plain, replace(PROTOCOL, launches=2))
    assert found.conditions["blocks"] > 1
    assert found.conditions["steady"]
    assert found.conditions["drift"] < 0.05


def test_a_phone_that_gets_hot_is_measured_again_when_cool(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    phone = start_phone()
    device = device_of(phone, adb_server, limits=Limits(wait_seconds=10, poll_seconds=0.05))

    def heat() -> None:
        if any("num_runs=10" in name for name in phone.opened):
            looked = sum("dumpsys thermalservice" in name for name in phone.opened)
            phone.set_state(celsius=60 if looked < 4 else 30)

    phone.on_open = heat
    found = device.measure(plain, PROTOCOL)
    assert found.conditions["blocks"] == 2
    assert found.conditions["after"]["thermal_status"] == 0
    told = " ".join(device.told)  # type: ignore[attr-defined]
    assert "afterwards hot" in told
    assert "waiting" in told


COMPILED = """INFO: STARTING!
INFO: [benchmark_litert_model.cc:201] Loading model from: m.tflite
INFO: [environment.cc:30] Creating LiteRT environment with options
{}
========== BENCHMARK RESULTS ==========
INFO: [benchmark_litert_model.h:94] Model initialization: 237.50 ms
INFO: [benchmark_litert_model.h:96] Warmup (first):       74.04 ms
INFO: [benchmark_litert_model.h:100] Inference (avg):      73.20 ms (10 runs)
"""


REPLACING = (
    "VERBOSE: Replacing {} node(s) with delegate ({}) node, yielding 1 partitions for subgraph 0."
)


def believed(kind: str, *words: str) -> None:
    """Let a session believe, or not, what LiteRT's tool printed."""
    session = PhoneSession(
        cast("Any", SimpleNamespace(serial="X")),
        PhoneOptions(delegate=Delegate(kind)),
        cast("Any", SimpleNamespace(android="16")),
        cast("Any", SimpleNamespace(path="tool")),
        cast("Any", None),
        "adb:X",
        print,
    )
    output = COMPILED.format("\n".join(words))
    session.believe(parse_output(output, 0, kind))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "no such delegate"),
        ((REPLACING.format("470 out of 476", "TfLiteXNNPackDelegate"),), "470 of 476 nodes"),
        (
            ("WARNING: NPU accelerator could not be loaded and registered: 3.",),
            "could not be loaded",
        ),
        ((REPLACING.format("31 out of 31", "LITERT_CL"),), "31 of 31 nodes on LITERT_CL"),
    ],
)
def test_an_npu_is_believed_only_if_it_ran(words: tuple[str, ...], reason: str) -> None:
    with pytest.raises(PhoneStableError, match=f"not_delegated: npu.*{reason}") as caught:
        believed("npu", *words)
    assert caught.value.failure.failure_class == "not_delegated"


@pytest.mark.parametrize(
    "words",
    [
        (REPLACING.format("1 out of 1", "DispatchDelegate"),),
        (
            REPLACING.format("2 out of 9", "DispatchDelegate"),
            REPLACING.format("7 out of 8", "TfLiteXNNPackDelegate"),
        ),
        ("INFO: op DISPATCH_OP, node 0",),
    ],
)
def test_an_npu_that_ran_is_believed(words: tuple[str, ...]) -> None:
    believed("npu", *words)


def test_a_dispatch_that_failed_is_not_believed() -> None:
    missing = "ERROR: Failed to create a dispatch delegate kernel: No usable Dispatch runtime found"
    with pytest.raises(PhoneStableError, match=r"delegate_refused.*No usable Dispatch runtime"):
        believed("npu", REPLACING.format("1 out of 1", "DispatchDelegate"), missing)


def test_the_cpu_needs_no_delegate() -> None:
    believed("cpu")
    believed("cpu", REPLACING.format("470 out of 476", "TfLiteXNNPackDelegate"))
