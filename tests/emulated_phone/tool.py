"""A stand-in for the classic `benchmark_model`: its flags, its formats, and the model really run.

With a profile of timing "real" every figure is this machine's; with "modelled" the model is really
run once and the figures are made up from the profile and waited for. Both are synthetic.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from tests.emulated_phone import faults, network, vlog
from tests.emulated_phone.faults import Fault
from tests.emulated_phone.network import Network
from tests.emulated_phone.placing import Plan, modelled_ms, plan_all, plan_nnapi
from tests.emulated_phone.profiles import FLOATS, INT8, Profile

FLAGS_2020 = {
    "graph": "",
    "num_runs": "50",
    "min_secs": "1",
    "max_secs": "150",
    "run_delay": "-1",
    "num_threads": "1",
    "warmup_runs": "1",
    "warmup_min_secs": "0.5",
    "input_layer": "",
    "input_layer_shape": "",
    "input_layer_value_range": "",
    "use_nnapi": "false",
    "nnapi_accelerator_name": "",
    "nnapi_execution_preference": "",
    "disable_nnapi_cpu": "false",
    "allow_fp16": "false",
    "use_gpu": "false",
    "use_xnnpack": "false",
    "use_hexagon": "false",
    "enable_op_profiling": "false",
    "require_full_delegation": "false",
    "external_delegate_path": "",
}
FLAGS_2026 = {
    **FLAGS_2020,
    "num_threads": "-1",
    "disable_nnapi_cpu": "true",
    "nnapi_allow_fp16": "false",
    "input_layer_value_files": "",
    "output_filepath": "",
    "op_profiling_output_mode": "stdout",
    "op_profiling_output_file": "",
    "report_peak_memory_footprint": "false",
    "xnnpack_force_fp16": "false",
    "result_file_path": "",
}


@dataclass
class Run:
    """One start of the tool."""

    folder: Path
    profile: Profile
    flags: dict[str, str]

    @property
    def modern(self) -> bool:
        return self.profile.tool != "2020"

    def on(self, name: str) -> bool:
        return self.flags.get(name, "false") in ("true", "1")

    def number(self, name: str) -> float:
        return float(self.flags[name])

    def say(self, text: str, level: str = "INFO") -> None:
        """Print a line of the tool: since TF 2.15 with a level, errors on standard error."""
        file = sys.stderr if level in ("ERROR", "FATAL") and self.modern else sys.stdout
        print(f"{level}: {text}" if self.modern else text, file=file, flush=True)

    def runtime(self, text: str, level: str = "INFO") -> None:
        """Print a line of the runtime, on standard error and in the phone's log."""
        print(f"{level}: {text}", file=sys.stderr, flush=True)
        vlog.write(self.folder, "tflite", [text], level[0])

    def fault(self, kind: str) -> Fault | None:
        """Find a fault of this kind that is meant for this start, and use it up by one."""
        return faults.take(self.folder / "faults", kind, " ".join(sys.argv))

    def fail(self, code: int = 1) -> NoReturn:
        self.say("Benchmarking failed.", "ERROR")
        sys.stdout.flush()
        sys.exit(code)


def main() -> None:
    """Run as the phone's shell does."""
    folder = Path(os.environ["EMULATED_PHONE"])
    profile = Profile.from_json((folder / "profile.json").read_text())
    if profile.tool == "compiled-model":
        from tests.emulated_phone import compiled_tool

        compiled_tool.main(folder, profile)
        return
    known = dict(FLAGS_2020 if profile.tool == "2020" else FLAGS_2026)
    if "--help" in sys.argv:
        print("usage: benchmark_model\nFlags:")
        for name, value in known.items():
            print(f"\t--{name}={value}\tstring\toptional\tthe {name.replace('_', ' ')}")
        sys.exit(1)
    unknown = []
    for word in sys.argv[1:]:
        name, _, value = word.removeprefix("--").partition("=")
        if name in known:
            known[name] = value
        else:
            unknown.append(word)
    run = Run(folder, profile, known)
    run.say("STARTING!")
    if unknown:
        run.say(f"Unconsumed cmdline flags: {' '.join(unknown)}", "WARN")
    show_faults_before(run)
    _benchmark(run)


