"""`adb:SERIAL`: a phone as a device.

A measurement: the phone is locked, looked at until it is fit, the file is sent, one untimed launch
shows the placement, and timed launches follow, interleaved with a control model whose drift tells
the phone's own. Whatever goes wrong ends as a `PhoneError` with a class.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from nas.devices.adb.connection import Adb
from nas.devices.adb.server import AdbServer
from nas.devices.control_model import control_model
from nas.devices.delegate import BY_ANDROID
from nas.devices.failures import (
    RETRIED,
    DeviceFailure,
    Evidence,
    PhoneError,
    PhoneSetAsideError,
    PhoneStableError,
    PhoneTransientError,
    phone_error,
)
from nas.devices.logs import LogReport
from nas.devices.measurement import Measurement, Placement, TimingProtocol
from nas.devices.npu import requirements
from nas.devices.npu.ahead import AheadFile, compiled_ahead
from nas.devices.phone.benchmark_tool import CACHE_FOLDER, Tool, have_tool
from nas.devices.phone.clock import steady_clock
from nas.devices.phone.idle_state import Habits
from nas.devices.phone.info import PhoneInfo, read_info
from nas.devices.phone.launch import PhoneOptions
from nas.devices.phone.lock import phone_lock
from nas.devices.phone.model_cache import make_room
from nas.devices.phone.npu_libraries import known_chip
from nas.devices.phone.npu_setup import NpuSetup, npu_setup
from nas.devices.phone.outputs import run_inputs
from nas.devices.phone.presence import NOT_CONNECTED, PhonePresence
from nas.devices.phone.session import PhoneSession, shortened
from nas.devices.phone.tool_settings import default_delegate
from nas.devices.placement import join
from nas.errors import ConfigError
from nas.system.hashing import content_key
from nas.tflite.file import read_tflite
from nas.tflite.size import check_fixed

Result = TypeVar("Result")


class AdbDevice:
    """A phone over adb; threads may share it, and one of them measures at a time.

    `failures_in_a_row` counts the measurements that failed since the last good one. `presence`
    tells whether the phone is there, `tell` is called with sentences for a user.
    """

    def __init__(
        self,
        serial: str,
        options: PhoneOptions | None = None,
        server: AdbServer | None = None,
        tell: Callable[[str], None] | None = None,
        progress: Callable[[int, int], None] | None = None,
        name: str | None = None,
    ) -> None:
        self.options = options or PhoneOptions()
        self.adb = Adb(server or AdbServer.from_environment(), serial)
        self.failures_in_a_row = 0
        self.tell = tell or _to_stderr
        self._progress = progress
        self._name = name or f"adb:{serial}"
        self.presence = PhonePresence(self.adb)
        self._info: PhoneInfo | None = None
        self._tool: Tool | None = None
        self._setup: NpuSetup | None = None

    @property
    def serial(self) -> str:
        """The phone's name in `adb devices`."""
        return self.adb.serial

    @property
    def spec(self) -> str:
        """The name that `open_device` takes."""
        return self._name

    @property
    def set_aside(self) -> bool:
        """Whether the phone fails so often that nothing more is asked of it."""
        return self.failures_in_a_row >= self.options.set_aside_after

    def measure(self, artifact: Path, protocol: TimingProtocol) -> Measurement:
        """Time one artifact and tell where its operations ran.

        Raises PhoneStableError where the artifact can't run here, PhoneTransientError where the
        phone can't measure now, PhoneSetAsideError once it has failed too often, and ConfigError
        where the options or the file can't work.
        """
        check_fixed(read_tflite(artifact), artifact)
        return self._retried(lambda: self._measure(artifact, protocol), protocol)

    def place(self, artifact: Path) -> tuple[tuple[Placement, ...], LogReport]:
        """Launch once, untimed; returns where each operation ran, and the report of the logs.

        A launch that fails is returned, with the `failure` in its report, unless the failure is
        about the moment. Raises as `measure`.
        """
        file = read_tflite(artifact)
        check_fixed(file, artifact)
        operations = file.operations

        def probe() -> tuple[tuple[Placement, ...], LogReport]:
            with self.session(artifact) as session:
                report = session.probe(session.send(artifact))
                if report.failure is not None and report.failure.failure_class in RETRIED:
                    raise phone_error(report.failure, Evidence(self.serial))
                return join(operations, report, self.options.delegate), report

        return self._retried(probe, TimingProtocol())

    def _measure(self, artifact: Path, protocol: TimingProtocol) -> Measurement:
        ahead = self._compiled_here(artifact) if self.options.ahead else None
        sent = artifact if ahead is None else ahead.path
        with self.session(sent) as session, steady_clock(self.adb):
            found = session.measure(sent, protocol)
        return found if ahead is None else ahead.told(found)

    def _compiled_here(self, artifact: Path) -> AheadFile:
        """Compile a file for the phone's NPU on this computer, before the phone is held."""
        return compiled_ahead(artifact, self._chip_compiled_for_here(), f"phone {self.serial}")

    def _chip_compiled_for_here(self) -> str:
        """Return the chip's name for the compiler here; ConfigError where that can't be."""
        requirements.check()
        chip = known_chip(self.serial, self.info().chip)
        if chip.vendor != "Qualcomm":
            raise ConfigError(
                f"phone {self.serial}: compile=here knows Qualcomm's chips, and {chip.name} is "
                f"{chip.vendor}'s; take compile=phone"
            )
        return chip.compiler_name

    @contextmanager
    def session(self, artifact: Path | None = None) -> Iterator[PhoneSession]:
        """Hold the phone, with its tool ready; raises as `measure`, but tries once only.

        `artifact` will be used in the session: its file on the phone is not removed to make room.
        """
        wait_seconds = self.options.lock_wait_seconds
        with phone_lock(self.adb, CACHE_FOLDER, wait_seconds, self.tell) as held:
            make_room(self.adb, CACHE_FOLDER, held, artifact, control_model())
            info, tool, setup = self.info(), self._known_tool(), self._known_setup()
            setup.send(self.adb, self._progress)
            yield PhoneSession(
                self.adb,
                self.options,
                info,
                tool,
                held,
                self.spec,
                self.tell,
                self._progress,
                Habits.of(self.serial),
                setup if artifact is None else setup.of(read_tflite(artifact)),
            )

    def outputs(
        self, artifact: Path, inputs: Sequence[bytes], protocol: TimingProtocol
    ) -> list[bytes]:
        """Run the artifact on each of `inputs`; returns the outputs, in their order.

        Inputs and outputs are the raw bytes of the artifact's only input and output tensor. Of
        `protocol` only the threads and the seconds of a launch count. Raises as `measure`.
        """
        file = read_tflite(artifact)
        check_fixed(file, artifact)

        def run() -> list[bytes]:
            with self.session(artifact) as session:
                return run_inputs(session, artifact, file, inputs, protocol)

        return self._retried(run, protocol)

    def tool(self) -> Tool:
        """Return the benchmark tool on the phone; raises as `measure`."""
        if self._tool is None:
            self.identity()
        return self._known_tool()

    def check(self) -> None:
        """Raise as `PhonePresence.check` where the phone can't be used now."""
        self.presence.check()

    def answer(self) -> None:
        """Raise at once where the phone, or the delegate on it, can't be used.

        Raises as `PhonePresence.answer`, and ConfigError where a vendor's library is missing.
        """
        self.presence.answer()
        if self.options.delegate.kind == "npu" or self.options.libraries is not None:
            self._known_setup()
            if self.options.ahead:
                self._chip_compiled_for_here()

    def info(self) -> PhoneInfo:
        """Return the phone's lasting facts, which are asked once."""
        if self._info is None:
            self._info = read_info(self.adb)
            self.presence.seen = True
            self._choose_delegate(self._info)
        return self._info

    def _choose_delegate(self, info: PhoneInfo) -> None:
        """Take the delegate for the phone's Android where none was named, and say so."""
        if self.options.delegate.kind != BY_ANDROID:
            return
        delegate = default_delegate(info.sdk)
        self.options = replace(self.options, delegate=delegate)
        other = "nnapi, deprecated since 15" if delegate.kind == "gpu" else "gpu"
        self.tell(
            f"phone {self.serial}: Android {info.android or 'of unknown version'}, so networks run "
            f"with --delegate {delegate} (name another one to change it: {other})"
        )

    def identity(self) -> dict[str, str]:
        """Return what a measurement depends on beside the file and the protocol.

        That is the phone's build, the tool's content, the delegate and the method. They are asked
        once, so that kept measurements can be read while the phone is away. Raises as `measure`.
        """
        if self._info is None or self._tool is None or self._setup is None:

            def ask() -> None:
                self.info()
                self._known_setup()
                self._known_tool()

            self._retried(ask, TimingProtocol())
        return {
            "serial": self.serial,
            "build": self.info().fingerprint,
            "tool": self._known_tool().sha256,
            "delegate": str(self.options.delegate),
            "method": self.options.method,
            **self._identity_of_settings(),
        }

    def _identity_of_settings(self) -> dict[str, str]:
        """Return the settings that differ from the tool's own: without any, old keys stay valid."""
        options, libraries = self.options, self._known_setup().libraries
        values = {"precision": options.precision, "strict": "true" if options.strict else None}
        values["libraries"] = None if libraries is None else libraries.folder
        if options.ahead:
            values["compiled"] = f"here, {content_key(requirements.versions())}"
        return {name: value for name, value in values.items() if value is not None}

    def expect(self) -> None:
        """Take an absent phone for a pulled cable from now on, not for a wrong serial."""
        self.presence.expected = True

    def readmit(self) -> None:
        """Forget the phone's failures: a person may have repaired one that was set aside."""
        self.failures_in_a_row = 0

    def _known_tool(self) -> Tool:
        if self._tool is None:
            abis = list(self.info().abis)
            binaries = dict(self.options.binaries)
            self._tool = have_tool(self.adb, binaries, abis, self.options.installed_tool)
        return self._tool

    def _known_setup(self) -> NpuSetup:
        if self._setup is None:
            info = self.info()
            self._setup = npu_setup(self.adb, info, self.options.delegate, self.options.libraries)
        return self._setup

    def _retried(self, action: Callable[[], Result], protocol: TimingProtocol) -> Result:
        if self.set_aside:
            raise self._set_aside_error()
        failures: list[PhoneTransientError] = []
        for attempt in range(self.options.attempts):
            if attempt:
                time.sleep(self.options.backoff_seconds * 2 ** (attempt - 1))
            try:
                if attempt:
                    self.adb.server.reconnect_if_away(self.serial, self.options.reconnect_seconds)
                self.check()
                result = action()
            except PhoneStableError as error:
                raise self._believed(error, protocol) from error
            except PhoneTransientError as error:
                absent = error.failure.detail == NOT_CONNECTED
                if self.presence.never_seen and attempt == 0 and absent:
                    raise  # a wrong serial rather than a pulled cable
                failures.append(error)
                if error.failure.failure_class not in RETRIED:
                    break  # a person has to mend it: the error tells it, once
                self.tell(f"{error} (attempt {attempt + 1} of {self.options.attempts})")
            else:
                self.failures_in_a_row = 0
                return result
        raise self._verdict(failures, protocol) from failures[-1]

    def _believed(self, refusal: PhoneStableError, protocol: TimingProtocol) -> PhoneError:
        """Return the refusal, or the phone's own error where its control model fails, too."""
        if self._control_runs(protocol):
            self.failures_in_a_row = 0
            tool = {"sha256": self._known_tool().sha256}
            refusal.conditions = {"phone": self.info().to_dict(), "tool": tool}
            return refusal
        self.failures_in_a_row += 1
        if self.set_aside:
            return self._set_aside_error(refusal)
        message = f"{refusal}; it fails with the control model, too"
        error = PhoneTransientError(message, refusal.failure, refusal.evidence)
        error.placement = refusal.placement
        return error

    def _verdict(self, failures: list[PhoneTransientError], protocol: TimingProtocol) -> PhoneError:
        """Return the error of repeated failures: the phone's, if its control model fails, too."""
        last = failures[-1]
        kinds = {error.failure.failure_class for error in failures}
        if "held" in kinds:
            return last  # somebody else is at work on it: says nothing against the phone
        if self._control_runs(protocol):
            self.failures_in_a_row = 0
            if len(failures) == self.options.attempts and kinds <= {"timeout", "driver_crash"}:
                times = f"{len(failures)} times, while the control model ran"
                message = f"{last} ({times})"
                return PhoneStableError(message, last.failure, last.evidence)
            return last
        self.failures_in_a_row += 1
        return self._set_aside_error(last) if self.set_aside else last

    def _set_aside_error(self, last: PhoneError | None = None) -> PhoneSetAsideError:
        failure = last.failure if last else DeviceFailure("device_offline", "set aside")
        evidence = last.evidence if last else Evidence(self.serial)
        return PhoneSetAsideError(
            f"phone {self.serial} is set aside: {self.failures_in_a_row} measurements in a row "
            f"failed with the control model, too ({failure})",
            failure,
            evidence,
        )

    def _control_runs(self, protocol: TimingProtocol) -> bool:
        try:
            self.check()
            with self.session() as session:
                remote = session.send(control_model())
                session.launch(remote, shortened(protocol), tolerant=True)
        except PhoneStableError as error:
            # A delegate may refuse the control model's type: the phone itself is well then.
            return error.failure.failure_class == "delegate_refused"
        except (PhoneError, ConfigError):
            return False
        return True


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
