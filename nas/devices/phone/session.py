"""A session on a phone that is held: files, the untimed launch, blocks of timed launches."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from nas.devices.adb.connection import Adb
from nas.devices.adb.wire import ShellResult
from nas.devices.control_model import control_model
from nas.devices.failures import (
    ADVICE,
    WITH_LATENCY,
    DeviceFailure,
    Evidence,
    PhoneError,
    PhoneStableError,
    phone_error,
)
from nas.devices.logs import LogReport, parse_output
from nas.devices.logs.output_files import with_output_files
from nas.devices.measurement import Measurement, Placement, TimingProtocol
from nas.devices.phone.benchmark_tool import CACHE_FOLDER, Tool, probe_arguments, timed_arguments
from nas.devices.phone.conditions import Conditions, read_conditions, strongest_mask
from nas.devices.phone.fitness import Limits, wait_until_fit
from nas.devices.phone.idle_state import Habits
from nas.devices.phone.info import PhoneInfo
from nas.devices.phone.launch import Block, Launch, PhoneOptions, doubt, first_ms, merged
from nas.devices.phone.leftovers import VLOG, VLOG_PROPERTY, note_process, vlog_back, vlog_on
from nas.devices.phone.lock import PhoneHold
from nas.devices.phone.model_cache import model_name
from nas.devices.phone.npu_setup import NpuSetup
from nas.devices.phone.tool_settings import (
    RESULT_FILE,
    RUNTIME_FILE,
    check_settings,
    computed_in,
    environment_prefix,
    file_flags,
    fresh_files,
    setting_flags,
)
from nas.devices.placement import accelerated_mac_share, fallbacks, join
from nas.errors import ConfigError
from nas.tflite.file import read_tflite
from nas.tflite.size import size_conditions

PAPER_MASK = "f0"
"""The cores that the paper ran on, as `taskset` takes them."""
PAPER_TIMEOUT_SECONDS = 900.0
"""The least time limit of a launch by the paper's protocol."""
PROBE_TIMEOUT_SECONDS = 900.0
"""The time limit of the untimed launch."""


@dataclass(frozen=True)
class _Files:
    """Paths on the phone; `control` is None where no control model runs beside the candidate."""

    candidate: str
    control: str | None


