"""`adb:SERIAL`: a phone as a device.

A measurement: the phone is locked, looked at until it is fit, the file is sent, one untimed launch
shows the placement, and timed launches follow, interleaved with a reference model whose drift tells
the phone's own. Whatever goes wrong ends as a `PhoneError` with a class.
"""

from __future__ import annotations

import shlex
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from nas import tflite
from nas.canonical import file_sha256
from nas.devices.adb import ADVICE, Adb, AdbServer, ShellResult
from nas.devices.benchmark_tool import (
    CACHE_FOLDER,
    Tool,
    have_tool,
    probe_arguments,
    timed_arguments,
)
from nas.devices.failures import (
    RETRIED,
    WITH_LATENCY,
    Evidence,
    Failure,
    PhoneError,
    PhoneSetAsideError,
    PhoneStableError,
    PhoneTransientError,
    phone_error,
)
from nas.devices.hygiene import (
    read_conditions,
    strongest_mask,
    wait_until_fit,
)
from nas.devices.logs import LogReport, parse_log
from nas.devices.measurement import Measurement, Placement, TimingProtocol
from nas.devices.phoneinfo import PhoneInfo, read_info
from nas.devices.phonelaunch import Block, Launch, PhoneOptions, doubt, first_ms, merged
from nas.devices.phonelock import Held, phone_lock
from nas.devices.placement import accelerated_mac_share, fallbacks, join
from nas.devices.reference import reference_model
from nas.errors import ConfigError

Result = TypeVar("Result")
VLOG = "compilation,manager,execution"
"""NNAPI's log tags for placement and for fallbacks while running, without operands' dumps."""
PAPER_MASK = "f0"
PAPER_TIMEOUT_SECONDS = 900.0
PROBE_TIMEOUT_SECONDS = 900.0


@dataclass(frozen=True)
class _Session:
    """What is known about the phone while it is locked."""

    info: PhoneInfo
    tool: Tool
    lock: str
    mask: str | None
    remote: str
    reference: str | None


