"""Reading the lines that a benchmark tool itself prints, in every format from 2019 to today.

Two programs are called `benchmark_model`: the classic TFLite tool and LiteRT's CompiledModel one.
Numbers are kept in milliseconds and megabytes as the tool means them.
"""

from __future__ import annotations

import re

from nas.devices.logs.benchmark_log import BenchmarkLog, Statistics
from nas.devices.logs.delegation import asked_for, take_delegation
from nas.devices.logs.figures import NUMBER, figure, milliseconds, statistics_of
from nas.devices.logs.lines import Line
from nas.devices.logs.profile import read_profile
from nas.devices.logs.runs import ARGUMENTS, Run, is_command

_SUMMARY = re.compile(
    rf"Inference timings in us: Init: {NUMBER}, First inference: {NUMBER}, "
    rf"Warmup \(avg\): {NUMBER}, Inference \(avg\): {NUMBER}"
)
_SUMMARY_2019 = re.compile(
    rf"Average inference timings in us: Warmup: {NUMBER}, Init: {NUMBER}, "
    rf"(?:no stats|Inference|with stats): {NUMBER}"
)
_PARAMETER = re.compile(r"^([A-Za-z#][\w .#()/-]{0,100}?) ?: \[([^\]]{0,4000})\]")
_FLAG = re.compile(r"^([a-z]\w{0,60}_path): (\S.*)$")
_INIT = re.compile(rf"Initialized session in {NUMBER} ?ms")
_PEAK = re.compile(
    r"(?:Peak memory footprint|Memory footprint delta from the start of the tool) \(MB\): "
    rf"init={NUMBER} overall={NUMBER}"
)
_MONITORED = re.compile(rf"Overall peak memory footprint \(MB\) via periodic monitoring: {NUMBER}")
_SIZE = re.compile(rf"input model file size \(MB\): {NUMBER}")
_ACCELERATORS = re.compile(
    r"NNAPI accelerators available: \[([^\]]{0,2000})\]"
    r"|accelerator name: \[[^\]]{0,200}\] \(Available: ([^)]{0,2000})\)"
)
_MODEL = re.compile(r"^(?:Loaded model|Loading model from:?) (\S.*)$")
_PLUGIN = re.compile(r"RegisterAccelerator: .{0,200}name=(\S{1,200})")
_SOC = re.compile(r"SoC name: ([^\s.]{1,80})")
_UNKNOWN_FLAGS = re.compile(r"Unconsumed cmdline flags: (.{1,4000})$")
_LIMITS = re.compile(
    rf"Running benchmark for at least (\d{{1,9}}) iterations and at least {NUMBER} seconds"
    rf"(?: but terminate if exceeding {NUMBER} seconds)?"
)
_GPU_API = re.compile(r"Initialized (\S{1,40})-based API")
_NODES = re.compile(r"^Number of nodes executed: (\d{1,9})|^(\d{1,9}) nodes observed")
_SIGNATURE = re.compile(r"^Signature name:\s{1,40}(\S{1,400})")
_THROUGHPUT = re.compile(rf"^Throughput:\s{{1,40}}{NUMBER} MB/s")
_RESULT = re.compile(
    r"^(Model initialization|Warmup \(first\)|Warmup \(avg\)|Inference \((?:avg|min|max|std|median"
    r"|p5|p95)\)|Init footprint|Overall footprint|Peak memory(?: usage)?):"
    rf"\s{{1,40}}{NUMBER}(?: (?:ms|MB))?(?: \((\d{{1,9}}) runs?\))?"
)
_COMPILATIONS = {
    "JIT compilation changed model, reserializing": "now",
    "Flatbuffer model initialized from cached model": "kept",
    "JIT execution handles detected": "every time",
    "pre-compiled. Plugins won't be applied": "ahead",
}
_COMPILED_MODEL = ("LiteRT environment", "LITERT_", "Dispatch runtime", "DispatchDelegate")
_WRAPPED = re.compile(
    r"(?:with delegate|the remaining(?: \d{1,9})?|the model graph(?: will)?(?: not)?(?: be)?"
    r"|(?:completely|partially) executed(?: by(?: the)?)?|be (?:completely|partially))$"
)
"""The end of a line of delegation that somebody wrapped."""
_PROFILED = "Timings (microseconds): "
_LONGEST = 4000


