"""Delegates in a log: which part of the graph they took, and whether the requested one did.

XNNPACK is the CPU. It takes part of most runs, unasked, and says nothing of an accelerator.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from nas.devices.failures import DeviceFailure
from nas.devices.logs.benchmark_log import (
    DISPATCH_OP,
    BenchmarkLog,
    Delegation,
    DelegationFacts,
    ReplacedNodes,
)

CPU = "cpu"
"""The family of delegates that run on the CPU."""
_TRUE = ("1", "true", "yes", "on")
_ASKED = {
    "use nnapi": "nnapi",
    "use legacy nnapi": "nnapi",
    "use gpu": "gpu",
    "use hexagon": "hexagon",
    "use coreml": "coreml",
    "use npu": "npu",
    "use xnnpack": CPU,
    "npu": "npu",
    "gpu": "gpu",
}
"""Parameters and flags that ask for a delegate; flags have underscores for the spaces."""
_ASKED_BY_PATH = {
    "external delegate path": "external",
    "delegate settings file path": "external",
    "stable delegate settings file": "external",
}
_FAMILIES = (
    (re.compile(r"XNNPack|YNNPack|Flex|^CPU$|Default-NoDelegate", re.IGNORECASE), CPU),
    (re.compile(r"NNAPI", re.IGNORECASE), "nnapi"),
    (re.compile(r"GPU|Metal|^LITERT_|ml_?drift", re.IGNORECASE), "gpu"),
    (re.compile(r"Hexagon", re.IGNORECASE), "hexagon"),
    (re.compile(r"Core ?ML", re.IGNORECASE), "coreml"),
    (re.compile(r"^Dispatch|^DISPATCH_OP", re.IGNORECASE), "npu"),
)
_APPLIED = re.compile(
    r"(?:Explicitly applied|Applied) (\S{1,80}) delegate, and the model graph will be "
    r"(completely|partially) executed (?:by|w/) the delegate(?: w/ (\d{1,9}) delegate kernels?)?"
)
_NOT_APPLIED = re.compile(r"Though (\S{1,80}) delegate is (?:explicitly )?applied,")
_APPLIED_2019 = re.compile(r"^Applied (\S{1,80}) delegate\b(?!,)")
_CREATED = re.compile(
    r"Created TensorFlow Lite (?:delegate for )?(\w{1,40})(?: delegate for CPU)?\b"
    r"|^(\w{1,40}) delegate created\b"
)
_KERNELS = re.compile(r"Created (\d{1,9}) (\S{1,80}) delegate kernels?")
_REPLACING = re.compile(
    r"Replacing (\d{1,9}) (?:out of (\d{1,9}) )?node\(s\) with delegate \(([^)]{1,100})\)"
    r"(?: node)?(?:, ?yielding (\d{1,9}) partitions?"
    r"(?: for (?:the whole graph|subgraph (\d{1,9})))?)?"
)
_YIELDING = re.compile(r"^yielding (\d{1,9}) partitions?")
_NODES_DELEGATED = re.compile(
    r"(\S{1,80}) delegate: (\d{1,9}) nodes delegated out of (\d{1,9}) nodes"
    r"(?:,? with (\d{1,9}) partitions?)?"
)
_ON_GPU = re.compile(
    r"(\d{1,9}) operations will run on the GPU, and the remaining (\d{1,9}) "
    r"(?:operations will run )?on the"
)
_NONE_ON_GPU = re.compile(
    r"No operations will run on the GPU, and all (\d{1,9}) operations will run on the CPU"
)
_NOT_ON_GPU = re.compile(r"(?:Following|Next) operations are not supported by (\w{1,40}) delegate")
_UNSUPPORTED = re.compile(r"^([A-Z][A-Z0-9_]{1,80}|CUSTOM [\w-]{1,80}): ?(.{0,2000})$")
_REFUSED = re.compile(
    r"Operator (\w{1,80}) \(v(\d{1,9})\) refused by (\w{1,80}) delegate: (.{1,2000})$"
)
_COMPILED = re.compile(
    r"Subgraph (\d{1,9}) (?:fully|partially) compiled:\s{0,8}(\d{1,9}) / (\d{1,9}) ops offloaded "
    r"to (\d{1,9}) partitions?"
)
_PARTITIONED = re.compile(
    r"Partitioned subgraph<(\d{1,9})>, selected (\d{1,9}) ops, from a total of (\d{1,9}) ops\. "
    r"resulted in (\d{1,9}) partitions?"
)
_GPU_API = re.compile(r"Initialized (\S{1,40})-based API")
_REASON = re.compile(
    r"[Cc]ould ?n[o']t (?:be )?(?:create|load|open|initiali[sz]e|find)"
    r"|(?:is not|isn't|not|un)[ ]?supported on this|elegate is not supported|unable to open library"
    r"|[Cc]an ?not open|Unable to load|Failed to (?:create|load|initiali[sz]e|obtain|fetch|apply)"
    r"|No usable|No (?:dispatch|compiler plugin)|You should provide the .{0,40}to use NPU"
    r"|No operations will run on the GPU|not found\b|Plugin errs: \S"
)
_ABOUT_DELEGATES = re.compile(
    r"delegate|accelerator|acceleration|nnapi|neuralnetworks|gpu|opencl|opengl|hexagon|npu|qnn|htp"
    r"|coreml|dispatch|plugin|librar",
    re.IGNORECASE,
)


def family(name: str) -> str:
    """Map a delegate's name to "cpu", "nnapi", "gpu" and the like; "external" for a vendor's own.

    >>> family("TfLiteXNNPackDelegate"), family("LITERT_CL"), family("TfLiteQnnDelegate")
    ('cpu', 'gpu', 'external')
    """
    return next((kind for pattern, kind in _FAMILIES if pattern.search(name[:100])), "external")


def asked_for(parameters: dict[str, str]) -> list[str]:
    """List the delegates that a run's parameters or flags ask for."""
    asked = []
    for name, value in parameters.items():
        key = name.replace("_", " ").lower()
        if value.lower() in _TRUE and key in _ASKED:
            asked.append(_ASKED[key])
        elif value and key in _ASKED_BY_PATH:
            asked.append(_ASKED_BY_PATH[key])
    return list(dict.fromkeys(asked))


