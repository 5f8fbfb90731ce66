"""`.tflite` files with a size left open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from nas.tflite.editing import packed


def changed(content: bytes, change: Callable[[Any], None]) -> bytes:
    """The file with its main graph changed by `change`."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model.subgraphs[0])
    return packed(model)


def open_batch(graph: Any) -> None:
    """Leave the first dimension of inputs and of all outputs open."""
    for operation in graph.operators:
        for index in (*map(int, graph.inputs), *map(int, operation.outputs)):
            graph.tensors[index].shapeSignature = [-1, *list(graph.tensors[index].shape)[1:]]