@dataclass(frozen=True)
class PhoneSession:
    """A phone while it is held, and what launches on it need.

    `spec` is the device's name in a measurement. `tell` is called with sentences for the user,
    `progress` with the bytes sent and the bytes in all of a file, `habits` learns the phone's idle
    state. `npu` holds the vendor's libraries on the phone, and the chip that they are for.
    """

    adb: Adb
    options: PhoneOptions
    info: PhoneInfo
    tool: Tool
    held: PhoneHold
    spec: str
    tell: Callable[[str], None]
    progress: Callable[[int, int], None] | None = None
    habits: Habits = field(default_factory=Habits)
    npu: NpuSetup = field(default_factory=NpuSetup)

    def measure(self, artifact: Path, protocol: TimingProtocol) -> Measurement:
        """Time one artifact, after an untimed launch told where its operations run.

        Raises a PhoneError, with the placement as far as it is known, ConfigError where the
        options can't work.
        """
        file = read_tflite(artifact)
        interleaved = self.options.method == "robust" and self.options.interleave
        remote = self.send(artifact)
        files = _Files(remote, self.send(control_model()) if interleaved else None)
        self.npu.forget_compiled(self.adb)
        report = self.probe(remote)
        placement = join(file.operations, report, self.options.delegate)
        try:
            self.believe(report)
            block, blocks = self._steady_block(files, protocol)
        except PhoneError as error:
            error.placement = placement
            raise
        share = accelerated_mac_share(artifact, placement)
        measured = self._result(protocol, report, placement, share, block, blocks)
        measured.conditions.update(size_conditions(file))
        return measured

    def send(self, artifact: Path) -> str:
        """Put a file on the phone, named by its content; returns its path there."""
        name = model_name(artifact)
        remote = f"{CACHE_FOLDER}/{name}"
        if self.held.files.get(name) == artifact.stat().st_size:
            return remote
        self.adb.push(artifact, remote, self.progress)
        return remote

    def probe(self, remote: str) -> LogReport:
        """Launch once, untimed, with NNAPI's log on; the log's old setting is put back."""
        options = self.options
        arguments = probe_arguments(
            self.tool, remote, options.delegate, options.method, self.settings()
        )
        if options.delegate.kind != "nnapi":
            return self.run(arguments, PROBE_TIMEOUT_SECONDS)[1]
        self.adb.shell(f"{vlog_on(CACHE_FOLDER)}; logcat -G 16M; logcat -c")
        try:
            result, _ = self.run(arguments, PROBE_TIMEOUT_SECONDS)
        finally:
            text = self._logcat_and_restore()
        return merged(result, text)

    def settings(self) -> dict[str, str]:
        """Return the flags beside the delegate's; raises ConfigError where they can't work."""
        options = self.options
        check_settings(options.delegate, options.method, options.precision, options.strict)
        flags = setting_flags(self.tool, options.delegate, options.precision, options.strict)
        return flags | self.npu.flags(self.tool) | file_flags(self.tool)

    def run(
        self, arguments: Sequence[str], seconds: float, mask: str | None = None
    ) -> tuple[ShellResult, LogReport]:
        """Start the tool once; returns what it printed, and what that and its files tell.

        `mask` is that of its cores for `taskset`. Raises as `Adb.run`. A tool that outlives its
        connection ends before the phone is held again.
        """
        first = f"{fresh_files(self.tool)}; {note_process(CACHE_FOLDER)}"
        prefix = environment_prefix(mask, self.npu.libraries)
        result = self.adb.run(arguments, seconds, prefix, first=first)
        kind = self.options.delegate.kind
        report = parse_output(result.output, result.exit_code, kind)
        if result.exit_code == 0 and file_flags(self.tool):
            report = with_output_files(
                report, kind, self._fetched(RESULT_FILE), self._fetched(RUNTIME_FILE)
            )
        return result, report

    def _fetched(self, remote: str) -> bytes | None:
        """Return the bytes of a file on the phone; None where there is none."""
        if self.adb.size_of(remote) is None:
            return None
        with tempfile.TemporaryDirectory(prefix="phone-") as folder:
            local = Path(folder) / "file"
            self.adb.pull(remote, local)
            return local.read_bytes()

    def _logcat_and_restore(self) -> str:
        """Fetch the phone's log and switch NNAPI's off; raises PhoneError where it stays on."""
        script = f"{vlog_back(CACHE_FOLDER)}; getprop {VLOG_PROPERTY}; logcat -d -v threadtime"
        left, _, text = self.adb.shell(script, 60.0).stdout.partition("\n")
        if left.strip() == VLOG:
            failure = DeviceFailure(
                "device_offline", f"it does not take `setprop {VLOG_PROPERTY}` back"
            )
            raise phone_error(failure, Evidence(self.adb.serial), "restart it")
        return text

    def believe(self, report: LogReport) -> None:
        """Raise where the launch failed, or nothing runs on the delegate that was asked for.

        PhoneError tells the failure, ConfigError that the phone has no NNAPI.
        """
        failure, delegate = report.failure, self.options.delegate
        evidence = Evidence(self.adb.serial, " ".join([self.tool.path, str(delegate)]))
        library = any("libneuralnetworks" in warning for warning in report.warnings)
        if delegate.kind == "nnapi" and library and not report.benchmark.accelerators:
            raise ConfigError(
                f"phone {self.adb.serial} (Android {self.info.android}) has no NNAPI: take "
                "--delegate gpu or cpu"
            )
        if failure is not None and failure.failure_class != "partially_delegated":
            raise phone_error(failure, evidence, ADVICE.get(failure.failure_class, ""))
        applied = report.benchmark.delegation is not None or report.nnapi.compilations
        if delegate.kind != "cpu" and not applied and not report.benchmark.dispatched:
            words = next(iter(report.warnings), "the tool says nothing of it")
            failure = DeviceFailure("not_delegated", f"{delegate} was not applied: {words}")
            raise phone_error(failure, evidence)

    def _steady_block(self, files: _Files, protocol: TimingProtocol) -> tuple[Block, int]:
        """Take blocks until one has no trouble; returns it, or the calmest, and their number."""
        count = self.options.blocks if self.options.method == "robust" else 1
        blocks: list[Block] = []
        for _ in range(count):
            block = self._block(files, protocol)
            troubles = block.troubles(self.options)
            if not troubles:
                return block, len(blocks) + 1
            blocks.append(block)
            self.tell(f"phone {self.adb.serial}: {', '.join(troubles)}")
        cool = [b for b in blocks if not b.capped_afterwards] or blocks
        return min(cool, key=lambda b: max(b.drift, b.spread)), len(blocks)

    def _block(self, files: _Files, protocol: TimingProtocol) -> Block:
        before = self.wait_until_fit()
        mask = self._mask(before, protocol.threads)
        launches, control_ms = [], []
        for _ in range(protocol.launches if self.options.method == "robust" else 1):
            if files.control is not None:
                control_ms += self._control(files.control, protocol, mask)
            launches.append(self.launch(files.candidate, protocol, mask))
        after = read_conditions(self.adb)
        if before.boot_id != after.boot_id:
            raise self.adb.offline("it was restarted in the middle of a measurement")
        return Block(tuple(launches), tuple(control_ms), before, after, self.habits.usual)

    def wait_until_fit(self) -> Conditions:
        """Wait until the phone is fit; returns and raises as `fitness.wait_until_fit`."""
        return wait_until_fit(self.adb, self.options.limits, self.tell, habits=self.habits)

    def _mask(self, conditions: Conditions, threads: int) -> str | None:
        if not self.info.has_taskset:
            return None
        if self.options.method == "paper":
            return PAPER_MASK
        return strongest_mask(conditions.cores, threads)

    def _control(self, remote: str, protocol: TimingProtocol, mask: str | None) -> list[float]:
        """Launch the control model; returns its latency, nothing where the delegate refuses it."""
        try:
            return [self.launch(remote, shortened(protocol), mask, tolerant=True).latency_ms]
        except PhoneStableError as error:
            self.tell(f"no control model beside it: {error}")
            return []

    def launch(
        self,
        remote: str,
        protocol: TimingProtocol,
        mask: str | None = None,
        tolerant: bool = False,
    ) -> Launch:
        """Time one fresh process of the tool.

        `remote` is the artifact's path on the phone, `mask` the cores' for `taskset`. `tolerant`: a
        run that the delegate took no part in is good enough. Raises PhoneError where the launch
        fails or its figures make no sense.
        """
        options = self.options
        arguments = timed_arguments(
            self.tool, remote, options.delegate, options.method, protocol, self.settings()
        )
        seconds = protocol.timeout_seconds
        if options.method == "paper":
            seconds = max(seconds, PAPER_TIMEOUT_SECONDS)
        result, report = self.run(arguments, seconds, mask)
        failure = doubt(report, WITH_LATENCY if tolerant else frozenset({"partially_delegated"}))
        latency = report.latency_ms
        if failure is None and latency is not None:
            return Launch(latency, report.count or 0, report)
        failure = failure or DeviceFailure("unparsable", "no latency")
        evidence = Evidence(
            self.adb.serial, result.command, result.exit_code, result.stdout, result.stderr
        )
        failure = self._refined(failure, result)
        raise phone_error(failure, evidence, ADVICE.get(failure.failure_class, ""))

    def _refined(self, failure: DeviceFailure, result: ShellResult) -> DeviceFailure:
        """Refine NNAPI's refusal by the drivers' own words in the phone's log."""
        if failure.failure_class != "nnapi_error":
            return failure
        text = self.adb.shell("logcat -d -v threadtime -t 400", 20.0).stdout
        return merged(result, text).failure or failure

    def _result(
        self,
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
        return Measurement(
            device=self.spec,
            source=self.info.source,
            samples_ms=tuple((launch.latency_ms,) for launch in block.launches),
            init_ms=statistics.median(value for value in inits if value is not None),
            first_ms=statistics.median(value for value in firsts if value is not None),
            peak_memory_mb=first.memory.get("peak_mb", first.memory.get("overall_mb")),
            placement=placement,
            counts=tuple(launch.count for launch in block.launches),
            accelerated_mac_share=share,
            figures=_compile_figures(probe, block),
            conditions={
                **self._conditions_of_block(protocol, block, blocks),
                **self._conditions_of_phone(block),
                **_conditions_of_probe(probe, placement),
                **self.npu.conditions(probe, block.launches[0].report),
                "lock": self.held.by,
            },
        )

    def _conditions_of_block(
        self, protocol: TimingProtocol, block: Block, blocks: int
    ) -> dict[str, Any]:
        return {
            "method": self.options.method,
            "delegate": str(self.options.delegate),
            "precision": computed_in(self.tool, self.options.delegate, self.options.precision),
            "strict": self.options.strict,
            "threads": 4 if self.options.method == "paper" else protocol.threads,
            "statistic": block.launches[0].report.latency_statistic,
            "launches": [launch.to_dict() for launch in block.launches],
            "reference_ms": list(block.control_ms),  # the name in runs made before
            "drift": block.drift,
            "steady": not block.troubles(self.options),
            "blocks": blocks,
            "disturbed": _disturbed(block),
        }

    def _conditions_of_phone(self, block: Block) -> dict[str, Any]:
        return {
            "limits": asdict(self.options.limits),
            "usual": block.usual.to_dict(),
            "before": block.before.to_dict(),
            "after": block.after.to_dict(),
            "phone": self.info.to_dict(),
            "tool": {
                "path": self.tool.path,
                "sha256": self.tool.sha256,
                "generation": block.launches[0].report.benchmark.generation,
            },
        }


def _conditions_of_probe(probe: LogReport, placement: tuple[Placement, ...]) -> dict[str, Any]:
    delegation = probe.benchmark.delegation
    return {
        "delegation": delegation.to_dict() if delegation else None,
        "lost_lines": probe.lost_lines,
        "fallbacks": fallbacks(placement),
        "runtime_fallbacks": list(probe.nnapi.runtime_fallbacks),
        "profile": [row.to_dict() for row in probe.benchmark.profile],
    }


def _compile_figures(probe: LogReport, block: Block) -> dict[str, float]:
    """Return the time of compiling for an NPU, in ms; nothing where the log can't tell it.

    The first launch compiled and the others read what it had made, so it is the difference between
    their times of initialisation.
    """
    first = probe.benchmark
    later = [launch.report.benchmark for launch in block.launches]
    if first.compilation != "now" or any(log.compilation != "kept" for log in later):
        return {}
    inits = [log.init_ms for log in later if log.init_ms is not None]
    if first.init_ms is None or not inits:
        return {}
    return {"compile_ms": round(max(0.0, first.init_ms - statistics.median(inits)), 3)}


def _disturbed(block: Block) -> str | None:
    """Describe other work that a loosened limit let pass; None where there was none."""
    for reason in Limits().complaints(block.before, block.usual):
        if reason.startswith("busy"):
            return f"the phone was {reason.partition(';')[0]})"
    return None


def shortened(protocol: TimingProtocol) -> TimingProtocol:
    """Shorten a protocol for the control model: at most 10 runs, no minimum of seconds."""
    return replace(protocol, min_seconds=0.0, runs=min(protocol.runs, 10))
