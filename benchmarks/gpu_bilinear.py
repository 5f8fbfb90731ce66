"""Bilinear up-sampling on LiteRT's GPU in fp16 turns into nearest neighbour beyond 512 pixels.

    python -m benchmarks.gpu_bilinear [WIDTH ...]

One RESIZE_BILINEAR x2 with half_pixel_centers on a noise picture of WIDTH x 16 pixels and 4
channels, in fp16 (LiteRT's default on a GPU) and in fp32, against LiteRT's CPU kernel. For each
width and precision: the PSNR (peak 1) left and right of output column 1024, which is source column
512, and how many columns there are source columns, doubled, to 2e-3 (rows interpolated). Beside it
a transposed convolution that doubles pixels, for comparison.

Needs a Vulkan driver (docs/gpu.md).
"""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.devices.gpu.device import SPECS, GpuDevice, open_gpu
from nas.devices.gpu.execution import run_on_gpu
from nas.devices.graph_builder import GraphBuilder

HEIGHT, CHANNELS, EDGE = 16, 4, 1024
WIDTHS = (320, 512, 640, 1280, 1920)
Values = npt.NDArray[np.float32]


def main(*widths: str) -> None:
    for width in map(int, widths or map(str, WIDTHS)):
        noise = np.random.default_rng(0).random((1, HEIGHT, width, CHANNELS), np.float32)
        for spec in SPECS:
            for kind, write in (("bilinear", write_bilinear), ("transposed", write_transposed)):
                told(kind, width, open_gpu(spec), write, noise)


def told(kind: str, width: int, device: GpuDevice, write: Any, noise: Values) -> None:
    """Print a line for one graph at one width and precision."""
    with tempfile.TemporaryDirectory(prefix="bilinear-") as folder:
        model = write(Path(folder) / "m.tflite", width)
        driver, _ = device.check()
        done = run_on_gpu(model, device.spec, device.precision, driver, 600, [noise])
        output, expected = done.outputs[0], on_cpu(model, noise)
    nearest = doubled_columns(noise)
    parts = []
    for name, columns in (("left", slice(0, EDGE)), ("right", slice(EDGE, None))):
        if expected[:, :, columns].size:
            same = np.abs(output - nearest)[:, :, columns].max(axis=(0, 1, 3)) < 2e-3
            decibels = psnr_db(output[:, :, columns], expected[:, :, columns])
            parts.append(f"{name} {decibels:6.1f} dB, {same.sum()} of {same.size} columns doubled")
    print(f"{kind:10} {width:5} {device.precision}: {'; '.join(parts)}", flush=True)


def write_bilinear(path: Path, width: int) -> Path:
    """One RESIZE_BILINEAR x2 in both directions."""
    graph = GraphBuilder("float32", (1, HEIGHT, width, CHANNELS))
    shape = (1, 2 * HEIGHT, 2 * width, CHANNELS)
    size = graph.constant(np.array(shape[1:3], np.int32))
    options = graph.options("ResizeBilinearOptions", halfPixelCenters=True, alignCorners=False)
    return graph.write([graph.add("RESIZE_BILINEAR", [graph.input, size], shape, options)], path)


def write_transposed(path: Path, width: int) -> Path:
    """One TRANSPOSE_CONV 2x2, stride 2, whose weights double each pixel."""
    graph = GraphBuilder("float32", (1, HEIGHT, width, CHANNELS))
    shape = (1, 2 * HEIGHT, 2 * width, CHANNELS)
    weights = np.zeros((CHANNELS, 2, 2, CHANNELS), np.float32)
    weights[range(CHANNELS), :, :, range(CHANNELS)] = 1
    inputs = [graph.constant(np.array(shape, np.int32)), graph.constant(weights), graph.input]
    options = graph.options("TransposeConvOptions", strideH=2, strideW=2)
    return graph.write([graph.add("TRANSPOSE_CONV", inputs, shape, options)], path)


def doubled_columns(values: Values) -> Values:
    """Bilinear x2 with half-pixel centers over rows, but nearest neighbour over columns."""
    above = np.concatenate([values[:, :1], values[:, :-1]], axis=1)
    below = np.concatenate([values[:, 1:], values[:, -1:]], axis=1)
    rows = np.empty((1, 2 * values.shape[1], *values.shape[2:]), np.float32)
    rows[:, 0::2] = 0.25 * above + 0.75 * values
    rows[:, 1::2] = 0.75 * values + 0.25 * below
    return rows.repeat(2, axis=2)


def on_cpu(model: Path, values: Values) -> Values:
    """What LiteRT's interpreter makes of it."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(model))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
    interpreter.invoke()
    output: Values = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return output


def psnr_db(one: Values, other: Values) -> float:
    """The PSNR between two pictures of values from 0 to 1; infinite where they are equal."""
    error = float(np.mean(np.square(one.astype(np.float64) - other)))
    return 10 * math.log10(1 / error) if error else math.inf


if __name__ == "__main__":
    main(*sys.argv[1:])
