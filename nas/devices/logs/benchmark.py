"""What the benchmark tool itself prints, in every format from 2019 to today.

Two programs are called `benchmark_model`: the classic TFLite tool and LiteRT's CompiledModel one.
Numbers are kept in milliseconds and megabytes as the tool means them.
"""

from __future__ import annotations

import re

from nas.devices.logs.benchmarklog import BenchmarkLog, Delegation, Replaced, Statistics
from nas.devices.logs.lines import Line
from nas.devices.logs.profile import read_profile, read_summary

_NUMBER = r"(-?[\d.]+(?:e[+-]?\d+)?)"
_STATISTICS = re.compile(
    rf"^count=(\d+)(?: first={_NUMBER})?(?: curr={_NUMBER}(\(all same\))?)?"
    rf"(?: min={_NUMBER} max={_NUMBER} avg={_NUMBER} std={_NUMBER})?"
    rf"(?: p5={_NUMBER} median={_NUMBER} p95={_NUMBER})?"
)
_SUMMARY = re.compile(
    rf"Inference timings in us: Init: {_NUMBER}, First inference: {_NUMBER}, "
    rf"Warmup \(avg\): {_NUMBER}, Inference \(avg\): {_NUMBER}"
)
_SUMMARY_2019 = re.compile(
    rf"Average inference timings in us: Warmup: {_NUMBER}, Init: {_NUMBER}, "
    rf"(?:no stats|Inference|with stats): {_NUMBER}"
)
_PARAMETER = re.compile(r"^([A-Z#][\w .#()/-]*?) ?: \[([^\]]*)\]")
_FLAG = re.compile(r"^([a-z][\w]*): (\S.*)$")
_INIT = re.compile(rf"Initialized session in {_NUMBER} ?ms")
_PEAK = re.compile(rf"Peak memory footprint \(MB\): init={_NUMBER} overall={_NUMBER}")
_DELTA = re.compile(
    rf"Memory footprint delta from the start of the tool \(MB\): init={_NUMBER} overall={_NUMBER}"
)
_MONITORED = re.compile(rf"Overall peak memory footprint \(MB\) via periodic monitoring: {_NUMBER}")
_SIZE = re.compile(rf"input model file size \(MB\): {_NUMBER}")
_ACCELERATORS = re.compile(
    r"NNAPI accelerators available: \[([^\]]*)\]"
    r"|accelerator name: \[[^\]]*\] \(Available: ([^)]*)\)"
)
_MODEL = re.compile(r"^(?:Loaded model|Loading model from:?) (\S.*?)\s*$")
_APPLIED = re.compile(
    r"(Explicitly applied|Applied) (\S+) delegate, and the model graph will be "
    r"(completely|partially) executed (?:by|w/) the delegate(?: w/ (\d+) delegate kernels?)?"
)
_NOT_APPLIED = re.compile(r"Though (\S+) delegate is (?:explicitly )?applied,")
_KERNELS = re.compile(r"Created (\d+) (\S+) delegate kernels?")
_REPLACING = re.compile(
    r"Replacing (\d+) (?:out of (\d+) )?node\(s\) with delegate \(([^)]+)\) node"
    r"(?:, ?\n?yielding (\d+) partitions?)?"
)
_NODES_DELEGATED = re.compile(
    r"(\S+) delegate: (\d+) nodes delegated out of (\d+) nodes(?: with (\d+) partitions?)?"
)
_ON_GPU = re.compile(
    r"(\d+) operations will run on the GPU, and the remaining (\d+) (?:operations will run )?on the"
)
_NOT_ON_GPU = re.compile(r"Following operations are not supported by (\w+) delegate")
_UNSUPPORTED = re.compile(r"^([A-Z][A-Z0-9_]+): ?(.*)$")
_YIELDING = re.compile(r"^yielding (\d+) partitions?")
_REFUSED = re.compile(r"Operator (\w+) \(v(\d+)\) refused by (\w+) delegate: (.+)$")
_PLUGIN = re.compile(r"RegisterAccelerator: .*name=(\S+)")
_SOC = re.compile(r"SoC name: (\S+?)\.?$")
_UNKNOWN_FLAGS = re.compile(r"Unconsumed cmdline flags: (.+)$")
_ARGUMENTS = re.compile(r"benchmark with args: (.+)$")
_LIMITS = re.compile(
    rf"Running benchmark for at least (\d+) iterations and at least {_NUMBER} seconds"
    rf"(?: but terminate if exceeding {_NUMBER} seconds)?"
)
_GPU_API = re.compile(r"Initialized (\S+)-based API")
_NODES = re.compile(r"^Number of nodes executed: (\d+)|^(\d+) nodes observed")
_SIGNATURE = re.compile(r"^Signature name:\s+(\S+)")
_THROUGHPUT = re.compile(rf"^Throughput:\s+{_NUMBER} MB/s")
_RESULT = re.compile(
    rf"^(Model initialization|Warmup \(first\)|Warmup \(avg\)|Inference \((?:avg|min|max|std|median"
    rf"|p5|p95)\)|Init footprint|Overall footprint|Peak memory usage):\s+{_NUMBER}(?: (?:ms|MB))?"
    r"(?: \((\d+) runs?\))?"
)