class AdbDevice:
    """A phone over adb; safe to share between threads, of which one measures at a time."""

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
        self._stable_in_a_row = 0
        self._tell = tell or _to_stderr
        self._progress = progress
        self._name = name or f"adb:{serial}"
        self.expected = False
        self._info: PhoneInfo | None = None
        self._tool: Tool | None = None

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
        tflite.read(artifact)
        return self._retried(lambda: self._measure(artifact, protocol), protocol)

    def place(self, artifact: Path) -> tuple[tuple[Placement, ...], LogReport]:
        """One untimed launch: where each operation ran, and what the logs said; raises as measure.

        A failing launch is returned, not raised: its report's `failure` tells.
        """
        operations = tflite.read(artifact).operations

        def probe() -> tuple[tuple[Placement, ...], LogReport]:
            with phone_lock(self.adb, CACHE_FOLDER, self.options.lock_wait_seconds) as held:
                session = self._prepare(artifact, held, with_reference=False)
                report = self._probe(session)
                if report.failure is not None and report.failure.failure_class in RETRIED:
                    raise phone_error(report.failure, Evidence(self.serial))
                return join(operations, report, self.options.delegate), report

        return self._retried(probe, TimingProtocol())

    def check(self) -> None:
        """Raise where the phone is not there, not authorised, or is one of several of that name."""
        self.adb.server.ensure()
        entries = self.adb.server.entries()
        state = next((row.state for row in entries if row.serial == self.serial), None)
        if state == "device":
            return
        if state is None:
            there = ", ".join(row.serial for row in entries) or "none"
            raise PhoneTransientError(
                f"phone {self.serial} is not connected; connected: {there} (see `nas devices`)",
                Failure("device_offline", "not connected"),
                Evidence(self.serial),
            )
        unauthorized = state in ("unauthorized", "authorizing")
        failure = Failure("unauthorized" if unauthorized else "device_offline", f"adb says {state}")
        advice = ADVICE[failure.failure_class]
        if state.startswith("no permissions"):
            advice = "this user may not use the USB device: add a udev rule for it"
        raise phone_error(failure, Evidence(self.serial), advice)

    def info(self) -> PhoneInfo:
        """The phone's lasting facts; asked once."""
        if self._info is None:
            self._info = read_info(self.adb)
        return self._info

    def identity(self) -> dict[str, str]:
        """What a measurement depends on beside the file and the protocol: a cache's key.

        The phone's build, the tool's content, the delegate and the method; asked once, so that
        what was measured is found while the phone is away. Raises as `measure`.
        """
        if self._info is None or self._tool is None:
            self._retried(lambda: (self.info(), self._known_tool()), TimingProtocol())
        return {
            "serial": self.serial,
            "build": self.info().fingerprint,
            "tool": self._known_tool().sha256,
            "delegate": str(self.options.delegate),
            "method": self.options.method,
        }

    def expect(self) -> None:
        """Be patient from now on: an absent phone is a pulled cable, not a wrong serial."""
        self.expected = True

    def readmit(self) -> None:
        """Forget its failures: a person may have seen to a phone that was set aside."""
        self.failures_in_a_row = self._stable_in_a_row = 0

    def _known_tool(self) -> Tool:
        if self._tool is None:
            abis = list(self.info().abis)
            binaries = dict(self.options.binaries)
            self._tool = have_tool(self.adb, binaries, abis, self.options.installed_tool)
        return self._tool

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
            except PhoneStableError:
                self._count_stable(protocol)
                raise
            except PhoneTransientError as error:
                never_seen = self._info is None and not self.expected
                if never_seen and attempt == 0 and "is not connected" in str(error):
                    raise  # never seen: a wrong serial rather than a pulled cable
                failures.append(error)
                self._tell(f"{error} (attempt {attempt + 1} of {self.options.attempts})")
                if error.failure.failure_class not in RETRIED:
                    break
            else:
                self.failures_in_a_row = self._stable_in_a_row = 0
                return result
        raise self._verdict(failures, protocol) from failures[-1]

    def _count_stable(self, protocol: TimingProtocol) -> None:
        """Doubt a phone that refuses one candidate after another: is it the phone?"""
        self._stable_in_a_row += 1
        if self._stable_in_a_row % self.options.set_aside_after:
            return
        if not self._reference_runs(protocol):
            self.failures_in_a_row = self.options.set_aside_after

    def _verdict(self, failures: list[PhoneTransientError], protocol: TimingProtocol) -> PhoneError:
        """Whose fault repeated failures are: the reference model's fate tells."""
        last = failures[-1]
        kinds = {error.failure.failure_class for error in failures}
        if "held" in kinds:
            return last  # somebody else is at work on it: says nothing against the phone
        if self._reference_runs(protocol):
            self.failures_in_a_row = 0
            if len(failures) == self.options.attempts and kinds <= {"timeout", "driver_crash"}:
                times = f"{len(failures)} times, while the reference model ran"
                message = f"{last} ({times})"
                return PhoneStableError(message, last.failure, last.evidence)
            return last
        self.failures_in_a_row += 1
        return self._set_aside_error(last) if self.set_aside else last

    def _set_aside_error(self, last: PhoneError | None = None) -> PhoneSetAsideError:
        failure = last.failure if last else Failure("device_offline", "set aside")
        evidence = last.evidence if last else Evidence(self.serial)
        return PhoneSetAsideError(
            f"phone {self.serial} is set aside: {self.failures_in_a_row} measurements in a row "
            f"failed with the reference model, too ({failure})",
            failure,
            evidence,
        )

    def _reference_runs(self, protocol: TimingProtocol) -> bool:
        try:
            self.check()
            with phone_lock(self.adb, CACHE_FOLDER, self.options.lock_wait_seconds) as held:
                session = self._prepare(reference_model(), held, with_reference=False)
                self._launch(session, session.remote, _short(protocol), tolerant=True)
        except PhoneStableError as error:
            # A delegate may refuse the reference's type: the phone itself is well then.
            return error.failure.failure_class == "delegate_refused"
        except (PhoneError, ConfigError):
            return False
        return True

    def _measure(self, artifact: Path, protocol: TimingProtocol) -> Measurement:
        operations = tflite.read(artifact).operations
        with phone_lock(self.adb, CACHE_FOLDER, self.options.lock_wait_seconds) as held:
            robust = self.options.method == "robust"
            session = self._prepare(artifact, held, robust and self.options.interleave)
            report = self._probe(session)
            placement = join(operations, report, self.options.delegate)
            try:
                self._believe(report, session)
                block, blocks = self._steady_block(session, protocol)
            except PhoneError as error:
                error.placement = placement
                raise
        share = accelerated_mac_share(artifact, placement)
        return self._result(session, protocol, report, placement, share, block, blocks)

    def _prepare(self, artifact: Path, held: Held, with_reference: bool) -> _Session:
        """Send what is needed and not there yet."""
        info = self.info()
        mask = PAPER_MASK if self.options.method == "paper" else None
        return _Session(
            info,
            self._known_tool(),
            held.by,
            mask if info.has_taskset else None,
            self._send(artifact, held),
            self._send(reference_model(), held) if with_reference else None,
        )

    def _send(self, artifact: Path, held: Held) -> str:
        name = f"{file_sha256(artifact)[:24]}.tflite"
        remote = f"{CACHE_FOLDER}/{name}"
        if held.files.get(name) == artifact.stat().st_size:
            return remote
        self.adb.push(artifact, remote, self._progress)
        return remote

    def _probe(self, session: _Session) -> LogReport:
        """The untimed launch, with NNAPI's log on; the old setting is put back."""
        arguments = probe_arguments(
            session.tool, session.remote, self.options.delegate, self.options.method
        )
        if self.options.delegate.kind != "nnapi":
            result = self.adb.run(arguments, PROBE_TIMEOUT_SECONDS)
            return parse_log(result.output, result.exit_code)
        old = self.adb.shell(
            f"getprop debug.nn.vlog; setprop debug.nn.vlog {VLOG}; logcat -G 16M; logcat -c"
        ).stdout.split("\n")[0]
        try:
            result = self.adb.run(arguments, PROBE_TIMEOUT_SECONDS)
        finally:
            text = self._logcat_and_restore(old)
        return merged(result, text)

    def _logcat_and_restore(self, old: str) -> str:
        return self.adb.shell(
            f"setprop debug.nn.vlog {shlex.quote(old)}; logcat -d -v threadtime", 60.0
        ).stdout

    def _believe(self, report: LogReport, session: _Session) -> None:
        """Raise where the launch failed, or nothing runs on the delegate that was asked for."""
        failure, delegate = report.failure, self.options.delegate
        evidence = Evidence(self.serial, " ".join([session.tool.path, str(delegate)]))
        library = any("libneuralnetworks" in warning for warning in report.warnings)
        if delegate.kind == "nnapi" and library and not report.benchmark.accelerators:
            raise ConfigError(
                f"phone {self.serial} (Android {session.info.android}) has no NNAPI: take "
                "--delegate gpu or cpu"
            )
        if failure is not None and failure.failure_class != "partially_delegated":
            raise phone_error(failure, evidence)
        applied = report.benchmark.delegation is not None or report.nnapi.compilations
        if delegate.kind not in ("cpu", "npu") and not applied:
            words = next(iter(report.warnings), "the tool says nothing of it")
            failure = Failure("not_delegated", f"{delegate} was not applied: {words}")
            raise phone_error(failure, evidence)

    def _steady_block(self, session: _Session, protocol: TimingProtocol) -> tuple[Block, int]:
        """The first block without trouble, else the calmest; and how many were taken."""
        count = self.options.blocks if self.options.method == "robust" else 1
        taken: list[Block] = []
        for _ in range(count):
            block = self._block(session, protocol)
            troubles = block.troubles(self.options)
            if not troubles:
                return block, len(taken) + 1
            taken.append(block)
            self._tell(f"phone {self.serial}: {', '.join(troubles)}")
        cool = [b for b in taken if not b.after.capped_cores] or taken
        return min(cool, key=lambda b: max(b.drift, b.spread)), len(taken)

    def _block(self, session: _Session, protocol: TimingProtocol) -> Block:
        before = wait_until_fit(self.adb, self.options.limits, self._tell)
        mask = session.mask
        if self.options.method == "robust" and session.info.has_taskset:
            mask = strongest_mask(before.cores, protocol.threads)
        session = replace(session, mask=mask)
        launches, references = [], []
        for _ in range(protocol.launches if self.options.method == "robust" else 1):
            if session.reference is not None:
                references += self._reference(session, session.reference, protocol)
            launches.append(self._launch(session, session.remote, protocol))
        after = read_conditions(self.adb)
        if before.boot_id != after.boot_id:
            raise self.adb.offline("it was restarted in the middle of a measurement")
        return Block(tuple(launches), tuple(references), before, after)

    def _reference(self, session: _Session, remote: str, protocol: TimingProtocol) -> list[float]:
        """One launch of the reference; none where the delegate refuses it, which says nothing."""
        try:
            return [self._launch(session, remote, _short(protocol), tolerant=True).latency_ms]
        except PhoneStableError as error:
            self._tell(f"no reference beside it: {error}")
            return []

    def _launch(
        self, session: _Session, remote: str, protocol: TimingProtocol, tolerant: bool = False
    ) -> Launch:
        """One fresh process of the tool; raises a PhoneError where it fails or makes no sense.

        `tolerant`: a run that the delegate took no part in is good enough.
        """
        options = self.options
        arguments = timed_arguments(
            session.tool, remote, options.delegate, options.method, protocol
        )
        seconds = protocol.timeout_seconds
        if options.method == "paper":
            seconds = max(seconds, PAPER_TIMEOUT_SECONDS)
        prefix = f"taskset {session.mask}" if session.mask else ""
        result = self.adb.run(arguments, seconds, prefix)
        report = parse_log(result.output, result.exit_code)
        failure = doubt(report, WITH_LATENCY if tolerant else frozenset({"partially_delegated"}))
        latency = report.latency_ms
        if failure is None and latency is not None:
            return Launch(latency, report.count or 0, report)
        failure = failure or Failure("unparsable", "no latency")
        evidence = Evidence(
            self.serial, result.command, result.exit_code, result.stdout, result.stderr
        )
        raise phone_error(self._refined(failure, result), evidence)

    def _refined(self, failure: Failure, result: ShellResult) -> Failure:
        """The failure, or the one that the drivers' own words in the phone's log make of it."""
        if failure.failure_class != "nnapi_error":
            return failure
        text = self.adb.shell("logcat -d -v threadtime -t 400", 20.0).stdout
        return merged(result, text).failure or failure

    def _result(
        self,
        session: _Session,
        protocol: TimingProtocol,
        probe: LogReport,
        placement: tuple[Placement, ...],
        share: float | None,
        block: Block,
        blocks: int,
    ) -> Measurement:
        first = block.launches[0].report.benchmark
        inits = [launch.report.benchmark.init_ms for launch in block.launches]
        firsts = [first_ms(launch.report) for launch in block.launches]
        delegation = probe.benchmark.delegation
        return Measurement(
            device=self.spec,
            source=session.info.source,
            samples_ms=tuple((launch.latency_ms,) for launch in block.launches),
            init_ms=statistics.median(value for value in inits if value is not None),
            first_ms=statistics.median(value for value in firsts if value is not None),
            peak_memory_mb=first.memory.get("peak_mb", first.memory.get("overall_mb")),
            placement=placement,
            counts=tuple(launch.count for launch in block.launches),
            accelerated_mac_share=share,
            conditions={
                "method": self.options.method,
                "delegate": str(self.options.delegate),
                "threads": 4 if self.options.method == "paper" else protocol.threads,
                "statistic": block.launches[0].report.latency_statistic,
                "launches": [launch.to_dict() for launch in block.launches],
                "reference_ms": list(block.references),
                "drift": block.drift,
                "steady": not block.troubles(self.options),
                "blocks": blocks,
                "before": block.before.to_dict(),
                "after": block.after.to_dict(),
                "phone": session.info.to_dict(),
                "tool": {
                    "path": session.tool.path,
                    "sha256": session.tool.sha256,
                    "generation": first.generation,
                },
                "delegation": delegation.to_dict() if delegation else None,
                "fallbacks": fallbacks(placement),
                "runtime_fallbacks": list(probe.nnapi.runtime_fallbacks),
                "lock": session.lock,
            },
        )


def failed(device: str, error: Any) -> dict[str, Any]:
    """A failed measurement (a PhoneError) as the JSON that `nas measure --json` prints."""
    return {
        "device": device,
        "latency_ms": None,
        "count": 0,
        "placement": [asdict(row) for row in error.placement],
        "accelerated_mac_share": None,
        "failure": error.failure.to_dict(),
        "message": str(error),
    }


def _short(protocol: TimingProtocol) -> TimingProtocol:
    """The reference's launches: as many runs, but no minimum of seconds."""
    return replace(protocol, min_seconds=0.0, runs=min(protocol.runs, 10))


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
