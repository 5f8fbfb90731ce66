"""Blurred and sharp pictures: what networks are trained on, and what they are scored on.

A data set is named by a SPEC:

- `photos`: photographs that ship with scikit-image, one known camera shake; nothing to download.
  `photos:random-shake`: a random shake each. `photos:noise=25`, `photos:jpeg=20`,
  `photos:dark=0.1`: other tasks. `photos:seed=7`, `photos:noise=25,seed=7`: other patches.
- `reds:PATH`: REDS as it unpacks. Held out: `reds-val300-p9`.
- `gopro:PATH,blur` or `gopro:PATH,blur_gamma`: GoPro as it unpacks, or flat folders.
- `pairs:BLURRED_DIR,SHARP_DIR`: your own pictures, matched by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from nas.data.folders import Folders
from nas.data.layouts import list_folders
from nas.data.pack import Pack, Progress
from nas.data.pair import Pair
from nas.data.photos import parse_photos
from nas.errors import ConfigError, unknown

__all__ = ["SPECS", "Dataset", "Pack", "Pair", "Progress", "open_dataset", "split_spec"]

# How each kind of data set is written, for messages.
SPECS = {
    "photos": "photos[:shake|random-shake|noise=SIGMA|jpeg=QUALITY|dark=GAIN][,seed=N]",
    "reds": "reds:PATH",
    "gopro": "gopro:PATH,blur|blur_gamma",
    "pairs": "pairs:BLURRED_DIR,SHARP_DIR",
}


class Dataset(Protocol):
    """Pairs to train on, and others that are held out."""

    @property
    def spec(self) -> str:
        """The SPEC as the user gave it."""
        ...

    @property
    def default_patch(self) -> int:
        """The side of the data set's training patches where nobody gives another, in pixels."""
        ...

    @property
    def split(self) -> str:
        """The name of the held-out split, for example "reds-val300-p9"."""
        ...

    @property
    def task(self) -> str:
        """A sentence for reports: which blur, which pictures, known or random shake."""
        ...

    def identity(self) -> dict[str, Any]:
        """Return JSON types that are equal exactly where training patches and held-out pictures
        are.

        They don't depend on where the data lie, so they are the same on every machine.
        """
        ...

    def heldout(self) -> Iterator[Pair]:
        """Yield the held-out pairs, read one by one, always in the same order."""
        ...

    def prepare(self, patch: int, progress: Progress | None = None) -> Pack:
        """Return the pack of training patches, at least `patch` pixels a side; it is built where it
        is missing.

        `progress(done, total, name)` is called before every unit (clip, photograph) and at the end.
        Not to be called inside `nas.system.host_lock.working`. Raises ConfigError where `patch`
        doesn't fit, DataError where a picture is damaged, RunError where the disk has not enough
        space.
        """
        ...


def open_dataset(spec: str) -> Dataset:
    """Return the data set that `spec` names.

    Raises ConfigError where the spec is not understood, DataError where its folder is unusable.
    """
    kind, rest = split_spec(spec)
    if kind == "photos":
        return parse_photos(spec, rest)
    return Folders(spec, list_folders(spec, kind, rest))


def split_spec(spec: str) -> tuple[str, str]:
    """Return the kind and what follows its colon; ConfigError, listing the kinds, on an unknown
    one.
    """
    kind, _, rest = spec.partition(":")
    if kind not in SPECS:
        written = "; ".join(SPECS.values())
        raise ConfigError(f"{unknown('data set', kind, SPECS)}. To be written as {written}")
    return kind, rest