def read_benchmark(run: Run, asked: str | None = None) -> BenchmarkLog:
    """Read the output of one run of either tool; `asked` is its delegate, if known."""
    log = BenchmarkLog(option=run.option)
    lines = run.lines
    command = ""
    for number, line in enumerate(lines):
        text = line.text
        if number + 1 < len(lines) and _WRAPPED.search(text[-60:]):
            text = f"{text} {lines[number + 1].text}"
        if command or is_command(text):
            command = _take_command(log, command + text)
            continue
        for take in (_take_timing, _take_setting, _take_compiled, _take_delegation):
            if take(log, text):
                break
    if run.option_text:
        _take_option(log, run.option_text)
    _take_profile(log, [line.text for line in lines])
    _finish_compiled(log)
    log.generation = _generation(log, lines)
    log.asked = [asked] if asked else asked_for(log.parameters)
    return log


def _take_delegation(log: BenchmarkLog, text: str) -> bool:
    if match := _GPU_API.search(text):
        log.gpu_api = match[1]
    return take_delegation(log.facts, text)


def _take_option(log: BenchmarkLog, text: str) -> None:
    """Take the figures of a run that left nothing but its line in a summary."""
    statistics = statistics_of(text)
    log.failed = statistics is None
    if statistics is not None:
        log.blocks = [Statistics(0), statistics]


def _take_profile(log: BenchmarkLog, texts: list[str]) -> None:
    profile = read_profile(texts)
    log.profile = profile.rows
    log.profile_summary = dict(profile.summary)
    log.unread_profile = profile.unread


def _take_timing(log: BenchmarkLog, text: str) -> bool:
    if text.startswith("count="):
        statistics = statistics_of(text)
        if statistics is None:
            log.odd.append(text[:200])
            return True
        log.blocks.append(statistics)
        if statistics.incomplete:
            log.odd.append(text[:200])
    elif text.startswith(_PROFILED):
        log.profiled = statistics_of(text.removeprefix(_PROFILED))
    elif match := _SUMMARY.search(text):
        values = [milliseconds(word) for word in match.groups()]
        log.init_ms, log.first_ms, log.warmup_mean_ms, log.mean_ms = values
        _note_summary(log, values, text)
    elif match := _SUMMARY_2019.search(text):
        values = [milliseconds(word) for word in match.groups()]
        log.warmup_mean_ms, log.init_ms, log.mean_ms = values
        _note_summary(log, values, text)
    elif match := _INIT.search(text):
        log.init_ms = figure(match[1])
    elif match := _PEAK.search(text):
        _keep(log.memory, {"init_mb": figure(match[1]), "overall_mb": figure(match[2])})
    elif match := _MONITORED.search(text):
        _keep(log.memory, {"peak_mb": figure(match[1])})
    elif text.startswith("Benchmarking failed"):
        log.failed = True
    else:
        return False
    return True


def _note_summary(log: BenchmarkLog, values: list[float | None], text: str) -> None:
    log.finished = True
    if None in values:
        log.odd.append(text[:200])


def _keep(memory: dict[str, float], figures: dict[str, float | None]) -> None:
    memory.update({name: value for name, value in figures.items() if value is not None})


def _take_setting(log: BenchmarkLog, text: str) -> bool:
    if match := _ACCELERATORS.search(text):
        names = match[1] if match[1] is not None else match[2]
        log.accelerators = [name.strip() for name in names.split(",") if name.strip()]
    elif match := _MODEL.match(text[:_LONGEST]):
        log.model, log.loaded = match[1], True
    elif match := _SIZE.search(text):
        log.model_size_mb = figure(match[1])
    elif match := _PLUGIN.search(text):
        log.plugins.append(match[1])
    elif match := _SOC.search(text):
        log.soc = match[1]
    elif match := _UNKNOWN_FLAGS.search(text):
        log.unknown_flags += match[1].split()
    elif ARGUMENTS in text:
        _take_arguments(log, text.partition(ARGUMENTS)[2])
    elif match := _LIMITS.search(text):
        low, high = figure(match[2]), figure(match[3])
        log.limits.append({"iterations": int(match[1]), "min_seconds": low, "max_seconds": high})
    elif "unable to open library" in text:
        log.warnings.append(text)
        take_delegation(log.facts, text)
    elif (match := _PARAMETER.match(text)) or (match := _FLAG.match(text[:_LONGEST])):
        log.parameters[match[1].strip()] = match[2].strip()
        if match[1].strip() == "Graph":
            log.model = match[2].strip()
    else:
        return False
    return True


