"""The demonstration's second part: what Snapdragon NPUs' compiler says of three operations."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nas.cli.console import err, note, print_table, table

START = (45, 80)
"""Rows and columns of a U-Net's fourth level at 1280x720, where the decoder begins."""
LEVELS = 4
CHIPS = ("sm8550", "sm8650", "sm8850")
UPSAMPLING = {
    "transposed convolution": "TRANSPOSE_CONV",
    "bilinear resizing": "RESIZE_BILINEAR",
    "depth to space": "DEPTH_TO_SPACE",
}


@dataclass(frozen=True)
class NpuAnswer:
    """What an NPU says of a decoder: its latency, or why it does not take it whole."""

    name: str
    device: str
    latency_ms: float | None
    source: str
    refusal: str


def show_npu_demo(wanted: bool | None) -> None:
    """Ask the NPUs and print a table, or say in one line what they need.

    `wanted` is what --npu says; None means: where they can be asked. Raises ConfigError where they
    are wanted and can't be asked.
    """
    from nas.devices.npu.requirements import Machine
    from nas.errors import ConfigError

    complaint = Machine.here().complaint
    if wanted is False:
        return
    if complaint is not None:
        if wanted:
            raise ConfigError(f"npu: {complaint}")
        note(f"Snapdragon NPUs could be asked, too; {complaint}", style="dim")
        return
    with err.status("asking the compiler of Snapdragon NPUs") as status:

        def tell(name: str) -> None:
            status.update(f"asking the compiler of Snapdragon NPUs: {name}")

        answers = ask_npus(tell)
    _show(answers)


def ask_npus(tell: Callable[[str], None] = lambda name: None) -> list[NpuAnswer]:
    """Ask each of `CHIPS` about the decoder of a U-Net, with each way of up-sampling.

    Nothing is trained, and TensorFlow is not needed: a latency and a placement don't depend on
    weights. `tell` hears which one it is about.
    """
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        for name, operation in UPSAMPLING.items():
            tell(name)
            file = write_decoder(Path(folder) / f"{operation}.tflite", operation)
            answers += [_asked(name, f"npu:{chip}", file) for chip in CHIPS]
    return answers


def write_decoder(path: Path, operation: str) -> Path:
    """Write an 8-bit decoder: four levels, each a convolution and the up-sampling operation."""
    from nas.devices.graph_builder import CHANNELS, GraphBuilder
    from nas.devices.probe_graphs import OPERATIONS

    graph = GraphBuilder("int8", (1, *START, CHANNELS))
    tensor = graph.input
    for _ in range(LEVELS):
        tensor = OPERATIONS[operation](graph, OPERATIONS["CONV_2D"](graph, tensor))
    return graph.write([OPERATIONS["CONV_2D"](graph, tensor)], path)


def _asked(name: str, device: str, file: Path) -> NpuAnswer:
    from nas.devices import TimingProtocol, open_device
    from nas.devices.failures import PhoneError

    try:
        found = open_device(device).measure(file, TimingProtocol())
    except PhoneError as error:
        return NpuAnswer(name, device, None, "simulated", error.failure.detail or str(error))
    return NpuAnswer(name, device, found.latency_ms, found.source, "")


def _show(answers: list[NpuAnswer]) -> None:
    """Print a row for each way, a column for each NPU, and the reason of each refusal."""
    from nas.devices.npu.chips import CHIPS as KNOWN

    columns = {"up-sampling": "left"}
    columns |= {f"ms {KNOWN[chip].stands_for}": "right" for chip in CHIPS}
    rows = []
    for name in dict.fromkeys(answer.name for answer in answers):
        own = [answer for answer in answers if answer.name == name]
        cells = [f"{a.latency_ms:.3g}" if a.latency_ms is not None else "refused" for a in own]
        rows.append([name, *cells])
    print_table(table("", columns, rows))
    sources = " or ".join(sorted({a.source for a in answers if a.latency_ms is not None}))
    note(f"a U-Net's 8-bit decoder, 80x45 to 1280x720; latencies {sources}, not measured", "dim")
    for reason in dict.fromkeys(answer.refusal for answer in answers if answer.refusal):
        note(f"refused: {reason}", style="dim")
