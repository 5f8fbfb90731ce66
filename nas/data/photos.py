"""The photographs that ship inside scikit-image's wheel, degraded: nothing to download.

Sixteen of them: eleven serve training, five (`HELD_OUT`) are never trained on. A scene's pictures
stay on one side: both eyes of the stereo pair are training pictures. Grey ones are repeated to RGB.

`photos` uses one known curved shake of about 9 pixels for every picture, so that a small network
learns to undo it in minutes: a demonstration. Before deblurring the five held-out pictures have a
mean PSNR of 25.59 dB (chelsea 28.85, coffee 24.61, rocket 26.54, grass 19.24, text 28.71).
`photos:random-shake` (or `photos:random`) draws another shake for every patch and every held-out
picture (25.45 dB): what blind deblurring is about, and nothing that small networks learn in
minutes. `photos:noise=SIGMA`, `photos:jpeg=QUALITY` and `photos:dark=GAIN` are other tasks on the
same pictures (`nas.data.degradations`).
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt
from PIL import Image

from nas.data.degradations import FORMS, KNOWN_SHAKE, Degradation, parse_degradation
from nas.data.image_quality import UInt8Image
from nas.data.pack import Pack, PatchPairs, Progress, Unit, open_or_build
from nas.data.pair import Pair
from nas.data.pictures import read_picture
from nas.data.shake import MARGIN
from nas.errors import ConfigError, DataError, unknown
from nas.system.hashing import content_key, file_sha256

# Photographs of scikit-image to train on.
TRAINING = (
    "astronaut.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "ihc.png",
    "retina.jpg",
    "hubble_deep_field.jpg",
    "camera.png",
    "brick.png",
    "gravel.png",
    "coins.png",
    "page.png",
)
# Photographs of scikit-image that are never trained on.
HELD_OUT = ("chelsea.png", "coffee.png", "rocket.jpg", "grass.png", "text.png")
PATCH = 48  # pixels a side, where nobody gives another
PATCHES = 4096  # in a pack, of patches up to 64x64
TEXTURE = 0.02  # a patch's least mean gradient, in shares of the full range a pixel
SCALES = (1.0, 0.6)  # at which each photograph gives patches
_NAMES = [form.partition("=")[0] for form in FORMS]
_CHUNK = 64  # patches degraded at a time
_BORDER = 8  # pixels cut off a held-out picture, whose blur there depends on what is outside
_MULTIPLE = 16  # a held-out picture's sides divide by this, so that networks fit without padding


@final
@dataclass(frozen=True)
class Photos:
    """The photographs of the module's docstring, with a degradation.

    `seed` draws the training patches and what is random in degrading them; the held-out pictures
    and theirs are always the same.
    """

    spec: str
    degradation: Degradation = KNOWN_SHAKE
    seed: int = 0

    default_patch = PATCH

    @property
    def split(self) -> str:
        """The name of the held-out split, for example "photos-heldout" or
        "photos-noise25-heldout".
        """
        return "-".join(filter(None, ["photos", self.degradation.name, "heldout"]))

    @property
    def task(self) -> str:
        """A sentence for reports: what was done, and to which pictures."""
        return (
            f"photographs that ship with scikit-image, {self.degradation.words}; "
            f"{len(TRAINING)} to train on, {len(HELD_OUT)} others held out"
        )

    def identity(self) -> dict[str, Any]:
        """Return everything that decides training patches and held-out pictures, as JSON types."""
        photographs = {
            name: file_sha256(photograph_path(name))[:16] for name in (*TRAINING, *HELD_OUT)
        }
        return {
            "kind": "photos",
            "version": 1,  # of this module's way to make patches
            **self.degradation.identity(),
            "seed": self.seed,
            "texture": TEXTURE,
            "training": list(TRAINING),
            "heldout": list(HELD_OUT),
            "photographs": content_key(photographs),
        }

    def heldout(self) -> Iterator[Pair]:
        """Yield the five held-out photographs, degraded: each side a multiple of 16, 624x496 at
        most.
        """
        for index in range(len(HELD_OUT)):
            yield _heldout(index, self.degradation)

    def prepare(self, patch: int, progress: Progress | None = None) -> Pack:
        """Return patches of `patch` x `patch`, chosen for texture.

        The photographs were turned, mirrored and shrunk before they were degraded (afterwards would
        change the known shake). There are 4096 patches up to 64x64, fewer of larger ones; an equal
        share from each photograph. Raises ConfigError where no photograph is large enough.
        """
        return open_or_build(
            "photos", self.identity(), patch, partial(self._units, patch), progress
        )

    def patches(self, patch: int) -> int:
        """Return how many patches `prepare` of the same side packs; ConfigError where none fits."""
        return sum(unit.count for unit in self._units(patch))

    def _units(self, patch: int) -> Sequence[Unit]:
        sources = {name: _sources(name, patch) for name in TRAINING}
        usable = [name for name in TRAINING if sources[name]]
        if not usable:
            raise ConfigError(
                f"no photograph holds a patch of {patch}x{patch} and the reach of the shake; "
                "choose a smaller patch"
            )
        total = min(PATCHES, max(256, PATCHES * 64**2 // patch**2))
        share = math.ceil(total / len(usable))
        return [
            Unit(name, share, partial(self._patches, index, sources[name], share, patch))
            for index, name in enumerate(usable)
        ]

    def _patches(
        self, index: int, sources: Sequence[_Source], count: int, patch: int
    ) -> Iterator[PatchPairs]:
        rng = np.random.default_rng((self.seed, 1, index))
        for start in range(0, count, _CHUNK):
            crops = [
                sources[i % len(sources)].crop(rng, patch)
                for i in range(start, min(start + _CHUNK, count))
            ]
            sharp = np.stack(crops)
            blurred = self.degradation.patches(sharp, rng)
            inner = sharp[:, MARGIN : MARGIN + patch, MARGIN : MARGIN + patch]
            yield np.stack([blurred, inner], axis=1)


def parse_photos(spec: str, options: str) -> Photos:
    """Return the data set of `photos`, `photos:noise=25` or `photos:random-shake,seed=7`.

    `options` is the part behind the colon: a degradation, a seed, both or none. Raises ConfigError
    where it is of another form.
    """
    degradation: Degradation | None = None
    seed = 0
    for option in filter(None, options.split(",")):
        name, _, value = option.partition("=")
        if name == "seed" and value.isdecimal():
            seed = int(value)
            continue
        if option not in ("known", "random") and name not in _NAMES:
            raise unknown(f"option of {spec!r}", option, [*FORMS, "random", "seed=0"])
        if degradation is not None:
            raise ConfigError(f"{spec!r} has several degradations; expected one at most")
        degradation = parse_degradation(option)
    return Photos(spec, degradation or KNOWN_SHAKE, seed=seed)


def photograph_path(name: str) -> Path:
    """Return the path of a photograph of scikit-image's wheel; DataError where it is missing."""
    spec = importlib.util.find_spec("skimage")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "data" / name
        if path.is_file():
            return path
    raise DataError(
        f"scikit-image's photograph {name} is not installed; install scikit-image 0.25 or 0.26 "
        "from its wheel"
    )


