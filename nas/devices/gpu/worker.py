"""One compilation for LiteRT's GPU, and runs of it: MODEL PRECISION FOLDER [PICTURES].

Started by `nas.devices.gpu.execution` as a script, as the GPU's code may abort. It compiles for the
GPU alone, so a refused operation is an error. For each N below PICTURES it reads
`FOLDER/input-N.npy` and writes `FOLDER/output-N.npy`, and `FOLDER/answer.json` at the end. What
LiteRT logs, with the reason of each refusal, goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

ANSWER = "answer.json"


def main() -> None:
    """Compile, run, and tell what became of it."""
    model, precision, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    pictures = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    try:
        _run(model, precision == "fp32", folder, pictures)
        error = None
    except Exception as raised:  # whatever LiteRT raises is an answer, not a crash
        error = f"{type(raised).__name__}: {raised}"
    _write(folder / ANSWER, json.dumps({"error": error}).encode())
    sys.stdout.flush()
    os._exit(0)  # some drivers crash while they are taken apart


def _run(model: str, fp32: bool, folder: Path, pictures: int) -> None:
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.gpu_options import GpuOptions
    from ai_edge_litert.hardware_accelerator import HardwareAccelerator
    from ai_edge_litert.options import Options

    # Without the benchmark's mode `run` may return before the work is done.
    gpu = GpuOptions(enforce_f32=fp32, benchmark_mode=True)
    options = Options(hardware_accelerators=HardwareAccelerator.GPU, gpu_options=gpu)
    compiled = CompiledModel.from_file(model, options=options)
    if pictures:
        _compute(compiled, folder, pictures)


def _compute(compiled: Any, folder: Path, pictures: int) -> None:
    inputs, outputs = compiled.create_input_buffers(0), compiled.create_output_buffers(0)
    signature = next(iter(compiled.get_signature_list()))
    details = next(iter(compiled.get_output_tensor_details(signature).values()))
    shape, dtype = tuple(details["shape"]), np.dtype(details["dtype"])
    for number in range(pictures):
        inputs[0].write(np.load(folder / f"input-{number}.npy"))
        compiled.run_by_index(0, inputs, outputs)
        values = outputs[0].read(int(np.prod(shape)), dtype.type).reshape(shape)
        _save(folder / f"output-{number}.npy", values)


def _save(path: Path, values: np.ndarray[Any, Any]) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.save(file, values)
    part.replace(path)


def _write(path: Path, content: bytes) -> None:
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)


if __name__ == "__main__":
    main()