def take_delegation(facts: DelegationFacts, text: str) -> bool:
    """Note the facts about delegates in a line; returns whether there are any."""
    taken = _take_words(facts, text) or _take_counts(facts, text) or _take_refusals(facts, text)
    if DISPATCH_OP in text[:2000]:
        facts.came_up.append(DISPATCH_OP)
        taken = True
    if _REASON.search(text[:2000]) and _ABOUT_DELEGATES.search(text[:2000]):
        facts.reasons.append(text)
    return taken


def _take_words(facts: DelegationFacts, text: str) -> bool:
    if match := _APPLIED.search(text):
        coverage = {"completely": "complete", "partially": "partial"}[match[2]]
        kernels = int(match[3]) if match[3] else (1 if coverage == "complete" else None)
        facts.said.append((Delegation(match[1], coverage, kernels), text))
    elif match := _NOT_APPLIED.search(text):
        facts.said.append((Delegation(match[1], "none", 0), text))
    elif match := _KERNELS.search(text):
        facts.kernels[match[2]] = int(match[1])
        if match[1] == "0":
            facts.said.append((Delegation(match[2], "none", 0), text))
        else:
            facts.came_up.append(match[2])
    elif match := _APPLIED_2019.match(text) or _CREATED.search(text):
        facts.came_up.append(next(name for name in match.groups() if name))
    elif _GPU_API.search(text):
        facts.came_up.append("GPU")
    else:
        return False
    return True