def read_benchmark(lines: list[Line]) -> BenchmarkLog:
    """The facts in the output of one run of either tool."""
    found = BenchmarkLog()
    for line in lines:
        for take in (_take_timing, _take_setting, _take_delegation, _take_compiled):
            if take(found, line.text):
                break
    texts = [line.text for line in lines]
    found.profile = read_profile(texts)
    found.profile_summary = read_summary(texts)
    _finish_compiled(found)
    found.generation = _generation(found, lines)
    _finish_delegation(found)
    return found


def _ms(microseconds: str | None) -> float | None:
    return None if microseconds is None else float(microseconds) / 1000


def statistics_of(text: str) -> Statistics | None:
    """The figures of a `count=` line; None where it is none.

    >>> statistics_of("count=4 first=130 curr=120 min=110 max=130 avg=122.5 std=4").mean_ms
    0.1225
    """
    match = _STATISTICS.match(text)
    if match is None:
        return None
    count = int(match[1])
    if match[3] is not None and match[7] is None:  # one run, or all of them the same
        only = float(match[3]) / 1000
        return Statistics(count, only, only, only, only, 0.0, None, only, None)
    return Statistics(
        count,
        _ms(match[2]),
        *(_ms(match[group]) for group in (5, 6, 7, 8, 9, 10, 11)),
    )


def _take_timing(found: BenchmarkLog, text: str) -> bool:
    if statistics := statistics_of(text):
        found.blocks.append(statistics)
    elif text.startswith("Timings (microseconds): "):
        found.profiled = statistics_of(text.removeprefix("Timings (microseconds): "))
    elif match := _SUMMARY.search(text):
        init, found.first_ms, found.warmup_mean_ms, found.mean_ms = (
            float(value) / 1000 for value in match.groups()
        )
        found.init_ms = init
    elif match := _SUMMARY_2019.search(text):
        found.warmup_mean_ms, found.init_ms, found.mean_ms = (
            float(value) / 1000 for value in match.groups()
        )
    elif match := _INIT.search(text):
        found.init_ms = float(match[1])
    elif match := _PEAK.search(text) or _DELTA.search(text):
        found.memory |= {"init_mb": float(match[1]), "overall_mb": float(match[2])}
    elif match := _MONITORED.search(text):
        found.memory["peak_mb"] = float(match[1])
    else:
        return False
    return True


def _take_setting(found: BenchmarkLog, text: str) -> bool:
    if match := _ACCELERATORS.search(text):
        names = match[1] if match[1] is not None else match[2]
        found.accelerators = [name.strip() for name in names.split(",") if name.strip()]
    elif match := _MODEL.match(text):
        found.model = match[1]
    elif match := _SIZE.search(text):
        found.model_size_mb = float(match[1])
    elif match := _PLUGIN.search(text):
        found.plugins.append(match[1])
    elif match := _SOC.search(text):
        found.soc = match[1]
    elif match := _UNKNOWN_FLAGS.search(text):
        found.unknown_flags += match[1].split()
    elif match := _ARGUMENTS.search(text):
        _take_arguments(found, match[1])
    elif match := _LIMITS.search(text):
        low, high = float(match[2]), float(match[3]) if match[3] else None
        found.limits.append({"iterations": int(match[1]), "min_seconds": low, "max_seconds": high})
    elif match := _GPU_API.search(text):
        found.gpu_api = match[1]
    elif "unable to open library" in text:
        found.warnings.append(text.strip())
    elif (match := _PARAMETER.match(text)) or (match := _library_path(text)):
        found.parameters[match[1].strip()] = match[2].strip()
        if match[1] == "Graph":
            found.model = match[2].strip()
    else:
        return False
    return True


def _take_arguments(found: BenchmarkLog, text: str) -> None:
    for word in text.split():
        name, equals, value = word.removeprefix("--").partition("=")
        if word.startswith("--"):
            found.parameters[name] = value if equals else "true"
    found.model = found.parameters.get("graph", found.model)


def _library_path(text: str) -> re.Match[str] | None:
    match = _FLAG.match(text)
    return match if match and match[1].endswith("_library_path") else None


