"""Which operations run where: the tables of docs/portability.md, from probes.

    python -m benchmarks.portability [operations | rewrites]

`operations`: one file for each operation and data type, a convolution with the operation behind it,
asked of LiteRT's Qualcomm plugin (npu:sm8650), of LiteRT's GPU (compiled for the GPU alone) and of
LiteRT's interpreter here (run once). Beside it what the paper tells of NNAPI on its phones. A
minute or two. `rewrites`: what each rewrite is worth, placed and simulated (npu:sa8255). Needs the
extra `npu` and a Vulkan driver (docs/npu.md, docs/gpu.md); what is missing has no column.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from nas.devices.gpu.device import GpuDevice
from nas.devices.gpu.failures import GpuError
from nas.devices.graph_builder import GraphBuilder
from nas.devices.limited_process import Limits
from nas.devices.npu.chips import CHIPS
from nas.devices.npu.device import NpuDevice
from nas.devices.npu.placement import placed
from nas.devices.paper_phones.networks import network
from nas.devices.paper_phones.published import PHONES, rows
from nas.devices.paper_phones.rules import RULES, plan
from nas.devices.probe_graphs import NO_INT16, OPERATIONS
from nas.errors import ConfigError, NasError

TYPES = ("float32", "int8", "int16")
SIZE = (45, 80)
"""(height, width): the fourth level of a picture of 1280x720."""
FUSED = "the same, VALID, with a fused ReLU"
KINDS = {
    "TRANSPOSE_CONV 2x2, stride 2, VALID": "TRANSPOSE_CONV",
    "the same, SAME": "TRANSPOSE_CONV",
    FUSED: "TRANSPOSE_CONV",
    "the same, VALID, RELU apart": "TRANSPOSE_CONV",
    "RESIZE_BILINEAR, half_pixel_centers": "RESIZE_BILINEAR",
    "RESIZE_BILINEAR, legacy": "RESIZE_BILINEAR",
    "RESIZE_BILINEAR, align_corners": "RESIZE_BILINEAR",
    "MIRROR_PAD REFLECT": "MIRROR_PAD",
    "MIRROR_PAD SYMMETRIC": "MIRROR_PAD",
}
"""The kinds of operations, by their names here, where these differ."""
IN_THE_PAPER = ("the same, SAME", "RESIZE_BILINEAR, half_pixel_centers")
"""Variants that the paper's networks have, of operations that have several."""
Build = Callable[[GraphBuilder, int], int]
RELU = 1
"""The number of the fused function in the format."""


def transposed(padding: int, fused: int, g: GraphBuilder, x: int) -> int:
    """A transposed convolution 2x2, stride 2; `padding` 0 is SAME, 1 VALID, `fused` 1 a ReLU."""
    _, height, width, depth = g.shape(x)
    shape = (1, 2 * height, 2 * width, depth)
    values = {"strideH": 2, "strideW": 2, "padding": padding, "fusedActivationFunction": fused}
    options = g.options("TransposeConvOptions", **values)
    inputs = [g.constant(np.array(shape, np.int32)), g.weights((depth, 2, 2, depth)), x]
    return g.add("TRANSPOSE_CONV", inputs, shape, options)


def relu_apart(g: GraphBuilder, x: int) -> int:
    """The same without a fused function, and a RELU behind it."""
    tensor = transposed(1, 0, g, x)
    return g.add("RELU", [tensor], g.shape(tensor))


def resized(half_pixel: bool, align: bool, g: GraphBuilder, x: int) -> int:
    """A bilinear resizing x2 in one of its three conventions."""
    _, height, width, depth = g.shape(x)
    size = g.constant(np.array([2 * height, 2 * width], np.int32))
    values = {"halfPixelCenters": half_pixel, "alignCorners": align}
    options = g.options("ResizeBilinearOptions", **values)
    return g.add("RESIZE_BILINEAR", [x, size], (1, 2 * height, 2 * width, depth), options)


