"""What is done to photographs that networks learn to undo: shakes, noise, compression, darkness.

Each is a frozen value. It degrades training patches, which have a margin of `MARGIN` pixels around
them that the result loses, and whole pictures. What is drawn comes from the generator that is
handed in.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, Protocol, final

import numpy as np
import numpy.typing as npt
from PIL import Image, features

from nas.data.image_quality import UInt8Image
from nas.data.shake import GAMMA, MARGIN, blur, blur_inner, known_shake, random_shake
from nas.errors import ConfigError, unknown
from nas.system.hashing import content_key

Patches = npt.NDArray[np.uint8]  # (n, height, width, 3)


class Degradation(Protocol):
    """What is done to photographs."""

    @property
    def name(self) -> str:
        """A short name for the held-out split, "" for the known shake."""
        ...

    @property
    def words(self) -> str:
        """What was done, to follow on "photographs that ship with scikit-image,"."""
        ...

    @property
    def look(self) -> str:
        """How the pictures look before they are restored, in a word."""
        ...

    def __hash__(self) -> int:
        """Return a hash that equal values share."""
        ...

    def identity(self) -> dict[str, Any]:
        """Return everything that decides what is done, as JSON types."""
        ...

    def patches(self, sharp: Patches, rng: np.random.Generator) -> Patches:
        """Degrade patches with their margins; return their middles."""
        ...

    def whole(self, sharp: UInt8Image, rng: np.random.Generator) -> UInt8Image:
        """Degrade a whole picture (h, w, 3) in the same size."""
        ...


@final
@dataclass(frozen=True)
class Shaken:
    """A camera shake: one "known" for every picture, or a "random" one for each."""

    shake: Literal["known", "random"] = "known"

    @property
    def name(self) -> str:
        """An empty name for the known shake, else "random"."""
        return "" if self.shake == "known" else "random"

    @property
    def words(self) -> str:
        """Which shake, and that frames are averaged in linear light."""
        which = (
            "all blurred by one known, curved camera shake of about 9 pixels"
            if self.shake == "known"
            else "each blurred by a random camera shake of its own, 5 to 13 pixels"
        )
        return f"{which} (frames averaged in linear light)"

    @property
    def look(self) -> str:
        """It makes pictures blurred."""
        return "blurred"

    def identity(self) -> dict[str, Any]:
        """Return which shake, and the path of the known one."""
        return {"shake": self.shake, "path": content_key(np.round(known_shake(), 6).tolist())}

    def patches(self, sharp: Patches, rng: np.random.Generator) -> Patches:
        """Blur patches with their margins; return their middles."""
        if self.shake == "known":
            return blur_inner(sharp, known_shake())
        return np.concatenate([blur_inner(crop[None], random_shake(rng)) for crop in sharp])

    def whole(self, sharp: UInt8Image, rng: np.random.Generator) -> UInt8Image:
        """Blur a whole picture in the same size."""
        return blur(sharp, known_shake() if self.shake == "known" else random_shake(rng))


@final
@dataclass(frozen=True)
class Noisy:
    """Gaussian noise of a standard deviation of `sigma`, of 255, on every value by itself."""

    sigma: float

    def __post_init__(self) -> None:
        if not 0 < self.sigma <= 100:
            raise ConfigError(f"noise={self.sigma:g}: expected a deviation over 0, to 100 of 255")

    @property
    def name(self) -> str:
        """The deviation, for example "noise25"."""
        return f"noise{self.sigma:g}"

    @property
    def words(self) -> str:
        """Which noise."""
        return f"each with Gaussian noise of deviation {self.sigma:g} (of 255, values clipped)"

    @property
    def look(self) -> str:
        """It makes pictures noisy."""
        return "noisy"

    def identity(self) -> dict[str, Any]:
        """Return the deviation."""
        return {"degradation": "noise", "sigma": self.sigma}

    def patches(self, sharp: Patches, rng: np.random.Generator) -> Patches:
        """Add noise to the middles of patches."""
        return self.whole(_middles(sharp), rng)

    def whole(self, sharp: Patches, rng: np.random.Generator) -> Patches:
        """Add noise to a picture."""
        noise = rng.normal(0, self.sigma, sharp.shape)
        noisy: Patches = np.clip(np.rint(sharp + noise), 0, 255).astype(np.uint8)
        return noisy


@final
@dataclass(frozen=True)
class Jpeg:
    """JPEG compression at a `quality` of Pillow's scale, colours at half the resolution.

    The blocks of 8x8 pixels begin anywhere in a training patch, and at the corner of a photograph.
    """

    quality: int

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 95:
            raise ConfigError(f"jpeg={self.quality}: expected a quality from 1 to 95")

    @property
    def name(self) -> str:
        """The quality, for example "jpeg20"."""
        return f"jpeg{self.quality}"

    @property
    def words(self) -> str:
        """Which compression."""
        return f"each compressed as JPEG of quality {self.quality} (colours at half resolution)"

    @property
    def look(self) -> str:
        """It makes pictures compressed."""
        return "compressed"

    def identity(self) -> dict[str, Any]:
        """Return the quality, and the library, since another one rounds in another way."""
        library = f"{features.version('jpg')}"
        return {"degradation": "jpeg", "quality": self.quality, "library": library}

    def patches(self, sharp: Patches, rng: np.random.Generator) -> Patches:
        """Compress patches with their margins; return their middles."""
        result = []
        for crop in sharp:
            down, right = (int(number) for number in rng.integers(8, size=2))
            coded = self._coded(crop[down:, right:])
            patch = [side - 2 * MARGIN for side in crop.shape[:2]]
            top, left = MARGIN - down, MARGIN - right
            result.append(coded[top : top + patch[0], left : left + patch[1]])
        return np.stack(result)

    def whole(self, sharp: UInt8Image, rng: np.random.Generator) -> UInt8Image:
        """Compress a picture."""
        return self._coded(sharp)

    def _coded(self, sharp: UInt8Image) -> UInt8Image:
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(sharp)).save(
            file, "JPEG", quality=self.quality, subsampling="4:2:0"
        )
        return np.asarray(Image.open(file), dtype=np.uint8)


@final
@dataclass(frozen=True)
class Dark:
    """Light times `gain`, below 1, and rounded to 8 bits again: what was dark is nearly lost."""

    gain: float

    def __post_init__(self) -> None:
        if not 0 < self.gain < 1:
            raise ConfigError(f"dark={self.gain:g}: expected a gain of the light between 0 and 1")

    @property
    def name(self) -> str:
        """The gain, for example "dark0.1"."""
        return f"dark{self.gain:g}"

    @property
    def words(self) -> str:
        """How dark, and in which light."""
        return f"each darkened to {self.gain:g} of its linear light and rounded to 8 bits"

    @property
    def look(self) -> str:
        """It makes pictures dark."""
        return "dark"

    def identity(self) -> dict[str, Any]:
        """Return the gain."""
        return {"degradation": "dark", "gain": self.gain}

    def patches(self, sharp: Patches, rng: np.random.Generator) -> Patches:
        """Darken the middles of patches."""
        return self.whole(_middles(sharp), rng)

    def whole(self, sharp: Patches, rng: np.random.Generator) -> Patches:
        """Darken a picture."""
        values = [round(value * math.pow(self.gain, 1 / GAMMA)) for value in range(256)]
        return np.array(values, np.uint8)[sharp]


def _middles(sharp: Patches) -> Patches:
    return sharp[:, MARGIN:-MARGIN, MARGIN:-MARGIN]


KNOWN_SHAKE = Shaken()
"""The degradation where nobody gives another."""
_BY_NAME: dict[str, Degradation] = {
    "known": KNOWN_SHAKE,
    "shake": KNOWN_SHAKE,
    "random": Shaken("random"),
    "random-shake": Shaken("random"),
}
_BY_NUMBER: dict[str, Callable[[str], Degradation]] = {
    "noise": lambda text: Noisy(float(text)),
    "jpeg": lambda text: Jpeg(int(text)),
    "dark": lambda text: Dark(float(text)),
}
FORMS = ("shake", "random-shake", "noise=SIGMA", "jpeg=QUALITY", "dark=GAIN")
"""How a degradation is written; "random" alone is a random shake, too."""


def degraded_word(spec: str) -> str:
    """Tell in a word how a data set's pictures look before they are restored.

    `spec` is the data set's, for example "photos:noise=25". Pairs of somebody's own are "degraded".
    What can't be read, as of a run by another version, is "blurred".
    """
    kind, _, options = spec.partition(":")
    if kind == "pairs":
        return "degraded"
    for option in options.split(",") if kind == "photos" else ():
        with suppress(ConfigError):  # a seed
            return parse_degradation(option).look
    return KNOWN_SHAKE.look


def parse_degradation(text: str) -> Degradation:
    """Return the degradation that `text` names, in one of `FORMS`; ConfigError for any other."""
    name, equals, number = text.partition("=")
    if text in _BY_NAME:
        return _BY_NAME[text]
    if name not in _BY_NUMBER or not equals:
        raise unknown("degradation", text, [*FORMS, "random"])
    try:
        return _BY_NUMBER[name](number)
    except ValueError as error:
        whole = "a whole number" if name == "jpeg" else "a number"
        raise ConfigError(f"{text}: expected {whole} behind {name}=") from error
