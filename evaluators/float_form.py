"""The float32 form of an int16 file, by which the file's quality is scored on large pictures."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from nas.data.image_quality import UInt8Image
from nas.tflite.editing import in_float
from nas.tflite.file import read_tflite
from nas.tflite.interpreter import Artifact
from nas.tflite.resizing import at_size

INT16_MACS = 1e8
"""An int16 file with at most so many MACs a picture is run itself, at about 2.4e9 a second."""
CROP_SIDE = 128
"""The side of the crop on which both forms are compared."""
AGREEMENT_DB = 60.0
"""The least PSNR between both forms: it is worth some 0.01 dB at a PSNR of 30 dB."""


def runnable(path: Path, picture: UInt8Image) -> tuple[bytes, str]:
    """Choose the `.tflite` to score a file with; returns it, and a note for the conditions.

    A large int16 file is slow beyond use (2.4 GMAC a second). It is replaced by its float32 form:
    the same operations on the file's own 8-bit weights, which are where int16 loses its quality.
    Both are compared on a crop of `picture` first. The note is empty, and the content the file's
    own, where the file is small or the two differ by more than `AGREEMENT_DB` allows.
    """
    file = read_tflite(path)
    content = path.read_bytes()
    if file.inputs[0].dtype != "int16" or file.conv_macs <= INT16_MACS:
        return content, ""
    form = in_float(content)
    height, width = file.inputs[0].shape[1:3]
    height, width = min(CROP_SIDE, height), min(CROP_SIDE, width)
    crop = picture[:height, :width]
    below, right = height - crop.shape[0], width - crop.shape[1]
    crop = np.pad(crop, ((0, below), (0, right), (0, 0)), mode="symmetric")
    values = crop.astype(np.float32) / np.float32(255)
    theirs = Artifact(at_size(content, height, width)).run(values)
    ours = Artifact(at_size(form, height, width)).run(values)
    error = float(np.mean(np.square(ours.astype(np.float64) - theirs)))
    agreement = -10 * math.log10(max(error, 1e-12))
    if agreement < AGREEMENT_DB:
        return content, ""
    return (
        form,
        f", by the file's float32 form ({agreement:.0f} dB from int16 on a crop of "
        f"{width}x{height})",
    )