def show_faults_before(run: Run) -> None:
    sys.stdout.flush()
    if run.fault("crash"):
        print("Segmentation fault", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    if run.fault("oom"):
        os.kill(os.getpid(), signal.SIGKILL)
    if run.fault("garbage"):
        sys.stdout.buffer.write(bytes(range(256)) * 20 + b"\ncount=abc avg=-- Inference timings\n")
        sys.stdout.flush()
        sys.exit(0)
    if fault := run.fault("tool-hang"):
        time.sleep(fault.seconds)
    if fault := faults.active(run.folder / "faults", "meet"):
        _meet(run, Path(fault.match), fault.times, fault.seconds)


def _meet(run: Run, place: Path, phones: int, seconds: float) -> None:
    """Wait for the others; once all have been there, nobody waits any more."""
    place.mkdir(parents=True, exist_ok=True)
    (place / run.folder.name).touch()
    deadline = time.monotonic() + seconds
    while len(list(place.iterdir())) < phones:
        if time.monotonic() > deadline:
            run.say("the other phones did not come", "ERROR")
            run.fail()
        time.sleep(0.02)


def _benchmark(run: Run) -> None:
    run.say(f"Num threads: [{run.flags['num_threads']}]")
    run.say(f"Graph: [{run.flags['graph']}]")
    if run.on("use_nnapi"):
        run.say("Use NNAPI: [1]" if run.modern else "Use nnapi : [1]")
        _say_accelerators(run)
    path = Path(run.flags["graph"])
    try:
        model = network.load(path, Path(os.environ["EMULATED_CACHE"]))
    except (OSError, ValueError) as error:
        run.runtime(
            str(error) if isinstance(error, ValueError) else f"Could not open '{path}'.", "ERROR"
        )
        run.say(f"Failed to mmap model {path}", "ERROR")
        run.fail()
    run.say(f"Loaded model {path}")
    run.runtime("Initialized TensorFlow Lite runtime.")
    plan = _delegate(run, model)
    run.say(f"The input model file size (MB): {model.size_mb:.6g}")
    _time(run, model, plan, path)


def _say_accelerators(run: Run) -> None:
    names = ",".join((*run.profile.accelerators, "nnapi-reference"))
    if not run.profile.accelerators:
        run.runtime("nnapi error: unable to open library libneuralnetworks.so", "ERROR")
    elif run.modern:
        run.say(f"NNAPI accelerators available: [{names}]")
    else:
        name = run.flags["nnapi_accelerator_name"]
        run.say(f"nnapi accelerator name: [{name}] (Available: {names})")


def _delegate(run: Run, model: Network) -> Plan:
    nothing = Plan((None,) * len(model.steps))
    if run.on("use_nnapi"):
        return _delegate_nnapi(run, model) if run.profile.accelerators else nothing
    if run.on("use_gpu") and run.profile.gpu:
        plan = plan_all(model, "gpu", FLOATS)
        return _applied(run, model, plan, "GPU", "TfLiteGpuDelegateV2")
    if run.on("use_hexagon"):
        if not run.profile.hexagon:
            run.runtime("Hexagon Delegate is not supported.", "WARNING")
            return nothing
        plan = plan_all(model, "hexagon", INT8)
        return _applied(run, model, plan, "Hexagon", "TfLiteHexagonDelegate")
    if library := run.flags["external_delegate_path"]:
        if Path(library).name not in run.profile.external_libraries:
            run.runtime(f"Could not load external delegate {library}", "ERROR")
            run.say("Failed to apply EXTERNAL delegate.", "ERROR")
            run.fail()
        plan = plan_all(model, "external", (*FLOATS, *INT8, "int16"))
        return _applied(run, model, plan, "EXTERNAL", "TfLiteExternalDelegate")
    if run.on("use_xnnpack"):
        plan = plan_all(model, "xnnpack", (*FLOATS, *INT8))
        return _applied(run, model, plan, "XNNPACK", "TfLiteXNNPackDelegate")
    return nothing


def _delegate_nnapi(run: Run, model: Network) -> Plan:
    only = run.flags["nnapi_accelerator_name"] or None
    if only and only not in (*run.profile.accelerators, "nnapi-reference"):
        run.runtime(f"Could not find the specified NNAPI accelerator: {only}.", "ERROR")
        run.say("Failed to apply NNAPI delegate.", "ERROR")
        run.fail()
    run.runtime("Created TensorFlow Lite delegate for NNAPI.")
    plan = plan_nnapi(run.profile, model, not run.on("disable_nnapi_cpu"), only)
    vlog.compilation(run.folder, run.profile, model, plan)
    refused = plan.failure or run.fault("op-failed")
    if refused and plan.delegated:
        run.runtime(
            "NN API returned error ANEURALNETWORKS_OP_FAILED at line 3622 while completing NNAPI "
            "compilation.\n",
            "ERROR",
        )
        run.runtime(
            f"Node number {len(model.steps)} (TfLiteNnapiDelegate) failed to prepare.\n", "ERROR"
        )
        run.say("Failed to apply NNAPI delegate.", "ERROR")
        run.fail()
    return _applied(run, model, plan, "NNAPI", "TfLiteNnapiDelegate")


def _applied(run: Run, model: Network, plan: Plan, name: str, kernel: str) -> Plan:
    total, taken = len(model.steps), plan.delegated
    partitions = plan.kernels + _islands(plan)
    if run.modern:
        run.runtime(
            f"Replacing {taken} out of {total} node(s) with delegate ({kernel}) node, yielding "
            f"{partitions} partitions for the whole graph.",
            "VERBOSE",
        )
    first = "Explicitly applied" if run.modern else "Applied"
    if taken == 0:
        run.say(
            f"Though {name} delegate is explicitly applied, the model graph will not be "
            "executed by the delegate."
        )
    elif not run.modern:
        how = "completely" if taken == total else "partially"
        run.say(
            f"{first} {name} delegate, and the model graph will be {how} executed w/ the delegate."
        )
    elif taken == total:
        run.say(
            f"{first} {name} delegate, and the model graph will be completely executed by the "
            "delegate."
        )
    else:
        run.say(
            f"{first} {name} delegate, and the model graph will be partially executed by the "
            f"delegate w/ {plan.kernels} delegate kernels."
        )
    if taken < total and run.on("require_full_delegation"):
        run.say("Disallowed CPU fallback detected.", "ERROR")
        run.fail()
    return plan


def _islands(plan: Plan) -> int:
    outside = [place is None for place in plan.where]
    return sum(here and not before for before, here in pairwise([False, *outside]))


def _time(run: Run, model: Network, plan: Plan, path: Path) -> None:
    from tests.emulated_phone.inference import Clock

    half = plan.delegated > 0 and run.profile.half_precision and run.on("allow_fp16")
    clock = Clock(run, model, path, modelled_ms(run.profile, model, plan), half)
    run.say(f"Initialized session in {clock.init_ms:.6g}ms.")
    blocks = []
    for runs, seconds in (("warmup_runs", "warmup_min_secs"), ("num_runs", "min_secs")):
        least, low, high = int(run.number(runs)), run.number(seconds), run.number("max_secs")
        run.say(
            f"Running benchmark for at least {least} iterations and at least {low:g} seconds "
            f"but terminate if exceeding {high:g} seconds."
        )
        samples = clock.block(least, low, high)
        failed = _failing(run, model, plan)
        blocks.append(samples[:1] if failed else samples)
        run.say(statistics_line(blocks[-1], run.modern) + "\n")
        if failed:
            run.runtime(failed, "ERROR")
            run.runtime(
                f"Node number {len(model.steps)} (TfLiteNnapiDelegate) failed to invoke.\n", "ERROR"
            )
            if runs == "num_runs":
                break
            run.fail()
    if run.on("enable_op_profiling"):
        print(vlog.operation_profile(model, plan, blocks[1], run.modern), flush=True)
    warmup, timed = blocks
    first = (warmup or timed or [0.0])[0]
    run.say(
        f"Inference timings in us: Init: {clock.init_ms * 1000:.6g}, First inference: "
        f"{first * 1000:.6g}, Warmup (avg): {mean(warmup) * 1000:.6g}, Inference (avg): "
        f"{mean(timed) * 1000:.6g}"
    )
    _say_memory(run)
    if failed:
        run.fail()


def _failing(run: Run, model: Network, plan: Plan) -> str | None:
    """Return NNAPI's words where this model can't be run, or its driver dies just now."""
    if not run.on("use_nnapi") or not plan.delegated:
        return None
    if run.fault("driver-crash"):
        vlog.write(run.folder, "QnnDsp", [" <E> CDSP crashed"], "E", pid=928)
        return (
            "NN API returned error ANEURALNETWORKS_DEAD_OBJECT at line 4113 while running "
            "computation.\n"
        )
    if run.profile.max_pixels and model.pixels > run.profile.max_pixels:
        return (
            "NN API returned error ANEURALNETWORKS_OP_FAILED at line 4113 while running "
            "computation.\n"
        )
    return None


def statistics_line(samples_ms: list[float], modern: bool) -> str:
    """Format the tool's line of one block, in microseconds."""
    values = [round(sample * 1000) for sample in samples_ms]
    if not values:
        return "count=0"
    if len(values) == 1:
        return f"count=1 curr={values[0]}"
    if len(set(values)) == 1:
        return f"count={len(values)} curr={values[0]}(all same)"
    mean = sum(values) / len(values)
    deviation = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
    text = (
        f"count={len(values)} first={values[0]} curr={values[-1]} min={min(values)} "
        f"max={max(values)} avg={mean:.6g} std={int(deviation)}"
    )
    if modern:
        ordered = sorted(values)
        p5, p95 = (ordered[min(len(ordered) - 1, int(len(ordered) * q))] for q in (0.05, 0.95))
        half = len(ordered) // 2  # `statistics` takes longer to import than this tool to run
        median = (ordered[half] + ordered[-half - 1]) // 2
        text += f" p5={p5} median={median} p95={p95}"
    return text


def mean(samples: list[float]) -> float:
    return sum(samples) / len(samples) if samples else 0.0


def _say_memory(run: Run) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if run.modern:
        run.say(
            f"Memory footprint delta from the start of the tool (MB): init={peak / 2:.6g} "
            f"overall={peak:.6g}"
        )
        if run.on("report_peak_memory_footprint"):
            run.say(f"Overall peak memory footprint (MB) via periodic monitoring: {peak:.6g}")
    else:
        run.say(f"Peak memory footprint (MB): init={peak / 2:.6g} overall={peak:.6g}")


def noise(profile: Profile) -> random.Random:
    """Draw the factor of one launch's own noise."""
    del profile
    return random.Random(os.getpid() * 1_000_003 + time.time_ns())
