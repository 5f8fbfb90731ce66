"""Suggests what to change in a network that is slow on a device: one choice at a time.

Each change is known to make some accelerator faster and others not: a vendor's compiler, a phone or
a model of one has to tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nas.networks.changes import Change
from search_spaces.unet import UNet
from search_spaces.unet_axes import ACTIVATIONS, DOWNSAMPLINGS, PLAIN, SKIPS, UPSAMPLINGS

LANE = 32
"""Channels that an NPU computes together: other widths are filled up to a multiple of it."""
_AXES: dict[str, Sequence[str]] = {
    "upsampling": UPSAMPLINGS,
    "skip": SKIPS,
    "activation": ACTIVATIONS,
    "downsampling": DOWNSAMPLINGS,
}


def suggestions(architecture: Mapping[str, Any]) -> Iterator[Change]:
    """Yield the changes of an architecture, given as JSON; none for other families than U-Nets."""
    if architecture.get("family") != UNet.family:
        return
    for axis, choices in _AXES.items():
        own = architecture.get(axis, PLAIN.get(axis))
        for choice in choices:
            if choice != own:
                yield Change(axis, str(own), choice, _with(architecture, axis, choice))
    widths = list(architecture["widths"])
    narrower = [width - width % LANE if width > LANE else width for width in widths]
    if narrower != widths:
        before, after = ("-".join(map(str, one)) for one in (widths, narrower))
        yield Change("widths", before, after, _with(architecture, "widths", narrower))


def _with(architecture: Mapping[str, Any], axis: str, value: Any) -> dict[str, Any]:
    """Return the JSON with another value, without it where it is the paper's own."""
    changed = {**architecture, axis: value}
    if axis in PLAIN and value == PLAIN[axis]:
        del changed[axis]
    return changed
