"""The lines of NNAPI in the phone's log, and the tool's operation profile."""

from __future__ import annotations

import os
import time
from itertools import groupby
from pathlib import Path

from tests.emulated_phone.network import NNAPI_NAMES, Network
from tests.emulated_phone.placing import Plan
from tests.emulated_phone.profiles import Profile

CHATTY_UNTIL_SDK = 30


def write(
    folder: Path, tag: str, texts: list[str], level: str = "I", pid: int | None = None
) -> None:
    """Append lines to the phone's log, as `logcat -v threadtime` shows them."""
    now = time.time()
    stamp = time.strftime("%m-%d %H:%M:%S", time.localtime(now)) + f".{int(now * 1000) % 1000:03d}"
    number = pid or os.getpid()
    with (folder / "logcat.txt").open("a") as file:
        for text in texts:
            for line in text.splitlines() or [""]:
                file.write(f"{stamp} {number:5d} {number:5d} {level} {tag:<8}: {line}\n")


def _vlog_is_on(folder: Path) -> bool:
    try:
        return bool((folder / "props/debug.nn.vlog").read_text().strip())
    except OSError:
        return False


def compilation(folder: Path, profile: Profile, model: Network, plan: Plan) -> None:
    """Write the placement of every operation given to NNAPI; repeats are folded as by logd."""
    if not _vlog_is_on(folder):
        return
    write(folder, "Manager", [f"Found interface {name}" for name in profile.accelerators])
    order = [*profile.accelerators, "nnapi-reference"]
    given = [
        (NNAPI_NAMES.get(step.op, step.op), place)
        for step, place in zip(model.steps, plan.where, strict=True)
        if place is not None
    ]
    texts = [
        f"ModelBuilder::findBestDeviceForEachOperation({op}) = {order.index(place)} ({place})"
        for op, place in given
    ]
    for text, group in groupby(texts):
        repeats = len(list(group))
        if repeats < 3 or profile.sdk > CHATTY_UNTIL_SDK:
            write(folder, "ExecutionPlan", [text] * repeats)
            continue
        write(folder, "ExecutionPlan", [text])
        lines = "line" if repeats == 3 else "lines"
        write(
            folder,
            "chatty",
            [f"uid=2000(shell) /data/local/tmp/benchmark_model identical {repeats - 2} {lines}"],
        )
        write(folder, "ExecutionPlan", [text])
    write(folder, "ExecutionPlan", ["ModelBuilder::partitionTheWork: source model: "])
    places = {place for _, place in given}
    if len(places) == 1:
        write(folder, "ExecutionPlan", [f"SIMPLE for {places.pop()}"])


def operation_profile(model: Network, plan: Plan, samples: list[float], modern: bool) -> str:
    """Format the tool's table of nodes: the CPU's one by one, a delegate's partition as one row."""
    rows = []
    delegate = len(model.steps)
    total = sum(samples) / len(samples) if samples else 0.0
    each = total / max(1, len(model.steps))
    numbered = list(zip(model.steps, plan.where, strict=True))
    for inside, group in groupby(numbered, key=lambda pair: pair[1] is not None):
        members = list(group)
        if inside:
            rows.append(("TfLiteNnapiDelegate", each * len(members), members[-1][0].name, delegate))
            delegate += 1
        else:
            rows += [(step.op, each, step.name, step.index) for step, _ in members]
    start = [] if modern else ["[start]"]
    heading = ["[node type]", *start, "[first]", "[avg ms]", "[%]", "[cdf%]", "[mem KB]"]
    lines = [
        "Operator-wise Profiling Info for Regular Benchmark Runs:",
        f"{'=' * 30} Run Order {'=' * 30}",
        "\t" + "\t".join([*heading, "[times called]", "[Name]"]),
    ]
    for kind, average, name, node in rows:
        cells = [f"{kind:>24}", *(["0.000"] if start else []), f"{average:.3f}", f"{average:.3f}"]
        lines.append(
            "\t" + "\t".join([*cells, "1.000%", "1.000%", "0.000", "1", f"[{name}]:{node}"])
        )
    lines += ["", f"Number of nodes executed: {len(rows)}", ""]
    return "\n".join(lines)