def _take_delegation(found: BenchmarkLog, text: str) -> bool:
    if match := _APPLIED.search(text):
        coverage = {"completely": "complete", "partially": "partial"}[match[3]]
        kernels = int(match[4]) if match[4] else (1 if coverage == "complete" else None)
        found.delegation = Delegation(match[2], coverage, kernels)
    elif match := _NOT_APPLIED.search(text):
        found.delegation = Delegation(match[1], "none", 0)
    elif match := _KERNELS.search(text):
        found.kernels[match[2]] = int(match[1])
    elif match := _REPLACING.search(text):
        total, partitions = (int(value) if value else None for value in (match[2], match[4]))
        found.replaced.append(Replaced(match[3], int(match[1]), total, partitions))
    elif match := _NODES_DELEGATED.search(text):
        partitions = int(match[4]) if match[4] else None
        found.replaced.append(Replaced(match[1], int(match[2]), int(match[3]), partitions))
    elif match := _ON_GPU.search(text):
        nodes, rest = int(match[1]), int(match[2])
        found.replaced.append(Replaced("GPU", nodes, nodes + rest, None))
        found.listing = None
    elif match := _NOT_ON_GPU.search(text):
        found.listing = match[1]
    elif found.listing and (match := _UNSUPPORTED.match(text)):
        refusal = {"op": match[1], "version": "", "delegate": found.listing, "reason": match[2]}
        found.refusals.append(refusal)
    elif (match := _YIELDING.match(text)) and found.replaced:
        last = found.replaced[-1]
        found.replaced[-1] = Replaced(last.delegate, last.nodes, last.total, int(match[1]))
    elif match := _REFUSED.search(text):
        names = ("op", "version", "delegate", "reason")
        found.refusals.append(dict(zip(names, match.groups(), strict=True)))
    else:
        return False
    return True


def _take_compiled(found: BenchmarkLog, text: str) -> bool:
    if match := _SIGNATURE.match(text):
        found.signature = match[1]
        return True
    if match := _THROUGHPUT.match(text):
        found.throughput_mb_per_s = float(match[1])
        return True
    if match := _NODES.match(text):
        found.nodes_executed = int(match[1] or match[2])
        return True
    match = _RESULT.match(text)
    if match is None:
        return False
    found.compiled[match[1]] = float(match[2])
    if match[3]:
        found.compiled[f"{match[1]} runs"] = float(match[3])
    return True


def _finish_compiled(found: BenchmarkLog) -> None:
    """CompiledModel's result table (milliseconds, megabytes) as the classic tool's fields."""
    values = found.compiled
    if "Inference (avg)" not in values:
        return
    found.init_ms = values.get("Model initialization", found.init_ms)
    found.first_ms = values.get("Warmup (first)")
    found.warmup_mean_ms = values.get("Warmup (avg)")
    found.mean_ms = values["Inference (avg)"]
    warmup = Statistics(
        int(values.get("Warmup (avg) runs", 0)), found.first_ms, mean_ms=found.warmup_mean_ms
    )
    names = ("min", "max", "avg", "std", "p5", "median", "p95")
    figures = [values.get(f"Inference ({name})") for name in names]
    found.blocks = [
        warmup,
        Statistics(int(values.get("Inference (avg) runs", 0)), None, *figures),
    ]
    memory = {"init_mb": "Init footprint", "overall_mb": "Overall footprint"}
    memory["peak_mb"] = "Peak memory usage"
    found.memory |= {key: values[name] for key, name in memory.items() if name in values}


def _finish_delegation(found: BenchmarkLog) -> None:
    """The coverage from node counts or the profile, where no line says it in words."""
    if found.delegation is not None:
        return
    rows = [row for row in found.replaced if row.total and "XNNPack" not in row.delegate]
    if rows:
        nodes, total = sum(row.nodes for row in rows), sum(row.total or 0 for row in rows)
        coverage = "none" if nodes == 0 else "complete" if nodes == total else "partial"
        found.delegation = Delegation(rows[0].delegate, coverage, rows[0].partitions)
        return
    delegates = [row.node_type for row in found.profile if row.is_delegate]
    if delegates and "XNNPack" not in delegates[0]:
        coverage = "complete" if len(delegates) == len(found.profile) else "partial"
        kernels = found.profile_summary.get(delegates[0], len(delegates))
        found.delegation = Delegation(delegates[0], coverage, kernels)


def _generation(found: BenchmarkLog, lines: list[Line]) -> str | None:
    """The tool by the first year of its format; None where nothing in the log tells."""
    text = "\n".join(line.text for line in lines)
    if found.compiled or found.plugins or "LiteRT environment" in text or "LITERT_" in text:
        return "compiled-model"
    if any(line.tag == "litert" for line in lines) or "Dispatch runtime" in text:
        return "compiled-model"
    if any(block.p95_ms is not None for block in found.blocks):
        return "2025"
    if any(line.prefixed and "STARTING!" in line.text for line in lines) or any(
        line.prefixed
        and ("delegate, and the model graph" in line.text or line.text[:6] == "count=")
        for line in lines
    ):
        return "2023"
    if "Explicitly applied" in text or "explicitly applied" in text:
        return "2021"
    if found.accelerators and "NNAPI accelerators available" in text:
        return "2021"
    if _SUMMARY_2019.search(text) or "resolved reporter" in text:
        return "2019"
    if (
        "Use nnapi" in found.parameters
        or found.delegation
        or found.accelerators
        or _SUMMARY.search(text)
    ):
        return "2020"
    return None