def mirrored(mode: int, g: GraphBuilder, x: int) -> int:
    """A mirror padding by one pixel; mode 0 leaves out the edge itself, 1 repeats it."""
    _, height, width, depth = g.shape(x)
    by = g.constant(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
    options = g.options("MirrorPadOptions", mode=mode)
    return g.add("MIRROR_PAD", [x, by], (1, height + 2, width + 2, depth), options)


def leaky(g: GraphBuilder, x: int) -> int:
    return g.add("LEAKY_RELU", [x], g.shape(x), g.options("LeakyReluOptions", alpha=0.2))


def operations() -> dict[str, Build]:
    """The probe's operations, and the variants that are known to matter, by their names here."""
    builds: dict[str, Build] = {
        name: build
        for name, build in OPERATIONS.items()
        # Moving pixels to channels needs even sides, which these pictures have not. The others have
        # variants below.
        if name.partition("+")[0] not in ("TRANSPOSE_CONV", "RESIZE_BILINEAR", "SPACE_TO_DEPTH")
    }
    return builds | {
        "TRANSPOSE_CONV 2x2, stride 2, VALID": partial(transposed, 1, 0),
        "the same, SAME": partial(transposed, 0, 0),
        FUSED: partial(transposed, 1, RELU),
        "the same, VALID, RELU apart": relu_apart,
        "RESIZE_BILINEAR, half_pixel_centers": partial(resized, True, False),
        "RESIZE_BILINEAR, legacy": partial(resized, False, False),
        "RESIZE_BILINEAR, align_corners": partial(resized, False, True),
        "LEAKY_RELU": leaky,
        "MIRROR_PAD REFLECT": partial(mirrored, 0),
        "MIRROR_PAD SYMMETRIC": partial(mirrored, 1),
    }


@dataclass(frozen=True)
class Segments:
    """A file with some of the operations, each behind a convolution of its own.

    `last` is the index of each one's last operation in the file, by its name here.
    """

    path: Path
    last: Mapping[str, int]


def write(
    path: Path, dtype: str, builds: Mapping[str, Build], size: tuple[int, int] = SIZE
) -> Segments:
    """Write a file of those operations. A fused function needs version 4 of its kernel."""
    graph = GraphBuilder(dtype, (1, *size, 16))
    outputs, last = [], {}
    for name, build in builds.items():
        outputs.append(build(graph, OPERATIONS["CONV_2D"](graph, graph.input)))
        last[name] = graph.count - 1
    if FUSED in builds:
        graph.require_version("TRANSPOSE_CONV", 4)
    return Segments(graph.write(outputs, path), last)


def groups(names: Iterable[str]) -> list[list[str]]:
    """Operations that may share a file: no two of a kind, as the GPU tells of kinds only."""
    found: list[list[str]] = []
    for name in names:
        kind = KINDS.get(name, name)
        free = (group for group in found if kind not in {KINDS.get(one, one) for one in group})
        group = next(free, None)
        if group is None:
            found.append([name])
        else:
            group.append(name)
    return found


Ask = Callable[[Segments], dict[str, str]]


def askers() -> dict[str, Ask]:
    """How each device that is here is asked; each answers "yes" or why not, by operation."""
    found: dict[str, Ask] = {}
    devices: tuple[tuple[str, Callable[[], object], Ask], ...] = (
        ("Snapdragon NPU", NpuDevice(CHIPS["sm8650"]).answer, ask_npu),
        ("LiteRT GPU", GpuDevice("fp32").check, ask_gpu),
    )
    for name, check, ask in devices:
        try:
            check()
        except ConfigError as error:
            print(f"{name}: {error}", file=sys.stderr)
        else:
            found[name] = ask
    return {**found, "this machine": ask_host}


def ask_npu(segments: Segments) -> dict[str, str]:
    """LiteRT's Qualcomm plugin, of each segment's last operation."""
    placement = placed(segments.path, CHIPS["sm8650"], "npu:sm8650", Limits(120))
    reasons = {refusal.index: refusal.reason for refusal in placement.refusals}
    return {name: reasons.get(index, "yes") for name, index in segments.last.items()}


def ask_gpu(segments: Segments) -> dict[str, str]:
    """LiteRT's GPU, of each segment's kind; an abort is an answer."""
    try:
        placement = GpuDevice("fp32").place(segments.path, 120)
    except GpuError as error:
        return dict.fromkeys(segments.last, f"{error.failure}")
    reasons = {refusal.name: refusal.reason for refusal in placement.refusals}
    kinds = {name: KINDS.get(name, name) for name in segments.last}
    return {name: reasons.get(kind, "yes") for name, kind in kinds.items()}


def ask_host(segments: Segments) -> dict[str, str]:
    """LiteRT's interpreter: whether it runs the file."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(str(segments.path))
        interpreter.allocate_tensors()
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        return dict.fromkeys(segments.last, " ".join(str(error).split()))
    return dict.fromkeys(segments.last, "yes")


def answers(ask: Ask, dtype: str, folder: Path) -> dict[str, str]:
    """A device's answer for each operation of a type; alone where a file fails altogether."""
    builds = {n: b for n, b in operations().items() if dtype != "int16" or n not in NO_INT16}
    told: dict[str, str] = {}
    for names in groups(builds):
        found = ask(write(folder / "m.tflite", dtype, {name: builds[name] for name in names}))
        if len(names) > 1 and len(set(found.values())) == 1 and "yes" not in found.values():
            for name in names:
                found |= ask(write(folder / "m.tflite", dtype, {name: builds[name]}))
        told |= found
    return told


def print_operations() -> None:
    asked, reasons = askers(), dict[str, int]()
    published = {phone: nnapi(phone) for phone in PHONES}
    print(f"| operation | type | {' | '.join((*PHONES, *asked))} |")
    print("|---" * (2 + len(PHONES) + len(asked)) + "|")
    with tempfile.TemporaryDirectory(prefix="portability-") as folder:
        told = {}
        for device, ask in asked.items():
            for dtype in TYPES:
                told[device, dtype] = answers(ask, dtype, Path(folder))
                print(f"{device}, {dtype}: {told[device, dtype]}", file=sys.stderr, flush=True)
    for name in operations():
        for dtype in TYPES:
            kind = (KINDS.get(name, name), dtype)
            phones = [published[phone].get(kind, "-") for phone in PHONES]
            if name not in IN_THE_PAPER and name in KINDS:
                phones = ["-"] * len(PHONES)
            cells = [_cell(told[device, dtype].get(name), reasons) for device in asked]
            print(f"| {name} | {dtype} | {' | '.join((*phones, *cells))} |", flush=True)
    for reason, number in reasons.items():
        print(f"{number}. {reason}")


def _cell(answer: str | None, reasons: dict[str, int]) -> str:
    if answer is None:
        return "no such file"
    answer = re.sub(r" tensor_\d+$", "", answer)  # the number is of this file
    return answer if answer == "yes" else f"no ({reasons.setdefault(answer, len(reasons) + 1)})"


def nnapi(phone: str) -> dict[tuple[str, str], str]:
    """What the paper's cells tell of a phone: "yes", "CPU" or "some" by operation and type.

    Of the networks that ran there, by the rules that reproduce all footnotes.
    """
    seen: dict[tuple[str, str], set[bool]] = {}
    for row in rows():
        if row.cell(phone).outcome != "number" or row.pruned_percent is not None:
            continue
        listed = network(row.network, None, row.precision.split("-")[0])
        fallen = plan(RULES[phone], listed).fallen
        for number, step in enumerate(listed.steps):
            seen.setdefault((step.op, step.dtype), set()).add(number in fallen)
    words: Mapping[frozenset[bool], str] = {
        frozenset({False}): "yes", frozenset({True}): "CPU", frozenset({True, False}): "some CPU",
    }  # fmt: skip
    return {key: words[frozenset(places)] for key, places in seen.items()}


def print_rewrites() -> None:
    """Each rewrite, before and after, at the size that is named."""
    print_widths()
    print_odd_sides()
    print_int16()


def print_widths() -> None:
    """Six convolutions 3x3 with ReLU at 256x256 in int8: channels fill up to 32."""
    with tempfile.TemporaryDirectory(prefix="portability-") as folder:
        for channels in (16, 24, 32, 36, 48, 64, 72, 96):
            path = chain(Path(folder) / "m.tflite", channels)
            print(f"widths: {channels} channels: {simulated(path)}", flush=True)


def chain(path: Path, channels: int) -> Path:
    """3 -> `channels`, six convolutions of that width, `channels` -> 3, at 256x256, int8."""
    graph = GraphBuilder("int8", (1, 256, 256, 3))
    tensor = graph.input
    for width in (*[channels] * 7, 3):
        depth = graph.shape(tensor)[3]
        inputs = [tensor, graph.weights((width, 3, 3, depth)), graph.bias(width)]
        options = graph.options("Conv2DOptions", fusedActivationFunction=RELU)
        tensor = graph.add("CONV_2D", inputs, (1, 256, 256, width), options)
    return graph.write([tensor], path)


def simulated(path: Path) -> str:
    """A file's latency on SA8255 with its traffic, or why it has none."""
    from nas.devices.measurement import TimingProtocol

    try:
        found = NpuDevice(CHIPS["sa8255"]).measure(path, TimingProtocol(timeout_seconds=600))
    except NasError as error:
        return str(error)
    traffic = ", ".join(f"{name} {value:.3g}" for name, value in found.figures.items())
    return f"{found.latency_ms:.4g} ms simulated; {traffic}"


def print_odd_sides() -> None:
    """A transposed convolution on 45 rows and on 44, SAME and VALID."""
    with tempfile.TemporaryDirectory(prefix="portability-") as folder:
        for rows_ in (44, 45):
            for name, padding in (("SAME", 0), ("VALID", 1)):
                build = partial(transposed, padding, 0)
                segments = write(Path(folder) / "m.tflite", "int8", {name: build}, (rows_, 80))
                answer = ask_npu(segments)[name]
                print(f"transposed convolution on 80x{rows_}, {name}: NPU {answer}")


def print_int16() -> None:
    """The paper's U-Nets at 256x256 in int16, which spells PReLU and depth-to-space in others."""
    from nas.compression.convert import convert_untrained
    from nas.tflite.size import resized as at_size
    from nas.training.schedule import PAPER
    from search_spaces import ARCHITECTURES

    with tempfile.TemporaryDirectory(prefix="portability-") as folder:
        for upsampling in ("resizebilinear", "depthtospace", "transposeconv"):
            for activation in ("relu", "prelu"):
                name = f"unet-{upsampling}-{activation}"
                graph = ARCHITECTURES[name].graph()
                content = convert_untrained(graph, 128, 128, "int16-ptq", PAPER)
                path = Path(folder) / "m.tflite"
                path.write_bytes(at_size(content, (256, 256), name))
                print(f"int16: {name} 256x256: {simulated(path)}", flush=True)


if __name__ == "__main__":
    for part in sys.argv[1:] or ("operations", "rewrites"):
        {"operations": print_operations, "rewrites": print_rewrites}[part]()
