"""A picture and the picture that a network should make of it."""

from __future__ import annotations

from dataclasses import dataclass

from nas.data.image_quality import UInt8Image


@dataclass(frozen=True, eq=False)
class Pair:
    """A blurred picture and its sharp original, uint8 RGB (height, width, 3) of one size."""

    name: str
    blurred: UInt8Image
    sharp: UInt8Image
