"""U-Nets read back from their labels, as tables and charts name them."""

from __future__ import annotations

import re
from typing import Any

from nas.errors import ConfigError
from search_spaces.unet import SHORT, UNet
from search_spaces.unet_axes import (
    ALL_ACTIVATIONS,
    BLOCKS,
    DOWNSAMPLINGS,
    SKIPS,
    STEMS,
    UPSAMPLINGS,
)

_FIRST = {
    f"unet-{up.replace('-', '')}-{activation.replace('-', '')}": (up, activation)
    for up in UPSAMPLINGS
    for activation in ALL_ACTIVATIONS
}
_WORDS: dict[str, tuple[str, Any]] = {f"stem{stem}": ("stem", stem) for stem in STEMS[1:]}
for _axis, _values in {"skip": SKIPS, "downsampling": DOWNSAMPLINGS, "block": BLOCKS}.items():
    _WORDS |= {SHORT.get(value, value): (_axis, value) for value in _values[1:]}
_COUNTS = re.compile(r"x(\d+)(?:\+(\d+)\+(\d+))?")


def unet_from_label(label: str) -> UNet | None:
    """Return the U-Net with that label, such as "unet-resizebilinear-relu 8-16-24 x2 k5 res add".

    None where the text does not begin as such a label does. Raises ConfigError, naming the word,
    where it begins so and goes on otherwise, and as `UNet` does.
    """
    first, *words = label.split()
    if first not in _FIRST or not words:
        return None
    widths, counts, kernel = (*words, "", "", "")[:3]
    matched = _COUNTS.fullmatch(counts)
    if not (re.fullmatch(r"\d+(-\d+)+", widths) and matched and re.fullmatch(r"k\d+", kernel)):
        raise ConfigError(
            f"the label {label!r} is not whole: after {first!r} come the widths, the convolutions "
            "of a level and the first kernel, such as '8-16-24 x2 k5'"
        )
    down, bottleneck, up = (int(count) if count else None for count in matched.groups())
    values: dict[str, Any] = {"convolutions": down, "first_kernel": int(kernel[1:])}
    values |= {"bottleneck_convolutions": bottleneck, "decoder_convolutions": up}
    for word in words[3:]:
        axis, value = ("global_residual", True) if word == "res" else _word(word, label)
        values[axis] = value
    upsampling, activation = _FIRST[first]
    return UNet(upsampling, activation, tuple(map(int, widths.split("-"))), **values)


def _word(word: str, label: str) -> tuple[str, Any]:
    """Return the axis and the value that a later word of a label stands for."""
    if word in _WORDS:
        return _WORDS[word]
    if re.fullmatch(r"p\d+%", word):
        raise ConfigError(
            f"{word!r} in the label {label!r} is a pruned share: a pruned network is of one "
            "training; give the folder or the card.json that `nas export` wrote"
        )
    raise ConfigError(
        f"unknown word {word!r} in the label {label!r}; valid: res, {', '.join(_WORDS)}"
    )
