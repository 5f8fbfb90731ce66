"""One profile of a `.tflite` by LiteRT's own profiler: REQUEST, a document of JSON.

Started by `nas.devices.host.profile` as a script, so that it imports LiteRT alone. It writes what
LiteRT tells of its operations to standard output. LiteRT has the profiler in its C interface only,
which is called here by its published names and signatures.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CPU = 1
"""LiteRT's bit for the processor among the accelerators."""
WRITE = 1
"""LiteRT's mode in which a buffer is locked to be written."""
WARMUP = 2
NEXT = "\f"
"""What stands between the summaries of two inferences."""
_POINTER = ctypes.c_void_p
_FREE = ctypes.CFUNCTYPE(None, _POINTER)


class _Layout(ctypes.Structure):
    _fields_ = (
        ("bits", ctypes.c_uint),
        ("dimensions", ctypes.c_int32 * 8),
        ("strides", ctypes.c_uint32 * 8),
    )


class _TensorType(ctypes.Structure):
    _fields_ = (("element_type", ctypes.c_int), ("layout", _Layout))


def main() -> None:
    """Profile as asked, and end without tearing LiteRT down."""
    request = json.loads(sys.argv[1])
    text = _Runtime().profile(request)
    os.write(1, text.encode())
    os._exit(0)


class _Runtime:
    """LiteRT's C interface; every call raises RuntimeError where it does not succeed."""

    def __init__(self) -> None:
        import ai_edge_litert

        folder = Path(ai_edge_litert.__file__).parent
        self._library = ctypes.CDLL(str(folder / "libLiteRt.so"))
        self._c = ctypes.CDLL(None)
        self._c.strdup.restype = _POINTER
        self._c.free.argtypes = [_POINTER]
        self._free = _FREE(self._c.free)  # kept: LiteRT calls it

    def profile(self, request: dict[str, Any]) -> str:
        """Return LiteRT's summary of each of `runs` inferences, with `NEXT` between them."""
        environment = self._made("LiteRtCreateEnvironment", 0, None)
        path = request["artifact"].encode()
        model = self._made("LiteRtCreateModelFromFile", environment, path)
        options = self._options(request["threads"])
        compiled = self._made("LiteRtCreateCompiledModel", environment, model, options)
        profiler = self._made("LiteRtCompiledModelGetProfiler", compiled)
        graph = self._made("LiteRtGetModelSubgraph", model, ctypes.c_size_t(0))
        sides = [
            self._buffers(side, environment, graph, compiled, request[f"{side.lower()}s"])
            for side in ("Input", "Output")
        ]
        for buffer, size in zip(sides[0], request["input_bytes"], strict=True):
            self._fill(buffer, size, request["is_float"])
        for _ in range(WARMUP):
            self._run(compiled, sides)
        return NEXT.join(self._profiled(profiler, compiled, sides) for _ in range(request["runs"]))

    def _profiled(
        self, profiler: _POINTER, compiled: _POINTER, sides: Sequence[Sequence[_POINTER]]
    ) -> str:
        self._call("LiteRtResetProfiler", profiler)
        self._call("LiteRtStartProfiler", profiler)
        self._run(compiled, sides)
        self._call("LiteRtStopProfiler", profiler)
        summary = ctypes.c_char_p()
        self._call("LiteRtGetProfileSummary", profiler, compiled, ctypes.byref(summary))
        return (summary.value or b"").decode(errors="replace")

    def _options(self, threads: int) -> _POINTER:
        options = self._made("LiteRtCreateOptions")
        self._call("LiteRtSetOptionsHardwareAccelerators", options, CPU)
        settings = {
            "runtime_options_string": "enable_profiling = true",
            "xnnpack": f"num_threads = {threads}",
        }
        for name, values in settings.items():
            kept = _POINTER(self._c.strdup(values.encode()))
            one = self._made("LiteRtCreateOpaqueOptions", name.encode(), kept, self._free)
            self._call("LiteRtAddOpaqueOptions", options, one)
        return options

    def _buffers(
        self, side: str, environment: _POINTER, graph: _POINTER, compiled: _POINTER, count: int
    ) -> Sequence[_POINTER]:
        """Make the buffers of the inputs or of the outputs."""
        buffers = []
        for index in map(ctypes.c_size_t, range(count)):
            tensor = self._made(f"LiteRtGetSubgraph{side}", graph, index)
            kind = _TensorType()
            self._call("LiteRtGetRankedTensorType", tensor, ctypes.byref(kind))
            name = f"LiteRtGetCompiledModel{side}BufferRequirements"
            needs = self._made(name, compiled, ctypes.c_size_t(0), index)
            name = "LiteRtCreateManagedTensorBufferFromRequirements"
            buffers.append(self._made(name, environment, ctypes.byref(kind), needs))
        return buffers

    def _fill(self, buffer: _POINTER, size: int, is_float: bool) -> None:
        """Write noise: small numbers near zero would make a float network slow."""
        import struct

        noise = random.Random(0)
        if is_float:
            block = struct.pack("1024f", *(noise.random() for _ in range(1024)))
        else:
            block = noise.randbytes(4096)
        content = (block * (size // len(block) + 1))[:size]
        place = self._made("LiteRtLockTensorBuffer", buffer, mode=WRITE)
        ctypes.memmove(place, content, size)
        self._call("LiteRtUnlockTensorBuffer", buffer)

    def _run(self, compiled: _POINTER, sides: Sequence[Sequence[_POINTER]]) -> None:
        arguments: list[Any] = []
        for buffers in sides:
            arguments += [ctypes.c_size_t(len(buffers)), (_POINTER * len(buffers))(*buffers)]
        self._call("LiteRtRunCompiledModel", compiled, ctypes.c_size_t(0), *arguments)

    def _made(self, name: str, *arguments: Any, mode: int | None = None) -> _POINTER:
        """Call a function whose last argument is what it makes (before `mode`), and return that."""
        made = _POINTER()
        last = () if mode is None else (mode,)
        self._call(name, *arguments, ctypes.byref(made), *last)
        return made

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            raise RuntimeError(f"{name} gave status {status}")


if __name__ == "__main__":
    main()