def _take_counts(facts: DelegationFacts, text: str) -> bool:
    if match := _REPLACING.search(text):
        total, parts = (int(value) if value else None for value in (match[2], match[4]))
        row = ReplacedNodes(match[3], int(match[1]), total, parts)
        facts.replaced.append(row)
        facts.replacing[(match[3], match[5])] = row
    elif (match := _YIELDING.match(text)) and facts.replacing:
        key, row = list(facts.replacing.items())[-1]
        row = ReplacedNodes(row.delegate, row.nodes, row.total, int(match[1]))
        facts.replaced[-1] = facts.replacing[key] = row
    elif match := _NODES_DELEGATED.search(text):
        parts = int(match[4]) if match[4] else None
        facts.replaced.append(ReplacedNodes(match[1], int(match[2]), int(match[3]), parts))
    elif match := _ON_GPU.search(text):
        nodes = int(match[1])
        facts.replaced.append(ReplacedNodes("GPU", nodes, nodes + int(match[2]), None))
        facts.listing = None
    elif match := _NONE_ON_GPU.search(text):
        facts.replaced.append(ReplacedNodes("GPU", 0, int(match[1]), None))
        facts.listing = None
    elif match := _COMPILED.search(text) or _PARTITIONED.search(text):
        nodes, total, parts = int(match[2]), int(match[3]), int(match[4])
        facts.offloaded.append(ReplacedNodes("NPU compiler", nodes, total, parts))
    else:
        return False
    return True


def _take_refusals(facts: DelegationFacts, text: str) -> bool:
    if match := _NOT_ON_GPU.search(text):
        facts.listing = match[1]
    elif facts.listing and (match := _UNSUPPORTED.match(text)):
        refusal = {"op": match[1], "version": "", "delegate": facts.listing, "reason": match[2]}
        facts.refusals.append(refusal)
    elif match := _REFUSED.search(text):
        names = ("op", "version", "delegate", "reason")
        facts.refusals.append(dict(zip(names, match.groups(), strict=True)))
    else:
        return False
    return True


def is_plain(log: BenchmarkLog) -> bool:
    """Whether a run used the CPU alone: no accelerator was asked for, and none shows."""
    facts = log.facts
    names = [delegation.delegate for delegation, _ in facts.said] + facts.came_up
    names += [row.delegate for row in facts.replaced]
    return {*log.asked, *map(family, names)} <= {CPU}


def judge(log: BenchmarkLog, nnapi_ran: bool = False) -> DeviceFailure | None:
    """Set `log.delegation`, and return the failure of a delegate that did not take the graph.

    None where the delegate took the whole graph, where a plain CPU run was asked for, or where the
    log does not tell. `nnapi_ran`: NNAPI's own log shows operations on an accelerator.
    """
    coverages = _coverages(log)
    wanted = [kind for kind in log.asked if kind != CPU]
    kinds = wanted or list(dict.fromkeys(k for k, *_ in coverages if k != CPU))
    if not kinds:
        log.delegation = coverages[-1][1] if coverages else None
        return None
    rows = [row for row in coverages if any(_stands_for(row[0], kind) for kind in kinds)]
    if rows:
        order = {"complete": 0, "partial": 1, "none": 2}
        _, log.delegation, line = min(rows, key=lambda row: order[row[1].coverage])
        return _failure(log.delegation, line)
    if nnapi_ran or not wanted or not _silence_tells(log, wanted):
        return None
    came_up = any(_stands_for(family(name), k) for name in log.facts.came_up for k in kinds)
    if came_up and (log.dispatched or not log.facts.replacing):
        return None  # the delegate came up, and this tool does not tell what it took
    reason = next(iter(log.facts.reasons), "")
    asked = " and ".join(wanted)
    state = "took nothing" if came_up else "never came up"
    detail = f"{asked} was asked for and {state}: "
    return DeviceFailure("not_delegated", detail + (reason or _elsewhere(log)))


