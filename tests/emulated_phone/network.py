"""The operations of a `.tflite`, read from its flatbuffer for the stand-in tool.

On purpose not the project's own reader: where both agree, both may be believed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

NNAPI_NAMES = {
    "TRANSPOSE_CONV": "TRANSPOSE_CONV_2D",
    "RELU_N1_TO_1": "RELU1",
    "PADV2": "PAD_V2",
    "ARG_MAX": "ARGMAX",
    "ARG_MIN": "ARGMIN",
    "SUM": "REDUCE_SUM",
}


@dataclass(frozen=True)
class Step:
    """One operation; `sources` are the operations that its inputs come straight from."""

    index: int
    op: str
    type: str
    name: str
    macs: int
    elements: int
    inputs: int
    kernel_over_stride: bool
    sources: tuple[int, ...]
    version: int = 1


@dataclass(frozen=True)
class Network:
    """A model as the phone sees it; `pixels` is the input's height times width."""

    steps: tuple[Step, ...]
    pixels: int
    size_mb: float

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Network:
        values = json.loads(text)
        steps = tuple(
            Step(**{**step, "sources": tuple(step["sources"])}) for step in values["steps"]
        )
        return cls(steps, values["pixels"], values["size_mb"])


def load(path: Path, cache: Path) -> Network:
    """Read the network in a file, once a content; raises ValueError where it is no model."""
    data = path.read_bytes()
    known = cache / f"{hashlib.sha256(data).hexdigest()[:16]}.network.json"
    if known.exists():
        return Network.from_json(known.read_text())
    network = read(data)
    temporary = known.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(network.to_json())
    temporary.rename(known)
    return network


def read(data: bytes) -> Network:
    """Read the network in a flatbuffer; raises ValueError where it is none."""
    from ai_edge_litert import schema_py_generated as schema

    if data[4:8] != b"TFL3":
        raise ValueError("The model is not a valid Flatbuffer buffer")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    graph = model.subgraphs[0]
    if any(tensor.shape is None for tensor in graph.tensors):  # what a phone works out, too
        from nas.tflite.shapes import allocated

        known = allocated(data)
        for index, tensor in enumerate(graph.tensors):
            tensor.shape = known.get(index, tensor.shape)
    for tensor in graph.tensors:  # NumPy's integers of 32 bits overflow at 1280x720
        tensor.shape = [] if tensor.shape is None else [int(size) for size in tensor.shape]
    names = _names(schema.BuiltinOperator)
    types = _names(schema.TensorType)
    producers: dict[int, int] = {}
    steps = []
    for index, operator in enumerate(graph.operators):
        code = model.operatorCodes[operator.opcodeIndex]
        op = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        if op == "CUSTOM":
            op = code.customCode.decode()
        inputs = [graph.tensors[i] for i in operator.inputs if i >= 0]
        output = graph.tensors[operator.outputs[0]]
        data_inputs = [i for i in operator.inputs if i >= 0 and _is_data(model, graph.tensors[i])]
        kind = types[output.type].lower()
        steps.append(
            Step(
                index,
                op,
                kind,
                (output.name or b"").decode(),
                _macs(op, inputs, output),
                int(math.prod(output.shape)),
                len(data_inputs),
                _kernel_over_stride(op, operator, inputs),
                tuple(producers[int(i)] for i in data_inputs if int(i) in producers),
                int(code.version),
            )
        )
        producers.update({int(output): index for output in operator.outputs})
    shape = [int(size) for size in graph.tensors[graph.inputs[0]].shape]
    pixels = shape[1] * shape[2] if len(shape) == 4 else math.prod(shape)
    return Network(tuple(steps), pixels, len(data) / 1e6)


def _names(enumeration: Any) -> dict[int, str]:
    return {v: k for k, v in vars(enumeration).items() if isinstance(v, int)}


def _is_data(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is None or len(data) == 0


def _macs(op: str, inputs: list[Any], output: Any) -> int:
    if op == "CONV_2D":
        _, height, width, channels = inputs[1].shape
        return int(height * width * channels * math.prod(output.shape))
    if op == "DEPTHWISE_CONV_2D":
        _, height, width, _ = inputs[1].shape
        return int(height * width * math.prod(output.shape))
    if op == "TRANSPOSE_CONV":
        channels_out, height, width, _ = inputs[1].shape
        return int(height * width * channels_out * math.prod(inputs[2].shape))
    if op == "FULLY_CONNECTED":
        return int(inputs[1].shape[1] * math.prod(output.shape))
    return 0


def _kernel_over_stride(op: str, operator: Any, inputs: list[Any]) -> bool:
    options = operator.builtinOptions
    if op == "TRANSPOSE_CONV":
        return bool(inputs[1].shape[1] > options.strideH)
    if op in ("MAX_POOL_2D", "AVERAGE_POOL_2D"):
        return bool(options.filterHeight > options.strideH)
    return False
