"""Writes a C++ and a Kotlin program that run one exported model, with its size, types and scales.

Both take one picture of the model's own size. What is read from the file is written into the
program as constants, and the program checks that the model is the one that it was written for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Literal

from nas.errors import ConfigError
from nas.tflite.file import Tensor, read_tflite

HERE = Path(__file__).parent
Dtype = Literal["float32", "int8", "int16"]


@dataclass(frozen=True)
class Form:
    """What a program must know of a model: its picture's size and how its numbers mean 0 to 1.

    A scale is 0 for a tensor of floats, which are the values themselves.
    """

    width: int
    height: int
    input_dtype: Dtype
    input_scale: float
    input_zero: int
    output_dtype: Dtype
    output_scale: float
    output_zero: int


_CPP = {"float32": "float", "int8": "std::int8_t", "int16": "std::int16_t"}
_CPP_TYPES = {"float32": "kTfLiteFloat32", "int8": "kTfLiteInt8", "int16": "kTfLiteInt16"}
_KOTLIN_TYPES = {"float32": "FLOAT32", "int8": "INT8", "int16": "INT16"}
_KOTLIN_PUT = {
    "float32": "putFloat(byte / 255f)",
    "int8": "put(quantized(byte).toByte())",
    "int16": "putShort(quantized(byte).toShort())",
}
_KOTLIN_GET = {
    "float32": "output.float",
    "int8": "(output.get() - OUTPUT_ZERO) * OUTPUT_SCALE",
    "int16": "(output.short - OUTPUT_ZERO) * OUTPUT_SCALE",
}
_MEANS = "// A number of the model means a value from 0 to 1: (number - zero) * scale.\n"
_BYTES = {"float32": 4, "int8": 1, "int16": 2}
_LIMITS = {"float32": (0, 0), "int8": (-128, 127), "int16": (-32768, 32767)}


def form_of(artifact: Path) -> Form:
    """Read a file's form; ConfigError where it isn't one picture of a fixed size in and out."""
    file = read_tflite(artifact)
    if file.size is None or len(file.inputs) != 1 or len(file.outputs) != 1:
        raise ConfigError(f"{artifact}: expected one picture of a fixed size in, and one out")
    width, height = file.size
    return Form(width, height, *_tensor(file.inputs[0]), *_tensor(file.outputs[0]))


def _tensor(tensor: Tensor) -> tuple[Dtype, float, int]:
    if tensor.dtype not in _CPP:
        raise ConfigError(f"{tensor.name}: expected {', '.join(_CPP)}, but it is {tensor.dtype}")
    dtype: Dtype = tensor.dtype  # type: ignore[assignment]
    if dtype == "float32" or tensor.quantization is None:
        return dtype, 0.0, 0
    return dtype, tensor.quantization.scales[0], tensor.quantization.zero_points[0]


def cpp_program(form: Form, title: str) -> str:
    """Return a C++17 program for TensorFlow Lite's C++ interface."""
    return _filled(
        "restore.cpp.txt",
        form,
        title=title,
        input_type=_CPP[form.input_dtype],
        output_type=_CPP[form.output_dtype],
        input_kind=_CPP_TYPES[form.input_dtype],
        output_kind=_CPP_TYPES[form.output_dtype],
        to_model="quantized(byte)" if form.input_scale else "byte / 255.0f",
        from_model="(value - kOutputZero) * kOutputScale" if form.output_scale else "value",
        scales="".join(_cpp_scales(form)),
    )


def _cpp_scales(form: Form) -> Iterator[str]:
    if form.input_scale or form.output_scale:
        yield _MEANS
    if form.input_scale:
        yield f"constexpr float kInputScale = {_float(form.input_scale)};\n"
        yield f"constexpr int kInputZero = {form.input_zero};\n"
    if form.output_scale:
        yield f"constexpr float kOutputScale = {_float(form.output_scale)};\n"
        yield f"constexpr int kOutputZero = {form.output_zero};\n"
    if form.input_scale:
        low, high = _LIMITS[form.input_dtype]
        yield (
            "\nInput quantized(std::uint8_t byte) {\n"
            "  const float number = std::nearbyint(byte / 255.0f / kInputScale) + kInputZero;\n"
            f"  return static_cast<Input>(std::clamp(number, {low}.0f, {high}.0f));\n}}\n"
        )


def kotlin_program(form: Form, title: str) -> str:
    """Return a Kotlin class for Android's TensorFlow Lite, `org.tensorflow.lite`."""
    low, high = _LIMITS[form.input_dtype]
    number = f"((byte / 255f / INPUT_SCALE).roundToInt() + INPUT_ZERO).coerceIn({low}, {high})"
    quantized = f"    private fun quantized(byte: Int) =\n        {number}\n\n"
    return _filled(
        "Restorer.kt.txt",
        form,
        title=title,
        input_kind=_KOTLIN_TYPES[form.input_dtype],
        output_kind=_KOTLIN_TYPES[form.output_dtype],
        input_bytes=str(_BYTES[form.input_dtype]),
        output_bytes=str(_BYTES[form.output_dtype]),
        put=_KOTLIN_PUT[form.input_dtype],
        get=_KOTLIN_GET[form.output_dtype],
        quantized=quantized if form.input_scale else "",
        scales="".join(_kotlin_scales(form)),
    )


def _kotlin_scales(form: Form) -> Iterator[str]:
    sides = (
        ("INPUT", form.input_scale, form.input_zero),
        ("OUTPUT", form.output_scale, form.output_zero),
    )
    if form.input_scale or form.output_scale:
        yield "\n        " + _MEANS
    for side, scale, zero in sides:
        if scale:
            yield f"        private const val {side}_SCALE = {_float(scale)}\n"
            yield f"        private const val {side}_ZERO = {zero}\n"


def _filled(name: str, form: Form, **words: str) -> str:
    text = Template((HERE / name).read_text())
    return text.substitute(words, width=str(form.width), height=str(form.height))


def _float(value: float) -> str:
    """Write a float32 so that reading it gives the same one."""
    text = f"{value:.9g}"
    return f"{text}f" if any(mark in text for mark in ".en") else f"{text}.0f"