def _stands_for(seen: str, kind: str) -> bool:
    """Whether a delegate of the family `seen` is the one that was asked for as `kind`.

    A library of a vendor's may register its delegate under any name.
    """
    return seen == kind or (kind == "external" and seen != CPU)


def _failure(delegation: Delegation, line: str) -> DeviceFailure | None:
    if delegation.coverage == "complete":
        return None
    return DeviceFailure(
        "not_delegated" if delegation.coverage == "none" else "partially_delegated", line
    )


def _silence_tells(log: BenchmarkLog, wanted: list[str]) -> bool:
    """Whether a log without a word of the delegate shows that it never came up.

    Only a log that goes from the model's loading to figures does. The tool of 2019 may say nothing
    of NNAPI, and LiteRT's on a computer of its GPU; a phone's does.
    """
    if not log.loaded or log.init_ms is None:
        return False
    if log.generation == "2019":
        return bool(log.facts.reasons)
    if log.generation != "compiled-model" or "npu" in wanted:
        return True
    return bool(log.facts.replacing)


def _elsewhere(log: BenchmarkLog) -> str:
    return (
        ", ".join(map(str, log.facts.replaced)) or "the log names no such delegate that took part"
    )


def _coverages(log: BenchmarkLog) -> list[tuple[str, Delegation, str]]:
    """List what each family took: by its words, else by its counts, else by the profile."""
    facts = log.facts
    coverages = [(family(row.delegate), row, line) for row, line in facts.said]
    by_words = {kind for kind, *_ in coverages}
    counted = facts.replacing.values()
    by_runtime = {family(row.delegate) for row in counted}
    others = [row for row in facts.replaced if family(row.delegate) not in by_runtime]
    for kind, rows in _by_family([*counted, *others]).items():
        if kind not in by_words and (total := _summed(rows)):
            coverages.append((kind, total, ", ".join(map(str, rows))))
    families = {kind for kind, *_ in coverages}
    coverages += [row for row in _from_profile(log) if row[0] not in families]
    if not coverages and facts.offloaded and not log.blocks and not log.finished:
        rows = facts.offloaded
        if total := _summed(rows):
            coverages.append(("npu", total, ", ".join(map(str, rows))))
    return _last_of_each(coverages)


def _last_of_each(
    rows: Iterable[tuple[str, Delegation, str]],
) -> list[tuple[str, Delegation, str]]:
    """Keep the last row of each family: a delegate may be applied again, and refuse then."""
    last: dict[str, tuple[str, Delegation, str]] = {}
    for row in rows:
        last.pop(row[0], None)
        last[row[0]] = row
    return list(last.values())


def _by_family(rows: Iterable[ReplacedNodes]) -> dict[str, list[ReplacedNodes]]:
    families: dict[str, list[ReplacedNodes]] = {}
    for row in rows:
        families.setdefault(family(row.delegate), []).append(row)
    return families


def _summed(rows: list[ReplacedNodes]) -> Delegation | None:
    """Sum up the coverage of all subgraphs, under the first name of a delegate with two."""
    rows = [row for row in rows if row.delegate == rows[0].delegate]
    coverages = {row.coverage for row in rows} - {None}
    if not coverages:
        return None
    coverage = coverages.pop() if len(coverages) == 1 else "partial"
    return Delegation(rows[0].delegate, str(coverage), rows[0].partitions)


def _from_profile(log: BenchmarkLog) -> list[tuple[str, Delegation, str]]:
    """Derive coverages from a profile: complete where all rows are the delegate's, else partial."""
    rows = [row for row in log.profile if not row.inside]
    names = list(dict.fromkeys(row.node_type for row in rows if row.is_delegate))
    coverages = []
    for name in names:
        own = sum(row.node_type == name for row in rows)
        coverage = "complete" if own == len(rows) else "partial"
        kernels = log.profile_summary.get(name, own)
        detail = f"{name} took part of the graph: {own} of the {len(rows)} nodes left are its own"
        coverages.append((family(name), Delegation(name, coverage, kernels), detail))
    return coverages
