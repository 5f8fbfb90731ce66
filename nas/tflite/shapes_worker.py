"""Asks LiteRT for the shapes of a file's tensors, in a process that a bad file may abort.

`nas.tflite.shapes` starts it as a script, so that it imports no more than NumPy and LiteRT. The
first argument is a file of JSON: the model's path, and shapes for its inputs by their tensors'
numbers. The answer is written to the file that the second argument names.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main() -> None:
    """Read the request, write the answer, and end without tearing LiteRT down."""
    with open(sys.argv[1]) as file:
        request = json.load(file)
    try:
        answer: dict[str, Any] = {"shapes": _shapes(request)}
    except (RuntimeError, ValueError) as error:
        answer = {"error": str(error)}
    with open(sys.argv[2], "w") as file:
        json.dump(answer, file)
    os._exit(0)


def _shapes(request: dict[str, Any]) -> dict[int, list[int]]:
    """Return the shape of each tensor that has one before anything runs, by its number."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        request["model"],
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        num_threads=1,
    )
    for index, shape in request["inputs"].items():
        interpreter.resize_tensor_input(int(index), shape)
    interpreter.allocate_tensors()
    shapes = {}
    for row in interpreter.get_tensor_details():
        try:
            view = interpreter.tensor(row["index"])()
        except ValueError:  # its size is known only once it was computed
            continue
        shapes[int(row["index"])] = [int(side) for side in view.shape]
    return shapes


if __name__ == "__main__":
    main()
