"""A stand-in for LiteRT's CompiledModel `benchmark_model`, of its sources of August 2026.

Its flags, the order of its lines, their words and their line numbers are those of a production
build: there the reason of a refused compilation is not printed (`ErrorStatusBuilder::PrintLog` is
for debug builds only). `Run` and the clock are those of the classic tool's stand-in.
"""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from tests.emulated_phone import compiled_files, network
from tests.emulated_phone.compiled_flags import FLAGS, print_help
from tests.emulated_phone.libraries import library_version
from tests.emulated_phone.network import Network
from tests.emulated_phone.placing import Plan, modelled_ms
from tests.emulated_phone.profiles import Profile
from tests.emulated_phone.tool import Run, mean, show_faults_before, statistics_line

VERSION = "2.3.0"
COMPILE_MS = 2400.0
_GPU_LIBRARIES = (
    "libLiteRtGpuAccelerator.so",
    "libLiteRtClGlAccelerator.so",
    "libLiteRtOpenClAccelerator.so",
)


@dataclass(frozen=True)
class Compiled:
    """A graph after compilation: which delegate took each operation, and what init took more.

    `dispatched` are the operations of the file that the NPU's compiler took.
    """

    plan: Plan
    dispatched: frozenset[int] = frozenset()
    extra_ms: float = 0.0


def main(folder: Path, profile: Profile) -> None:
    """Run as the phone's shell does."""
    known = {name: value for name, (value, _) in FLAGS.items() if name not in profile.tool_lacks}
    if "--help" in sys.argv or "-h" in sys.argv:
        print_help(known)
    unknown = []
    for word in sys.argv[1:]:
        name, _, value = word.removeprefix("--").partition("=")
        if name in known:
            known[name] = value
        elif not name.startswith(("qualcomm_", "mediatek_", "google_tensor_", "samsung_")):
            unknown.append(word)
    run = Run(folder, profile, {**dict.fromkeys(FLAGS, ""), **known})
    run.say("STARTING!")
    if unknown:
        run.say(f"Unconsumed cmdline flags: {' '.join(unknown)}", "WARN")
    show_faults_before(run)
    run.say("Log parameter values verbosely: [0]")
    run.say(f"Min num runs: [{run.flags['num_runs']}]")
    run.say(f"Num threads: [{run.flags['num_threads']}]")
    Tool(run).benchmark()


