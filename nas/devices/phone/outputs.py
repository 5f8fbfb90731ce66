"""Outputs of an artifact on a phone, computed there by the benchmark tool from inputs of ours."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from nas.devices.failures import DeviceFailure, Evidence, PhoneError, phone_error
from nas.devices.measurement import TimingProtocol
from nas.devices.phone.benchmark_tool import CACHE_FOLDER, output_arguments
from nas.devices.phone.lock import PICTURES
from nas.devices.phone.session import PhoneSession
from nas.tflite.file import TfliteFile

_FOLDER = f"{CACHE_FOLDER}/{PICTURES}"


def run_inputs(
    session: PhoneSession,
    artifact: Path,
    file: TfliteFile,
    inputs: Sequence[bytes],
    protocol: TimingProtocol,
) -> list[bytes]:
    """Run an artifact on each of `inputs`, in a fresh process each; returns the outputs.

    Inputs and outputs are the raw bytes of the tensors of `file`. They are sent and fetched
    together, and removed from the phone.
    Raises PhoneError where a launch fails, or runs without the delegate, and ConfigError where the
    tool on the phone can't do it.
    """
    adb, shape = session.adb, file.inputs[0].shape
    size = math.prod(file.outputs[0].shape) * np.dtype(file.outputs[0].dtype).itemsize
    model = session.send(artifact)
    commands = [
        output_arguments(
            session.tool,
            model,
            session.options.delegate,
            session.options.method,
            protocol.threads,
            shape,
            (f"{_FOLDER}/{number}.in", f"{_FOLDER}/{number}.out"),
            session.settings(),
        )
        for number in range(len(inputs))
    ]
    try:
        with tempfile.TemporaryDirectory(prefix="pictures-") as folder:
            local = Path(folder) / "raw"
            adb.shell(f"mkdir -p {_FOLDER}")
            for number, data in enumerate(inputs):
                local.write_bytes(data)
                adb.push(local, f"{_FOLDER}/{number}.in", session.progress)
            for command in commands:
                _launch(session, command, protocol.timeout_seconds)
            return [_fetched(session, number, local, size) for number in range(len(inputs))]
    finally:
        with suppress(PhoneError):  # else whoever holds the phone next removes it
            adb.shell(f"rm -rf {_FOLDER}", 5.0)


def _launch(session: PhoneSession, command: list[str], seconds: float) -> None:
    result, report = session.run(command, seconds)
    try:
        session.believe(report)
    except PhoneError as error:
        error.evidence = Evidence(
            session.adb.serial, result.command, result.exit_code, result.stdout, result.stderr
        )
        raise


def _fetched(session: PhoneSession, number: int, local: Path, size: int) -> bytes:
    remote = f"{_FOLDER}/{number}.out"
    received = session.adb.size_of(remote)
    if received != size:
        seen = "no output" if received is None else f"an output of {received} bytes"
        failure = DeviceFailure("unparsable", f"the tool left {seen}, {size} bytes were expected")
        raise phone_error(failure, Evidence(session.adb.serial))
    session.adb.pull(remote, local)
    return local.read_bytes()
