"""Small networks and the files made of them, each made once a test process."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import numpy as np

from nas.networks.candidate import PRECISIONS, Architecture, Precision
from search_spaces import DBPN, EDSR, FPN, RDN, SGN
from search_spaces.unet import ACTIVATIONS, UPSAMPLINGS, Activation, UNet, Upsampling

SIDE = 32
SIX = tuple(product(UPSAMPLINGS, ACTIVATIONS))
EVERY = tuple(product(UPSAMPLINGS, ACTIVATIONS, PRECISIONS))

# The other families, and the side of a picture that does for each.
FIVE: dict[str, Architecture] = {
    "edsr": EDSR(8, 2),
    "rdn": RDN(8, 4, 2, 2),
    "dbpn": DBPN(8, 4, 2),
    "fpn": FPN(4, 1, 1, 8, 8),
    "sgn": SGN(4, 2, 1),
}


def side_of(architecture: Architecture) -> int:
    return architecture.graph().fits(SIDE)


def network(upsampling: Upsampling, activation: Activation, residual: bool = True) -> UNet:
    return UNet(upsampling, activation, (4, 8), 1, 3, residual)


def picture(height: int = SIDE, width: int = SIDE, seed: int = 0) -> Any:
    """Smooth and in 0..1, float32 (height, width, 3), with exact bytes: multiples of 1/255."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 4, width // 4, 3), np.uint8)
    return coarse.repeat(4, 0).repeat(4, 1).astype(np.float32) / np.float32(255)


@cache
def keras_model(architecture: UNet, seed: int = 0) -> Any:
    from nas.compression.calibration import fill_biases
    from nas.networks.keras_model import build_model

    model = build_model(architecture.graph(), seed)
    fill_biases(model, seed)
    return model


@cache
def artifact(architecture: UNet, precision: Precision, seed: int = 0, side: int = SIDE) -> bytes:
    from nas.compression.convert import convert

    frames = [picture(side, side, number)[None] for number in range(2)]
    return convert(model_of(architecture, precision, seed), side, side, precision, frames)


@cache
def model_of(architecture: UNet, precision: Precision, seed: int = 0) -> Any:
    """What a file of this precision is made from, and compared with."""
    from nas.compression.quantization import fake_quantized

    model = keras_model(architecture, seed)
    if precision != "int8-qat":
        return model
    return fake_quantized(model, [picture(seed=number)[None] for number in range(2)])
