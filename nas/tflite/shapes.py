"""Works out shapes that a `.tflite` does not store, and reads those it does.

Older converters leave out the shapes of inner tensors, newer ones write -1 where a side is open.
LiteRT, without any delegate, is asked in a process of its own: some files abort it.
"""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from nas.errors import ConversionError, one_line
from nas.tflite import shapes_worker

Shape = tuple[int, ...]
_SECONDS = 120.0
_CHANNELS = 4  # of a picture, at most


def allocated(content: bytes, inputs: Mapping[int, Shape] | None = None) -> dict[int, Shape]:
    """Return the shape of each tensor of the main graph, by its number, as LiteRT works them out.

    `inputs` are shapes for inputs, by number. Tensors whose size LiteRT knows only once they are
    computed are left out. Raises ConversionError, with LiteRT's reason, where LiteRT refuses the
    file, or the file aborts it.
    """
    shapes = _allocated(content, tuple(sorted((inputs or {}).items())))
    if isinstance(shapes, str):
        raise ConversionError(shapes)
    return dict(shapes)


def picture_axes(shape: Shape) -> tuple[int, int] | None:
    """Return the axes of height and width in a tensor of pictures; None where it holds none.

    A picture has one to four channels, after its sides or, as PyTorch has it, before them. Where
    both could be, or there are more channels, they come last. With five dimensions the frames of a
    video stand before the sides of a frame.
    """
    rank = len(shape)
    if rank not in (3, 4, 5):
        return None

    def channels(axis: int) -> bool:
        return 1 <= shape[axis] <= _CHANNELS

    if rank == 3:
        return (0, 1) if channels(2) and shape[0] != 1 else (1, 2)
    before = channels(rank - 3) or (rank == 5 and channels(1))
    if before and not channels(rank - 1):
        return (rank - 2, rank - 1)
    return (rank - 3, rank - 2)


def largest_picture(shapes: Iterable[Shape]) -> tuple[int, int] | None:
    """Return (height, width) of the largest picture among tensors of the shapes; None
    without any.
    """
    sides = [
        (shape[axes[0]], shape[axes[1]])
        for shape in shapes
        if (axes := picture_axes(shape)) is not None
    ]
    return max(sides, key=math.prod) if sides else None


def given_shape(tensor: Any, alone: bool) -> Shape:
    """Return an input's shape as the file means it: 1 for an open batch, -1 for every other open
    side.

    `alone` says that it is the only input. Older converters wrote 1 for every open side: a picture
    of 1x1, where nothing else goes in, is taken to be open.
    """
    shape = stored_shape(tensor)
    axes = picture_axes(shape)
    old = alone and tensor.shapeSignature is None and len(shape) == 4
    if old and axes is not None and [shape[axis] for axis in axes] == [1, 1]:
        return tuple(-1 if axis in axes else side for axis, side in enumerate(shape))
    return tuple(
        1 if side < 1 and axis == 0 and len(shape) > 1 and 0 not in (axes or ()) else side or -1
        for axis, side in enumerate(shape)
    )


def stored_shape(tensor: Any) -> Shape:
    """Return the shape that the file stores, -1 where a side is open; () where it stores none."""
    shape = tuple(int(side) for side in listed(tensor.shape))
    signature = tuple(int(side) for side in listed(tensor.shapeSignature))
    return signature if len(signature) == len(shape) else shape


def listed(values: Any) -> list[Any]:
    """Return a vector of the format as a list; an empty one may be None in the file."""
    return [] if values is None else list(values)


@lru_cache(maxsize=4)
def _allocated(
    content: bytes, inputs: tuple[tuple[int, Shape], ...]
) -> tuple[tuple[int, Shape], ...] | str:
    """Return the shapes, or the reason why there are none; each is asked for once only."""
    with tempfile.TemporaryDirectory(prefix="shapes-") as name:
        folder = Path(name)
        model = folder / "model.tflite"
        request, reply = folder / "request.json", folder / "reply.json"
        model.write_bytes(content)
        request.write_text(json.dumps({"model": str(model), "inputs": dict(inputs)}))
        # As a script and with -P, so that neither this package nor the folder is imported from.
        command = [sys.executable, "-P", shapes_worker.__file__, str(request), str(reply)]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS
            )
        except subprocess.TimeoutExpired:
            return f"LiteRT took more than {_SECONDS:g} s to tell the file's shapes"
        if not reply.is_file():
            return f"LiteRT {_ending(done.returncode, done.stderr)} on the file"
        answer = json.loads(reply.read_text())
    if "error" in answer:
        return f"LiteRT refuses it: {one_line(answer['error'])}"
    return tuple((int(index), tuple(shape)) for index, shape in answer["shapes"].items())


def _ending(code: int, log: bytes) -> str:
    """Return in words how a process ended that wrote no answer."""
    if code < 0:
        return f"ended in signal {signal.Signals(-code).name}"
    lines = log.decode(errors="replace").split("\n")
    return f"ended with {code} ({next((line for line in reversed(lines) if line.strip()), '')})"
