"""Export a `.tflite` file as ONNX, checked by ONNX Runtime's own kernels. Needs the extra `npu`.

The check runs both files at the size of a crop, on this machine's processor: ONNX Runtime computes
the translation, LiteRT the file. Float outputs agree but for the last bits. Integers differ by a
few steps, as one rounds between two operations where the other does not.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt

from nas.devices.npu import requirements
from nas.devices.npu.onnx_translation import translated
from nas.errors import ConfigError, ConversionError
from nas.system.files import write_atomically
from nas.tflite.file import parse_tflite
from nas.tflite.size import resized

CROP = 128
"""The largest side of the pictures on which the two are compared."""
FLOAT_TOLERANCE = 1e-4
"""The largest difference of float outputs, as a share of the largest value (of 1 at least)."""
STEP_TOLERANCE = {"int8": (16, 1.0), "int16": (256, 32.0)}
"""The largest and the mean difference of integer outputs, in steps."""
_Values = npt.NDArray[Any]


@final
@dataclass(frozen=True)
class OnnxAgreement:
    """How far ONNX Runtime's output is from LiteRT's, on a crop of `width` x `height` pixels.

    `largest` and `mean` are absolute differences: in the outputs' own unit for float, in steps of
    the outputs' scale for integers.
    """

    width: int
    height: int
    dtype: str
    largest: float
    mean: float
    onnxruntime: str

    def to_dict(self) -> dict[str, Any]:
        """Return the agreement as JSON types."""
        return asdict(self)


def check_exportable() -> None:
    """Raise ConfigError, with the remedy, where ONNX or ONNX Runtime is not installed."""
    missing = [name for name in ("onnx", "onnxruntime") if name not in requirements.versions()]
    if missing:
        raise ConfigError(
            f"--onnx needs the extra `npu` ({', '.join(missing)} missing): {requirements.INSTALL}"
        )


def export_onnx(model: Path, out: Path) -> OnnxAgreement:
    """Write the ONNX form of a `.tflite` file to `out`, after its outputs were compared.

    Raises ConfigError as `check_exportable`, and where `model` is no `.tflite` with one picture as
    input and output; ConversionError, naming the operation, where it has no translation, and, with
    figures, where ONNX Runtime computes something else; RunError where `out` can't be written.
    """
    check_exportable()
    content = model.read_bytes()
    onnx_model = translated(content, str(model))
    agreement = compared(_at_a_crop(content, str(model)), str(model))
    write_atomically(out, lambda file: file.write(onnx_model))
    return agreement


def _at_a_crop(content: bytes, name: str) -> bytes:
    """Return the file at a crop's size; as it is where it has no form of that size."""
    file = parse_tflite(content, name)
    size = file.size
    if size is None or max(size) <= CROP:
        return content
    for factor in (1, 2, 4):  # deep networks need sides that divide by more
        try:
            return resized(content, (factor * CROP, factor * CROP), name)
        except (ConversionError, ConfigError):
            continue
    return content


def compared(content: bytes, name: str) -> OnnxAgreement:
    """Compute a picture of noise by both runtimes; ConversionError where their outputs differ."""
    file = parse_tflite(content, name)
    if len(file.inputs) != 1 or len(file.outputs) != 1 or file.size is None:
        raise ConfigError(f"{name}: expected one picture as input, and one output")
    picture = _noise(file.inputs[0].shape, file.inputs[0].dtype)
    expected = _by_litert(content, picture)
    found = _by_onnxruntime(translated(content, name), picture)
    if (found.shape, found.dtype) != (expected.shape, expected.dtype):
        raise ConversionError(
            f"{name}: its ONNX form gives {found.dtype} {found.shape}, the file {expected.dtype} "
            f"{expected.shape}"
        )
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    agreement = OnnxAgreement(
        file.size[0], file.size[1], str(expected.dtype), float(difference.max()),
        float(difference.mean()), requirements.versions()["onnxruntime"],
    )  # fmt: skip
    _check(agreement, float(np.abs(expected.astype(np.float64)).max()), name)
    return agreement


def _check(agreement: OnnxAgreement, peak: float, name: str) -> None:
    """Raise ConversionError where the runtimes differ by more than rounding explains."""
    tolerance = FLOAT_TOLERANCE * max(1.0, peak)
    largest, mean = STEP_TOLERANCE.get(agreement.dtype, (tolerance, tolerance))
    if not (agreement.largest <= largest and agreement.mean <= mean):
        raise ConversionError(
            f"{name}: ONNX Runtime computes something else of its ONNX form than LiteRT of the "
            f"file: on a crop of {agreement.width}x{agreement.height} they differ by "
            f"{agreement.largest:.4g} at most, {agreement.mean:.4g} in the mean; expected "
            f"{largest:.4g} and {mean:.4g} at most ({agreement.dtype})"
        )


def _noise(shape: tuple[int, ...], dtype: str) -> _Values:
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    if dtype == "float32":
        return values
    if dtype not in STEP_TOLERANCE:
        raise ConfigError(f"pictures of {dtype} can't be compared; float32, int8 and int16 can")
    low, high = (-128, 127) if dtype == "int8" else (0, 32767)
    return np.rint(low + values * (high - low)).astype(dtype)


def _by_litert(content: bytes, picture: _Values) -> _Values:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
    interpreter.invoke()
    output: _Values = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return output


def _by_onnxruntime(model: bytes, picture: _Values) -> _Values:
    """Compute with no optimization: what other programs get who read the file as it stands."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = min(2, os.cpu_count() or 1)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    output: _Values = session.run(None, {session.get_inputs()[0].name: picture})[0]
    return output
