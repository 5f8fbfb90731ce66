"""Says in words what a network's label says in signs: `x2 k3 res p30%`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRECISIONS = {
    "float": "32-bit float",
    "int8-ptq": "8-bit, quantized after training",
    "int8-qat": "8-bit, trained for it",
    "int16-ptq": "16-bit, quantized after training",
}


def label_in_words(candidate: Mapping[str, Any]) -> str:
    """Return a candidate's choices in words; of families other than the U-Net, its fields."""
    network: Mapping[str, Any] = candidate.get("architecture", {})
    compression: Mapping[str, Any] = candidate.get("compression", {})
    parts = _unet(network) if network.get("family") == "unet" else _fields(network)
    share = compression.get("pruned_share", 0.0)
    if share:
        parts.append(f"{100 * share:.3g} % of the MACs pruned")
    precision = str(compression.get("precision", "float"))
    return "; ".join([*parts, PRECISIONS.get(precision, precision)])


def _unet(network: Mapping[str, Any]) -> list[str]:
    widths = "-".join(map(str, network.get("widths", ())))
    parts = [
        f"U-Net with {network.get('upsampling')} up-sampling and {network.get('activation')}",
        f"{widths} channels, full resolution first",
        f"{network.get('convolutions')} convolutions a level each way",
        f"first kernel {network.get('first_kernel')}x{network.get('first_kernel')}",
    ]
    known = {"family", "upsampling", "activation", "widths", "convolutions", "first_kernel"}
    if network.get("global_residual"):
        parts.append("adds what it computes to the picture")
    rest = {key: value for key, value in network.items() if key not in {*known, "global_residual"}}
    return [*parts, *_fields(rest)]


def _fields(values: Mapping[str, Any]) -> list[str]:
    """Return fields as "name value", but for those that are off."""
    return [
        f"{name.replace('_', ' ')} {value}" for name, value in values.items() if value is not False
    ]
