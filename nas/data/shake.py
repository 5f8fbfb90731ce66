"""Blurs pictures by camera shake: the picture moves along a path while the shutter is open.

A blurred picture is the mean, in linear light, of frames that are shifted along a path, as REDS was
made from the frames of a high-speed camera. Every frame is interpolated bilinearly between pixels,
which is linear: so the mean of all frames is one convolution with the kernel that `kernel` gives.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.data.image_quality import UInt8Image

GAMMA = 2.2  # of the pictures' values over linear light
FRAMES = 33  # averaged along a path
MARGIN = 10  # pixels beyond which no shake of this module reaches

Path = npt.NDArray[np.float64]  # (FRAMES, 2): the shift of every frame, (down, right), in pixels

# Pixel value to linear light, and the linear light from which rounding gives a value. Both come
# from the scalar power function, so that the same pixels come out on every machine.
_LINEAR = np.array([math.pow(value / 255, GAMMA) for value in range(256)], dtype=np.float32)
_FROM = np.array(
    [-math.inf, *(math.pow((value - 0.5) / 255, GAMMA) for value in range(1, 256)), math.inf],
    dtype=np.float32,
)


def known_shake() -> Path:
    """Return one curved shake, 7.6 pixels across and 9.1 along its path.

    It is fast first, then, in a bend, the hand comes to rest.
    """
    time = np.linspace(0, 1, FRAMES)
    way = 1 - (1 - time) ** 2
    return _centred(np.stack([2.7 * np.sin(0.9 * math.pi * way), 7.6 * way], axis=1))


def random_shake(rng: np.random.Generator) -> Path:
    """Return a curved shake of any direction, 5 to 13 pixels between its ends.

    It is a cubic Bezier curve whose inner control points lie up to a third of that length aside and
    are drawn along it, too: bends, S-shapes and changing speeds come out.
    """
    length = rng.uniform(5, 13)
    along = np.array([0, rng.uniform(0.1, 0.6), rng.uniform(0.4, 0.9), 1]) * length
    aside = np.array([0, *(rng.uniform(-1, 1, size=2) * length / 3), 0])
    angle = rng.uniform(0, 2 * math.pi)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    control = np.stack([along, aside], axis=1) @ turn.T
    time = np.linspace(0, 1, FRAMES)[:, None]
    weights = [(1 - time) ** 3, 3 * time * (1 - time) ** 2, 3 * time**2 * (1 - time), time**3]
    return _centred(sum(weight * point for weight, point in zip(weights, control, strict=True)))


def kernel(path: Path) -> npt.NDArray[np.float32]:
    """Return the weights (2 * MARGIN + 1, 2 * MARGIN + 1) of a shake; they sum to 1.

    Raises ValueError for a path that goes further than `MARGIN - 1` pixels from its middle.
    """
    if np.abs(path).max() > MARGIN - 1:
        raise ValueError(f"a shake may reach {MARGIN - 1} pixels, not {np.abs(path).max():.1f}")
    weights = np.zeros((2 * MARGIN + 1, 2 * MARGIN + 1))
    whole = np.floor(path).astype(int)
    part = path - whole
    for (down, right), (below, beside) in zip(whole + MARGIN, part, strict=True):
        weights[down, right] += (1 - below) * (1 - beside)
        weights[down, right + 1] += (1 - below) * beside
        weights[down + 1, right] += below * (1 - beside)
        weights[down + 1, right + 1] += below * beside
    result: npt.NDArray[np.float32] = (weights / len(path)).astype(np.float32)
    return result


def blur(sharp: UInt8Image, path: Path) -> UInt8Image:
    """Return a whole picture (h, w, 3), blurred in the same size; its border pixels continue
    outside.
    """
    padded = np.pad(sharp, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), mode="edge")
    blurred: UInt8Image = blur_inner(padded[None], path)[0]
    return blurred


def blur_inner(sharp: npt.NDArray[np.uint8], path: Path) -> npt.NDArray[np.uint8]:
    """Blur pictures (n, h + 2 * MARGIN, w + 2 * MARGIN, 3); return their middles (n, h, w, 3)."""
    height, width = (side - 2 * MARGIN for side in sharp.shape[1:3])
    linear = _LINEAR[sharp]
    mean = np.zeros((len(sharp), height, width, 3), np.float32)
    weights = kernel(path)
    for down, right in np.argwhere(weights):
        top, left = 2 * MARGIN - down, 2 * MARGIN - right
        mean += weights[down, right] * linear[:, top : top + height, left : left + width]
    return _to_pixels(mean)


def _to_pixels(linear: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return linear light as pixel values, rounded to the nearest: guessed fast, then put right."""
    guess = np.rint(255 * np.minimum(linear, 1) ** np.float32(1 / GAMMA)).astype(np.intp)
    pixels: npt.NDArray[np.uint8] = (
        guess + (linear >= _FROM[guess + 1]) - (linear < _FROM[guess])
    ).astype(np.uint8)
    return pixels


def _centred(path: Any) -> Path:
    centred: Path = path - np.mean(path, axis=0)
    return centred
