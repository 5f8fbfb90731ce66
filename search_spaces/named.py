"""Architectures by name, and architectures that are read back from JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nas.compression.pruned_network import PrunedNetwork
from nas.errors import unknown
from nas.networks.candidate import Architecture
from search_spaces.dbpn import DBPN
from search_spaces.edsr import EDSR
from search_spaces.fpn import FPN
from search_spaces.rdn import RDN
from search_spaces.sgn import SGN
from search_spaces.unet import ACTIVATIONS, PAPER, UPSAMPLINGS, UNet

# The networks that a user can name: six U-Nets of the paper, and its five other networks.
ARCHITECTURES: dict[str, Architecture] = {
    f"unet-{upsampling.replace('-', '')}-{activation}": replace(
        PAPER, upsampling=upsampling, activation=activation
    )
    for upsampling in UPSAMPLINGS
    for activation in ACTIVATIONS
}
ARCHITECTURES |= {
    "edsr": EDSR(),
    "rdn": RDN(),
    "dbpn": DBPN(),
    "fpn": FPN(),
    "sgn": SGN(),
}

_FAMILIES: dict[str, Callable[[dict[str, Any]], Architecture]] = {
    UNet.family: UNet.from_dict,
    EDSR.family: EDSR.from_dict,
    RDN.family: RDN.from_dict,
    DBPN.family: DBPN.from_dict,
    FPN.family: FPN.from_dict,
    SGN.family: SGN.from_dict,
    PrunedNetwork.family: lambda values: PrunedNetwork.from_dict(values, architecture_from_dict),
}


def architecture_from_dict(values: dict[str, Any]) -> Architecture:
    """Return the architecture whose `to_dict` wrote `values`; ConfigError on an unknown family."""
    family = str(values.get("family"))
    if family not in _FAMILIES:
        raise unknown("architecture family", family, _FAMILIES)
    return _FAMILIES[family](values)
