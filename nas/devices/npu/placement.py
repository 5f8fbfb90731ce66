"""Which operations of a `.tflite` LiteRT's Qualcomm plugin gives to the NPU, and why not the rest.

The plugin that a phone would use partitions the very file, at its size: whether an operation is
taken depends on the sides of its pictures, too. Its front end is not the one that estimates the
latency: they differ in what they take.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

from nas.devices.failures import Evidence
from nas.devices.limited_process import Limits, run
from nas.devices.measurement import Placement
from nas.devices.npu.chips import Chip
from nas.devices.npu.failures import Stage, ended_error, npu_error
from nas.devices.npu.requirements import package_folder
from nas.devices.placement import CPU
from nas.system.files import write_atomically
from nas.tflite.file import TfliteFile, read_tflite

NPU = "npu"
_SUMMARY = re.compile(
    r"Partitioned subgraph<0>, selected (\d+) ops, from a total of (\d+) ops\. "
    r"resulted in (\d+) partitions"
)
_REFUSED = re.compile(r"LiteRT Op #(\d+) '([^']*)' \(code=\d+\) is not supported")
_INVALID = re.compile(r"QNN op validation failed: '([^']+)'")
_COMPLAINT = re.compile(r"\[ ERROR \]\s+(?:<E> )?(.+?)(?=\s*\d+\.\d+ms \[|\n|$)", re.MULTILINE)
_NODE = re.compile(r"validator (\w+):|in the node '(\w+)'|validate op (\w+) with")
_EMPTY = ("Op specific validation failed", "QnnBackend_validateOpConfig failed")
_NO_REASON = "the compiler has no such operation"


@final
@dataclass(frozen=True)
class Refusal:
    """An operation that is left to the CPU: its index and name in the file, and why."""

    index: int
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} (operation {self.index}: {self.reason})"


@final
@dataclass(frozen=True)
class NpuPlacement:
    """Where a file's operations run: `partitions` are the pieces that the NPU gets."""

    operations: tuple[Placement, ...]
    refusals: tuple[Refusal, ...]
    partitions: int
    accelerated_mac_share: float | None

    @property
    def whole(self) -> bool:
        """Whether the NPU takes the network in one piece."""
        return not self.refusals and self.partitions == 1


def placed(artifact: Path, chip: Chip, device: str, limits: Limits) -> NpuPlacement:
    """Ask the plugin where the operations of a file run on a chip.

    `device` is what errors name. Raises ConfigError where the file is no `.tflite` of a fixed size,
    NpuError where the plugin refuses it, dies or answers in another form, NpuTransientError where
    the machine was too busy.
    """
    return plugged(artifact, chip.compiler_name, "partition", None, device, limits)


def plugged(
    artifact: Path,
    chip: str,
    command: Literal["partition", "apply"],
    target: Path | None,
    device: str,
    limits: Limits,
) -> NpuPlacement:
    """Have the plugin partition a file, or compile it, too ("apply"), for the chip of that name.

    What it makes is written to `target`, where that is given. Returns and raises as `placed`.
    """
    file = read_tflite(artifact)
    with _workplace() as (folder, libraries):
        plugin, made = package_folder("ai_edge_litert"), folder / "made.tflite"
        words: list[str | Path] = [
            plugin / "tools/apply_plugin_main",
            f"--cmd={command}",
            f"--model={artifact.resolve()}",
            f"--o={made}",
            "--soc_manufacturer=Qualcomm",
            f"--soc_model={chip}",
            f"--libs={plugin / 'vendors/qualcomm/compiler'}",
            "--qualcomm_log_level=error",
            "--err=--",
        ]
        stage: Stage = "placement" if command == "partition" else "compilation"
        try:
            ended = run(words, folder, limits, {"LD_LIBRARY_PATH": libraries})
        except OSError as error:
            detail = f"LiteRT's compiler can't be started: {error.strerror or error}"
            raise npu_error(device, "crash", detail) from error
        if ended.code != 0:
            raise ended_error(device, stage, ended, limits)
        if target is not None:
            data = made.read_bytes()
            write_atomically(target, lambda out: out.write(data))
    try:
        return placement_in(ended.text, file)
    except ValueError as error:
        evidence = Evidence(device, stage, ended.code, stdout=ended.text[-20_000:])
        raise npu_error(device, "unparsable", str(error), evidence) from error


@contextmanager
def _workplace() -> Iterator[tuple[Path, str]]:
    """A folder for one call of the plugin, and where it finds its libraries.

    The plugin wants a library of that name that no package has, and uses nothing of it.
    """
    compiler, litert = package_folder("onnxruntime_qnn"), package_folder("ai_edge_litert")
    with tempfile.TemporaryDirectory(prefix="nas-npu-") as name:
        folder = Path(name)
        (folder / "libQnnLpai.so").symlink_to(compiler / "libQnnSystem.so")
        yield folder, ":".join(map(str, (folder, compiler, litert)))


def placement_in(log: str, file: TfliteFile) -> NpuPlacement:
    """The placement that the plugin's log tells; ValueError where it does not fit the file."""
    summary = _SUMMARY.search(log)
    if summary is None:
        raise ValueError("the plugin's log does not tell how many operations it selected")
    selected, total, partitions = map(int, summary.groups())
    refused = {int(index) for index, _ in _REFUSED.findall(log)}
    if total != len(file.operations) or selected + len(refused) != total:
        raise ValueError(
            f"the plugin selected {selected} of {total} operations and refused {len(refused)}, "
            f"where the file has {len(file.operations)}"
        )
    reasons = _reasons(log)
    refusals = tuple(
        Refusal(step.index, step.name, reasons.get(step.index, _NO_REASON))
        for step in file.operations
        if step.index in refused
    )
    operations = tuple(
        Placement(step.index, step.name, CPU if step.index in refused else NPU)
        for step in file.operations
    )
    return NpuPlacement(operations, refusals, partitions, _accelerated_share(file, refused))


def _accelerated_share(file: TfliteFile, refused: set[int]) -> float | None:
    macs = [(step.index, step.conv_macs) for step in file.operations]
    total = sum(count for _, count in macs)
    return 1 - sum(n for index, n in macs if index in refused) / total if total else None


def _reasons(log: str) -> dict[int, str]:
    """Why each operation was refused.

    LiteRT tells of each refusal first the compiler's node, if it came that far, and then the file's
    operation; the compiler's own complaints, elsewhere in the log, name the node.
    """
    complaints = _complaints(log)
    reasons: dict[int, str] = {}
    node: str | None = None
    for found in re.finditer(f"{_INVALID.pattern}|{_REFUSED.pattern}", log):
        if found[1] is not None:
            node = found[1]
        else:
            kind = re.sub(r"_\d+$", "", node) if node else None
            plain = f"the compiler's {kind} refuses it" if kind else _NO_REASON
            reasons[int(found[2])] = complaints.get(node or "", plain)
            node = None
    return reasons


def _complaints(log: str) -> dict[str, str]:
    """What the compiler complained of first, by its node.

    Some complaints name the node, others come before a line that does.
    """
    told: dict[str, str] = {}
    pending: str | None = None
    for line in _COMPLAINT.findall(log):
        text, node = line.strip().rstrip("."), _node_of(line)
        if node is None:
            pending = pending or (None if text.startswith(_EMPTY) else text)
            continue
        if "in the node" in text:
            pending = re.sub(r" in the node '\w+'", "", text.split(". ")[0])
        if pending is not None:
            told.setdefault(node, pending)
        pending = None
    return told


def _node_of(line: str) -> str | None:
    found = _NODE.search(line)
    return next((group for group in found.groups() if group), None) if found else None