class Tool:
    """One start of the tool."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.profile = run.profile
        self.cpu = run.on("use_cpu") or not run.on("require_full_delegation")
        searched = os.environ.get("LD_LIBRARY_PATH", "").split(":")
        self.searched = [Path(folder) for folder in searched if folder]

    def log(self, where: str, text: str, level: str = "INFO") -> None:
        """Print a line of LiteRT's logger."""
        self.run.runtime(f"[{where}] {text}", level)

    def benchmark(self) -> None:
        """Load, compile, run, and write the files."""
        run = self.run
        self._environment()
        path = Path(run.flags["graph"])
        self.log("benchmark_litert_model.cc:305", f"Loading model from: {path}")
        try:
            model = network.load(path, Path(os.environ["EMULATED_CACHE"]))
        except (OSError, ValueError):
            run.fail()  # the reason is for debug builds
        if run.on("use_cpu") and run.on("require_full_delegation"):
            self.log(
                "benchmark_litert_model.cc:110",
                "Requesting full delegation and CPU acceleration are incompatible.",
                "ERROR",
            )
            self._abort()
        if run.flags["gpu-precision"] not in ("auto", "fp16", "fp32", ""):
            text = f"Invalid gpu-precision: {run.flags['gpu-precision']}"
            self.log("benchmark_litert_model.cc:182", text, "ERROR")
            self._abort()
        compiled = self._compiled(model, path)
        if not self.cpu and None in compiled.plan.where:
            run.fail()  # "Some ops are not accelerated …" is for debug builds
        self._time(model, compiled, path)

    def _environment(self) -> None:
        run = self.run
        if run.on("use_npu"):
            for name in ("dispatch_library_path", "compiler_plugin_library_path"):
                self.log("benchmark_litert_model.cc:270", f"{name}: {run.flags[name]}")
            text = f"compiler_cache_path: {run.flags['compiler_cache_path']}"
            self.log("benchmark_litert_model.cc:277", text)
        self.log("environment.cc:36", "Creating LiteRT environment with options")
        if run.on("use_npu"):
            text = "RegisterAccelerator: ptr=0xb400007e10c54120, name=NpuAccelerator"
            self.log("accelerator_registry.cc:53", text)
            self.log("npu_registry.cc:30", "NPU accelerator registered.")
        if run.on("use_gpu"):
            self._register_gpu()
        if self.cpu:
            text = "RegisterAccelerator: ptr=0xb400007e10c54330, name=CpuAccelerator"
            self.log("accelerator_registry.cc:53", text)
            self.log("cpu_registry.cc:75", "XNNPACK CPU accelerator registered.")

    def _register_gpu(self) -> None:
        if self.profile.gpu and self.profile.gpu_built_in:
            self.log("gpu_registry.cc:109", "Statically linked GPU accelerator registered.")
            return
        for name in _GPU_LIBRARIES:
            self.log("gpu_registry.cc:122", f"Attempting to load GPU accelerator({name}).")
            if self._gpu_library() == name:
                text = f"Dynamically loaded GPU accelerator({name}) registered."
                self.log("gpu_registry.cc:129", text)
                return
        text = "GPU accelerator could not be loaded and registered."
        self.log("gpu_registry.cc:152", text, "WARNING")

    def _gpu_library(self) -> str | None:
        there = (n for n in _GPU_LIBRARIES for f in self.searched if (f / n).exists())
        return next(there, None) if self.profile.gpu else None

    def _compiled(self, model: Network, path: Path) -> Compiled:
        places: list[str | None] = [None] * len(model.steps)
        dispatched: frozenset[int] = frozenset()
        extra = 0.0
        if self.run.on("use_npu"):
            dispatched, extra = self._jit(model, path)
        if not extra and not dispatched:
            text = "Flatbuffer model initialized directly from incoming litert model."
            self.log("compiled_model.cc:833", text)
        if self.run.on("use_npu"):
            self._dispatch(model, dispatched)
            for index in dispatched:
                places[index] = "DispatchDelegate"
        there = self.profile.gpu_built_in or self._gpu_library() is not None
        if self.run.on("use_gpu") and self.profile.gpu and there:
            self._gpu(model, places)
        if self.cpu:
            self._cpu(model, places)
        return Compiled(Plan(tuple(places)), dispatched, extra)

    def _jit(self, model: Network, path: Path) -> tuple[frozenset[int], float]:
        """Apply the compiler's plug-in; returns the operations that it took, and its time in ms.

        What was compiled ahead of time needs none.
        """
        ready = frozenset(step.index for step in model.steps if step.op == "DISPATCH_OP")
        if ready:
            if self.run.flags["compiler_plugin_library_path"]:
                text = "Compiler plugin path is provided in the environment, but the model is "
                text += "pre-compiled. Plugins won't be applied."
                self.log("compiled_model.cc:1299", text, "WARNING")
            return ready, 0.0
        cache = self.run.flags["compiler_cache_path"]
        text = f"NPU JIT compilation caching enabled with cache dir: {cache}"
        self.log("compiled_model.cc:754", text)
        plugins = self._plugins()
        kept = Path(cache) / (hashlib.sha256(path.read_bytes()).hexdigest()[:16] + ".compiled")
        taken = frozenset(
            step.index for step in model.steps if step.op not in self.profile.npu_unsupported
        )
        if plugins and cache and kept.exists():
            self.log("compiled_model.cc:1307", "Flatbuffer model initialized from cached model.")
            return taken, 0.0
        if not plugins:
            text = "Failed to apply compiler plugins: No compiler plugin found"
            self.log("compiled_model.cc:1319", text, "WARNING")
            return frozenset(), 0.0
        name = f"{self.profile.npu} compiler plugin (ver {VERSION})"
        if not self._qnn() or self.profile.npu_fault == "jit":
            if self.profile.npu_fault == "jit":
                self.log("qnn_manager.cc:616", "Failed to create QNN context: 1002", "ERROR")
                text = "Failed to create QNN context"
                self.log("qnn_compiler_plugin.cc:655", text, "ERROR")
            self.log("compiled_model.cc:1323", "0 compiler plugins were applied successfully: ")
            self.log("compiled_model.cc:1327", f"Plugin errs: {name} ", "ERROR")
            return frozenset(), 0.0
        self.log("compiler_plugin.cc:947", "Applying plugin with SDK version: 2.47.0")
        self.log("compiler_plugin.cc:524", "Partition strategy: 0")
        total, parts = len(model.steps), Plan(_where(model, taken)).kernels
        text = f"Partitioned subgraph<0>, selected {len(taken)} ops, from a total of {total} ops. "
        self.log("compiler_plugin.cc:739", f"{text}resulted in {parts} partitions.")
        self.log("compiled_model.cc:1323", f"1 compiler plugins were applied successfully: {name}")
        text = "JIT compilation changed model, reserializing..."
        self.log("compiled_model.cc:1339", text)
        if cache:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.touch()
        return taken, COMPILE_MS

    def _plugins(self) -> list[Path]:
        folder = Path(self.run.flags["compiler_plugin_library_path"] or "/nonexistent")
        loaded = []
        for path in sorted(folder.rglob("libLiteRtCompilerPlugin*.so")):
            self.log("compiler_plugin.cc:307", f"Attempting to load plugin at: {path}")
            self.log("compiler_plugin.cc:250", f"Loading plugin at: {path}")
            if library_version(path) != VERSION:
                text = f"Failed to load plugin at: {path} with error: "
                text += "Unsupported compiler plugin version"
                self.log("compiler_plugin.cc:311", text, "WARNING")
            else:
                self.log("compiler_plugin.cc:259", f"Loaded plugin at: {path}")
                self.log("compiler_plugin.cc:268", f"Initialize plugin at: {path}")
                loaded.append(path)
        return loaded

    def _qnn(self) -> bool:
        """Whether Qualcomm's own libraries load; the others' are not looked at."""
        if self.profile.npu != "Qualcomm":
            return True
        name = "libQnnHtp.so"
        self.log("qnn_manager.cc:140", f'Loading qnn shared library from "{name}"')
        if any((folder / name).exists() for folder in self.searched):
            return True
        text = f'Failed to load qnn shared library from "{name}": Could not load shared library '
        text += f'{name}: dlopen failed: library "{name}" not found'
        self.log("qnn_manager.cc:143", text, "ERROR")
        self.log("qnn_compiler_plugin.cc:784", "Failed to obtain QNN manager", "ERROR")
        return False

    def _dispatch(self, model: Network, dispatched: frozenset[int]) -> None:
        self.log("dispatch_delegate.cc:98", "DispatchDelegate::DispatchDelegate")
        self.log("dispatch_delegate.cc:127", "DispatchDelegate::Initialize ")
        folder = Path(self.run.flags["dispatch_library_path"] or "/nonexistent")
        found = sorted(folder.rglob("libLiteRtDispatch*.so"))
        fault = None
        if not found:
            fault = ("litert_dispatch.cc:122", f"No dispatch library found in {folder}")
        elif library_version(found[0]) != VERSION:
            fault = ("litert_dispatch.cc:187", "Unsupported dispatch runtime version")
        else:
            self.log("litert_dispatch.cc:159", f"Loading shared library: {found[0]}")
        if fault is not None:
            self.log(*fault, "ERROR")
            text = "Failed to initialize Dispatch API: "
            self.log("dispatch_delegate.cc:130", text, "ERROR")
        if not dispatched:
            return
        if fault is not None:
            text = "Failed to create a dispatch delegate kernel: No usable Dispatch runtime found"
            self.log("dispatch_delegate.cc:144", text, "ERROR")
            self.run.fail()
        parts = Plan(_where(model, dispatched)).kernels
        whole = len(model.steps) - len(dispatched) + parts
        self._say_replacing("DispatchDelegate", parts, whole, parts)

    def _gpu(self, model: Network, places: list[str | None]) -> None:
        if any(step.type == "int16" for step in model.steps):
            print(
                "F0000 00:00:1787000000.000000    4711 object_reader.cc:82] Check failed: "
                "tfl_tensor && (type == kTfLiteFloat32 || type == kTfLiteInt8) ",
                file=sys.stderr,
                flush=True,
            )
            self._abort()
        reasons = {}
        for step in model.steps:
            if step.op in self.profile.gpu_unsupported:
                reasons[step.op] = "Operation is not supported."
            elif step.op == "TRANSPOSE_CONV" and step.version > 3:
                reasons[step.op] = f"Max version supported: 3. Requested version {step.version}."
            elif places[step.index] is None:
                places[step.index] = "LITERT_CL"
        own = sum(place == "LITERT_CL" for place in places)
        if reasons:
            print("Following operations are not supported by GPU delegate:", file=sys.stderr)
            for op, reason in reasons.items():
                print(f"{op}: {reason}", file=sys.stderr)
            rest = len(model.steps) - own
            words = f"{own} operations will run on the GPU, and the remaining {rest} "
            if own == 0:
                words = f"No operations will run on the GPU, and all {rest} "
            print(f"{words}operations will run on the CPU.", file=sys.stderr, flush=True)
        self._replacing(places, "LITERT_CL", own, len(model.steps))

    def _cpu(self, model: Network, places: list[str | None]) -> None:
        rest = [n for n, place in enumerate(places) if place is None]
        floats = [n for n in rest if model.steps[n].type in ("float32", "int8", "uint8")]
        if floats:
            self.run.runtime("Created TensorFlow Lite XNNPACK delegate for CPU.")
            for number in floats:
                places[number] = "TfLiteXNNPackDelegate"
            self._replacing(places, "TfLiteXNNPackDelegate", len(floats), len(rest))

    def _replacing(self, places: list[str | None], delegate: str, taken: int, total: int) -> None:
        if taken == 0:
            return
        parts = Plan(tuple(place if place == delegate else None for place in places)).kernels
        self._say_replacing(delegate, taken, total, parts)

    def _say_replacing(self, delegate: str, taken: int, total: int, parts: int) -> None:
        self.run.runtime(
            f"Replacing {taken} out of {total} node(s) with delegate ({delegate}) node, yielding "
            f"{parts} partitions for subgraph 0 (main).",
            "VERBOSE",
        )

    def _time(self, model: Network, compiled: Compiled, path: Path) -> None:
        from tests.emulated_phone.inference import Clock

        run = self.run
        fast = [None if p == "TfLiteXNNPackDelegate" else p for p in compiled.plan.where]
        slower = 1.6 if run.flags["gpu-precision"] == "fp32" else 1.0
        profile = replace(self.profile, gmacs_per_s=self.profile.gmacs_per_s / slower)
        clock = Clock(run, model, path, modelled_ms(profile, model, Plan(tuple(fast))))
        init = clock.init_ms + compiled.extra_ms
        run.say(f"The input model file size (MB): {model.size_mb:.6g}")
        run.say(f"Initialized session in {init:.6g}ms.")
        if target := run.flags["model_runtime_info_output_file"]:
            data = compiled_files.runtime(model, compiled.plan, compiled.dispatched)
            self._write(target, data)
            self.log("benchmark_litert_model.h:217", f"Generated model runtime info: {target}")
        blocks = []
        for runs, seconds in (("warmup_runs", "warmup_min_secs"), ("num_runs", "min_secs")):
            least, low, high = int(run.number(runs)), run.number(seconds), run.number("max_secs")
            run.say(
                f"Running benchmark for at least {least} iterations and at least {low:g} seconds "
                f"but terminate if exceeding {high:g} seconds."
            )
            blocks.append(clock.block(least, low, high))
            run.say(statistics_line(blocks[-1], True) + "\n")
        self._results(model, init, blocks)

    def _write(self, target: str, data: bytes) -> None:
        """Write a file, or what is left of it where the fault `half-files` is on."""
        if self.run.fault("no-files"):
            return
        Path(target).write_bytes(data[: len(data) // 2] if self.run.fault("half-files") else data)

    def _results(self, model: Network, init: float, blocks: list[list[float]]) -> None:
        warmup, timed = blocks
        lines = [("89", "\n========== BENCHMARK RESULTS ==========")]
        lines += [("91", "Signature name:       serving_default")]
        lines += [("94", f"Model initialization: {init:.2f} ms")]
        first = warmup[0] if warmup else 0.0
        lines += [("95", f"Warmup (first):       {first:.2f} ms")]
        lines += [("97", f"Warmup (avg):         {mean(warmup):.2f} ms ({len(warmup)} runs)")]
        lines += [("99", f"Inference (avg):      {mean(timed):.2f} ms ({len(timed)} runs)")]
        lines += [("103", f"Inference (min):      {min(timed):.2f} ms")]
        lines += [("105", f"Inference (max):      {max(timed):.2f} ms")]
        lines += [("107", "Inference (std):      0.01")]
        lines += [("123", "\nMemory Usage:"), ("125", "Init footprint:       21.50 MB")]
        lines += [("127", "Overall footprint:    32.25 MB")]
        lines += [("139", "======================================\n")]
        for line, text in lines:
            self.log(f"benchmark_litert_model.h:{line}", text)
        if target := self.run.flags["result_file_path"]:
            self.log("benchmark_litert_model.h:177", f"Saving benchmark result to: {target}")
            self._write(target, compiled_files.result(model.size_mb, init, warmup, timed))
            self.log("benchmark_litert_model.h:181", f"Saved benchmark result to: {target}")

    def _abort(self) -> NoReturn:
        sys.stdout.flush()
        print("Aborted", file=sys.stderr, flush=True)
        os._exit(134)  # as a shell tells SIGABRT


def _where(model: Network, taken: frozenset[int]) -> tuple[str | None, ...]:
    return tuple("npu" if step.index in taken else None for step in model.steps)