def _take_command(log: BenchmarkLog, text: str) -> str:
    """Note a command's flags; returns its first part where it goes on in the next line, else ""."""
    if text.endswith("\\") and len(text) < _LONGEST:
        return text.removesuffix("\\")
    _take_arguments(log, text[: 2 * _LONGEST])
    return ""


def _take_arguments(log: BenchmarkLog, text: str) -> None:
    for word in text.split():
        name, equals, value = word.strip("\"'").removeprefix("--").partition("=")
        if word.strip("\"'").startswith("--") and name:
            log.parameters[name] = value.strip("\"'") if equals else "true"
    log.model = log.parameters.get("graph", log.model)


def _take_compiled(log: BenchmarkLog, text: str) -> bool:
    if match := _SIGNATURE.match(text):
        log.signature = match[1]
        return True
    if words := next((words for words in _COMPILATIONS if words in text[:400]), None):
        log.compilation, log.built = _COMPILATIONS[words], True
        return True
    if "Flatbuffer model initialized" in text[:400]:
        log.built = True
        return True
    if match := _THROUGHPUT.match(text):
        log.throughput_mb_per_s = figure(match[1])
        return True
    if match := _NODES.match(text):
        log.nodes_executed = int(match[1] or match[2])
        return True
    match = _RESULT.match(text)
    value = figure(match[2]) if match else None
    if match is None or value is None:
        return False
    name = match[1].removesuffix(" usage")
    log.compiled[name] = value
    if match[3]:
        log.compiled[f"{name} runs"] = float(match[3])
    return True


def _finish_compiled(log: BenchmarkLog) -> None:
    """Turn CompiledModel's result table (ms, MB) into the classic tool's fields."""
    values = log.compiled
    if "Inference (avg)" not in values:
        return
    log.finished = True
    log.init_ms = values.get("Model initialization", log.init_ms)
    log.first_ms = values.get("Warmup (first)")
    log.warmup_mean_ms = values.get("Warmup (avg)")
    log.mean_ms = values["Inference (avg)"]
    warmup = Statistics(
        int(values.get("Warmup (avg) runs", 0)), log.first_ms, mean_ms=log.warmup_mean_ms
    )
    names = ("min", "max", "avg", "std", "p5", "median", "p95")
    low, high, mean, std, p5, median, p95 = (values.get(f"Inference ({name})") for name in names)
    count = int(values.get("Inference (avg) runs", 0))
    timed = Statistics(count, None, low, high, mean, std, p5, median, p95)
    if not _tells_median(log):
        log.blocks = [warmup, timed]
    memory = {"init_mb": "Init footprint", "overall_mb": "Overall footprint"}
    memory["peak_mb"] = "Peak memory"
    log.memory |= {key: values[name] for key, name in memory.items() if name in values}


def _tells_median(log: BenchmarkLog) -> bool:
    """Whether the tool printed statistics lines with a median, which its result table lacks."""
    return log.timed is not None and log.timed.median_ms is not None


def _generation(log: BenchmarkLog, lines: list[Line]) -> str | None:
    """Name the tool by the first year of its format; None where nothing in the log tells it."""
    text = "\n".join(line.text for line in lines)
    if log.compiled or log.plugins or any(line.tag == "litert" for line in lines):
        return "compiled-model"
    if any(word in text for word in _COMPILED_MODEL):
        return "compiled-model"
    if any(block.p95_ms is not None for block in log.blocks):
        return "2025"
    prefixed = (line.text for line in lines if line.prefixed)
    if any(
        "STARTING!" in t or "delegate, and the model" in t or t[:6] == "count=" for t in prefixed
    ):
        return "2023"
    if "xplicitly applied" in text or "NNAPI accelerators available" in text:
        return "2021"
    if _SUMMARY_2019.search(text) or "resolved reporter" in text:
        return "2019"
    older = "Use nnapi" in log.parameters or log.accelerators or log.facts.said
    return "2020" if older or _SUMMARY.search(text) else None