def read_photograph(name: str) -> UInt8Image:
    """Return a photograph of scikit-image's wheel, uint8 (height, width, 3)."""
    return read_picture(photograph_path(name))


@cache
def _heldout(index: int, degradation: Degradation) -> Pair:
    """Return a held-out photograph; it stays in memory (9 MB in all), as every trial
    asks for it.
    """
    sharp = read_photograph(HELD_OUT[index])
    degraded = degradation.whole(sharp, np.random.default_rng((0, 2, index)))
    pair = Pair(Path(HELD_OUT[index]).stem, _inner(degraded), _inner(sharp))
    pair.blurred.flags.writeable = pair.sharp.flags.writeable = False
    return pair


@dataclass(frozen=True)
class _Source:
    """A photograph at one scale, and the corners (y, x) where a textured patch may start."""

    image: UInt8Image
    corners: npt.NDArray[np.int64]

    def crop(self, rng: np.random.Generator, patch: int) -> UInt8Image:
        """Return a patch with the margin that blurring needs, turned and mirrored one of eight
        ways.
        """
        top, left = self.corners[rng.integers(len(self.corners))]
        side = patch + 2 * MARGIN
        crop = np.rot90(self.image[top : top + side, left : left + side], int(rng.integers(4)))
        mirrored = bool(rng.integers(2))
        return np.ascontiguousarray(crop[:, ::-1] if mirrored else crop)


def _sources(name: str, patch: int) -> list[_Source]:
    image = read_photograph(name)
    sources = []
    for scale in SCALES:
        scaled = _shrunk(image, scale)
        if min(scaled.shape[:2]) >= patch + 2 * MARGIN:
            corners = _textured(scaled, patch)
            if len(corners):
                sources.append(_Source(scaled, corners))
    return sources


def _shrunk(image: UInt8Image, scale: float) -> UInt8Image:
    if scale == 1:
        return image
    height, width = (round(side * scale) for side in image.shape[:2])
    shrunk = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(shrunk, dtype=np.uint8)


def _textured(image: UInt8Image, patch: int) -> npt.NDArray[np.int64]:
    """Return where, margin included, a patch may start whose mean gradient is over `TEXTURE`."""
    grey = image.mean(axis=2) / 255
    down, right = np.gradient(grey)
    sums = np.zeros((grey.shape[0] + 1, grey.shape[1] + 1))
    sums[1:, 1:] = np.hypot(down, right).cumsum(axis=0).cumsum(axis=1)
    inner = sums[MARGIN : sums.shape[0] - MARGIN, MARGIN : sums.shape[1] - MARGIN]
    window = inner[patch:, patch:] - inner[:-patch, patch:] - inner[patch:, :-patch]
    mean = (window + inner[:-patch, :-patch]) / patch**2
    return np.argwhere(mean >= TEXTURE)


def _inner(image: UInt8Image) -> UInt8Image:
    height, width = ((side - 2 * _BORDER) // _MULTIPLE * _MULTIPLE for side in image.shape[:2])
    return np.ascontiguousarray(image[_BORDER : _BORDER + height, _BORDER : _BORDER + width])
