"""An ONNX graph that is put together node by node. Needs the extra `npu`: imports onnx."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 21  # the first one whose QuantizeLinear knows 16-bit integers
IR_VERSION = 10
_TYPES = {
    "float32": TensorProto.FLOAT,
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
    "int16": TensorProto.INT16,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
}


@final
class OnnxGraph:
    """The nodes and constants of a graph in the order in which they are added.

    Every node's name ends in `_opN`, where N is `operation`: what the node was made from.
    """

    def __init__(self) -> None:
        self.operation = 0
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._values = 0

    def constant(self, values: npt.ArrayLike) -> str:
        """The name of a constant that holds `values`, in the type that they have."""
        name = self._fresh("constant")
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str] = (), **attributes: Any
    ) -> str:
        """Add a node; the name of its first output, a new one where `outputs` is empty.

        An input that is left out is an empty name.
        """
        results = list(outputs) or [self._fresh(kind)]
        name = f"{kind}_{len(self._nodes)}_op{self.operation}"
        self._nodes.append(helper.make_node(kind, list(inputs), results, name=name, **attributes))
        return results[0]

    def model(self, inputs: Sequence[_End], outputs: Sequence[_End]) -> bytes:
        """The model's file. `inputs` and `outputs` are (name, type as in NumPy, shape).

        Raises ValueError where the graph does not hold together.
        """
        ends = [
            [helper.make_tensor_value_info(name, _TYPES[dtype], shape) for name, dtype, shape in of]
            for of in (inputs, outputs)
        ]
        graph = helper.make_graph(self._nodes, "portable_nas", *ends, self._constants)
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(
            graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="portable-nas"
        )
        try:
            onnx.checker.check_model(model)
        except onnx.checker.ValidationError as error:
            raise ValueError(" ".join(str(error).split())) from error
        content: bytes = model.SerializeToString()
        return content

    def _fresh(self, stem: str) -> str:
        self._values += 1
        return f"{stem}_{self._values}"


_End = tuple[str, str, tuple[int, ...]]
