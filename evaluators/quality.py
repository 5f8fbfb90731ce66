"""How well an artifact restores the held-out pictures: measured on the file that ships."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np

from evaluators.stand_in import runnable
from nas.data import Pair
from nas.errors import ConversionError, TrainingError
from nas.evaluation import Needs, Subject
from nas.metrics import PSNR_ID, SSIM_ID, Metric, UInt8Image, psnr_db, ssim
from nas.quiethost import working
from nas.runtime import Artifact
from nas.tflite_edit import at_size
from nas.tiles import restore_any_size

# A network whose activations died adds the same to every pixel (a bias: its PSNR may even be a bit
# over the input's), or gives one constant picture. Measured as standard deviations in
# levels of 255: 0.02 for a dead network, 12 and more for healthy ones.
DEAD_WITHIN_LEVELS = 0.5
OWN_SIZE_PIXELS = 2**20  # of a picture that is run whole; beyond, a network's memory may be GBs


@dataclass(frozen=True)
class Score:
    """Figures of one artifact over a set of pictures.

    `input_psnr_db` is the blurred pictures' own; `change_levels` how much the artifact changes a
    picture: the largest standard deviation of output less input, in levels of 255;
    `output_levels` the largest one of the output itself.
    """

    psnr_db: float
    ssim: float
    input_psnr_db: float
    change_levels: float
    output_levels: float
    pictures: int
    fitting: str


@dataclass(frozen=True)
class Quality:
    """`psnr_db` and `ssim` of the `.tflite` on the held-out pictures, and `psnr_db_input`.

    The artifact has a fixed size. A smaller picture is mirrored at its edges up to that size; a
    larger one is run through the same file with its shapes (nothing else) set to the picture's
    size, or cut into overlapping tiles where that can't be. The conditions say which.
    """

    threads: int = 1
    needs: ClassVar[Needs] = "weights"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """The figures' names."""
        return ("psnr_db", "ssim", "psnr_db_input")

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        """Score the artifact; TrainingError where it only repeats its input."""
        if subject.artifact is None:
            raise ValueError("a quality needs an artifact")
        score = score_artifact(subject.artifact, subject.dataset.heldout(), self.threads)
        if min(score.change_levels, score.output_levels) < DEAD_WITHIN_LEVELS:
            does = "repeats its input" if score.output_levels > 1 else "gives a constant picture"
            raise TrainingError(
                f"the training died: the network only {does} ({score.psnr_db:.2f} dB, "
                f"the blurred pictures have {score.input_psnr_db:.2f} dB). Lower the learning rate "
                "or lengthen the warm-up"
            )
        on = f"{subject.dataset.split}, {score.pictures} pictures, {score.fitting}"
        return {
            "psnr_db": Metric(score.psnr_db, "measured", PSNR_ID, conditions=on),
            "ssim": Metric(score.ssim, "measured", SSIM_ID, conditions=on),
            "psnr_db_input": Metric(score.input_psnr_db, "measured", PSNR_ID, conditions=on),
        }

    def to_dict(self) -> dict[str, Any]:
        """The evaluator as JSON types."""
        return {"name": "quality", "psnr": PSNR_ID, "ssim": SSIM_ID}


def score_artifact(path: Path, pairs: Iterable[Pair], threads: int = 1) -> Score:
    """Run a `.tflite` over blurred pictures and compare with the sharp ones.

    Raises ValueError where there are no pictures.
    """
    runner: _Runner | None = None
    rows, fittings = [], set()
    for pair in pairs:
        with working():
            if runner is None:
                runner = _Runner(path, pair.blurred, threads)
            restored, fitting = runner.restore(pair.blurred)
            rows.append(
                (
                    psnr_db(restored, pair.sharp),
                    ssim(restored, pair.sharp),
                    psnr_db(pair.blurred, pair.sharp),
                    float(np.std(restored.astype(np.float32) - pair.blurred)),
                    float(np.std(restored)),
                )
            )
        fittings.add(fitting)
    if runner is None:
        raise ValueError("no held-out pictures to score on")
    psnrs, ssims, inputs, changes, outputs = np.array(rows).T
    return Score(
        float(psnrs.mean()),
        float(ssims.mean()),
        float(inputs.mean()),
        float(changes.max()),
        float(outputs.max()),
        len(rows),
        " / ".join(sorted(fittings)) + runner.note,
    )


@final
class _Runner:
    """A file for pictures of every size."""

    def __init__(self, path: Path, picture: UInt8Image, threads: int) -> None:
        self._content, self.note = runnable(path, picture)
        self._threads = threads
        self._artifact = Artifact(self._content, threads, str(path))
        self._at_size: dict[tuple[int, int], Artifact | None] = {}

    def restore(self, picture: UInt8Image) -> tuple[UInt8Image, str]:
        """The restored picture, and how it was fitted."""
        height, width = picture.shape[:2]
        deployed = (self._artifact.height, self._artifact.width)
        larger = height > deployed[0] or width > deployed[1]
        if larger and height * width <= max(OWN_SIZE_PIXELS, 2 * deployed[0] * deployed[1]):
            own = self._of_size(height, width)
            if own is not None:
                return own.restore(picture), "larger ones whole, by the same file at their size"
        return restore_any_size(self._artifact, picture)

    def _of_size(self, height: int, width: int) -> Artifact | None:
        if (height, width) not in self._at_size:
            try:
                made = Artifact(at_size(self._content, height, width), self._threads)
            except ConversionError:  # its poolings don't divide this size
                made = None
            self._at_size[height, width] = made
        return self._at_size[height, width]
