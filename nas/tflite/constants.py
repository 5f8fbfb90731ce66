"""The values of a file's constant tensors: weights, biases, shapes and the like."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from nas.tflite.file import TYPES


def constants(content: bytes, subgraph: int = 0) -> dict[int, npt.NDArray[Any]]:
    """Return the values of a graph's constant tensors, as stored, by the tensors' indices.

    `content` is one that `parse_tflite` takes. Types that NumPy lacks (int4, bfloat16) are left
    out.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    values: dict[int, npt.NDArray[Any]] = {}
    for index, tensor in enumerate(model.subgraphs[subgraph].tensors):
        data, dtype = model.buffers[tensor.buffer].data, TYPES[tensor.type]
        if data is not None and len(data) and dtype not in ("int4", "bfloat16"):
            shape = () if tensor.shape is None else tuple(int(side) for side in tensor.shape)
            values[index] = np.frombuffer(bytes(data), dtype).reshape(shape)
    return values
