"""How well an artifact restores the held-out pictures: measured on the file that ships."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nas.data import Pair
from nas.errors import TrainingError
from nas.evaluation import Needs, Subject
from nas.metrics import PSNR_ID, SSIM_ID, Metric, psnr_db, ssim
from nas.quiethost import working
from nas.runtime import Artifact
from nas.tiles import restore_any_size

# Of 60 healthy short trainings none came this near to the blurred pictures' own PSNR.
DEAD_WITHIN_DB = 0.02


@dataclass(frozen=True)
class Score:
    """Figures of one artifact, or of the blurred pictures themselves, over a set of pictures."""

    psnr_db: float
    ssim: float
    input_psnr_db: float
    pictures: int
    fitting: str


@dataclass(frozen=True)
class Quality:
    """`psnr_db` and `ssim` of the `.tflite` on the held-out pictures, and `psnr_db_input`.

    The artifact has a fixed size: a picture of another one is mirrored at its edges up to that
    size, or cut into overlapping tiles, and the conditions say so.
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
        if abs(score.psnr_db - score.input_psnr_db) < DEAD_WITHIN_DB:
            raise TrainingError(
                f"the training died: the network only repeats its input ({score.psnr_db:.2f} dB, "
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
    artifact = Artifact(path, threads=threads)
    rows, fittings = [], set()
    for pair in pairs:
        with working():
            restored, fitting = restore_any_size(artifact, pair.blurred)
            rows.append(
                (
                    psnr_db(restored, pair.sharp),
                    ssim(restored, pair.sharp),
                    psnr_db(pair.blurred, pair.sharp),
                )
            )
        fittings.add(fitting)
    if not rows:
        raise ValueError("no held-out pictures to score on")
    means = np.mean(rows, axis=0)
    return Score(
        float(means[0]), float(means[1]), float(means[2]), len(rows), " / ".join(sorted(fittings))
    )
