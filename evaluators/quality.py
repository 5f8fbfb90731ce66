"""The quality of an artifact on the held-out pictures, measured on the file that ships."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from queue import SimpleQueue
from typing import Any, ClassVar, final

import numpy as np

from evaluators.float_form import runnable
from nas.data import Pair
from nas.data.image_quality import PSNR_ID, SSIM_ID, UInt8Image, psnr_db, ssim
from nas.errors import ConversionError, TrainingError
from nas.study.evaluator import Needs, Subject
from nas.study.metric import Metric
from nas.system.host_lock import working
from nas.tflite.file import read_tflite
from nas.tflite.interpreter import Artifact
from nas.tflite.resizing import at_size
from nas.tflite.tiling import restore_any_size

DEAD_WITHIN_LEVELS = 0.5
"""A network that changes pictures by less, in levels of 255, died in training.

A network whose activations died adds the same to every pixel (a bias: its PSNR may even be a bit
over the input's), or gives one constant picture. The standard deviation is 0.02 for a dead network,
12 and more for healthy ones.
"""
AT_ONCE = 2
"""Pictures scored at once. It saves a fifth of a short trial; more would need others' memory."""
OWN_SIZE_PIXELS = 2**20
"""The largest picture that is run whole: beyond it a network may need gigabytes of memory."""


@dataclass(frozen=True)
class Score:
    """The figures of one artifact over a set of pictures.

    `psnr_db` and `ssim` are means over pictures; `input_psnr_db` is the mean PSNR of the blurred
    pictures themselves. `change_levels` is the largest standard deviation of output less input, in
    levels of 255, `output_levels` that of the output itself. `pictures` counts the pictures,
    `fitting` says how they were fitted to the artifact's size.
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
    """Measures `psnr_db` and `ssim` of the `.tflite` on held-out pictures, and `psnr_db_input`.

    The artifact has a fixed size. A smaller picture is mirrored at its edges up to that size; a
    larger one is run through the same file with its shapes (nothing else) set to the picture's
    size, or cut into overlapping tiles where that can't be. The conditions say which.
    """

    threads: int = 1
    needs: ClassVar[Needs] = "weights"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """Name the figures."""
        return ("psnr_db", "ssim", "psnr_db_input")

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        """Score the artifact; raises TrainingError where the network died in training."""
        if subject.artifact is None:
            raise ValueError("a quality needs an artifact")
        score = score_artifact(subject.artifact, subject.dataset.heldout(), self.threads)
        if min(score.change_levels, score.output_levels) < DEAD_WITHIN_LEVELS:
            does = "repeats its input" if score.output_levels > 1 else "gives a constant picture"
            raise TrainingError(
                f"the training died: the network only {does} ({score.psnr_db:.2f} dB, "
                f"its input has {score.input_psnr_db:.2f} dB). Lower the learning rate "
                "or lengthen the warm-up"
            )
        on = f"{subject.dataset.split}, {score.pictures} pictures, {score.fitting}"
        return {
            "psnr_db": Metric(score.psnr_db, "measured", PSNR_ID, conditions=on),
            "ssim": Metric(score.ssim, "measured", SSIM_ID, conditions=on),
            "psnr_db_input": Metric(score.input_psnr_db, "measured", PSNR_ID, conditions=on),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluator as JSON types."""
        return {"name": "quality", "psnr": PSNR_ID, "ssim": SSIM_ID}


def score_artifact(path: Path, pairs: Iterable[Pair], threads: int = 1) -> Score:
    """Run a `.tflite` over blurred pictures and compare with the sharp ones.

    Raises ValueError where there are no pictures.
    """
    rows: list[list[float]] = []
    fittings: set[str] = set()
    note = ""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        idle: SimpleQueue[_PictureRunner] = SimpleQueue()

        def of(pair: Pair) -> tuple[list[float], str]:
            runner = idle.get()
            try:
                with working():  # a picture is a slice: whoever waits to measure goes first
                    return _row(runner, pair)
            finally:
                idle.put(runner)

        running: deque[Future[tuple[list[float], str]]] = deque()
        for pair in pairs:
            if not rows and not running:
                content, note = runnable(path, pair.blurred)
                _, height, width, _ = read_tflite(path).inputs[0].shape
                for _ in range(AT_ONCE):
                    idle.put(_PictureRunner(content, path, (height, width), threads))
            running.append(pool.submit(of, pair))
            if len(running) > AT_ONCE:  # not all pictures of a large set at a time
                _gather(running, rows, fittings)
        while running:
            _gather(running, rows, fittings)
    if not rows:
        raise ValueError("no held-out pictures to score on")
    psnrs, ssims, inputs, changes, outputs = np.array(rows).T
    return Score(
        float(psnrs.mean()),
        float(ssims.mean()),
        float(inputs.mean()),
        float(changes.max()),
        float(outputs.max()),
        len(rows),
        " / ".join(sorted(fittings)) + note,
    )


def _gather(
    running: deque[Future[tuple[list[float], str]]], rows: list[list[float]], fittings: set[str]
) -> None:
    row, fitting = running.popleft().result()
    rows.append(row)
    fittings.add(fitting)


def _row(runner: _PictureRunner, pair: Pair) -> tuple[list[float], str]:
    """Score a picture; returns the figures of `Score`, and in words how it was fitted."""
    restored, fitting = runner.restore(pair.blurred)
    row = [
        psnr_db(restored, pair.sharp),
        ssim(restored, pair.sharp),
        psnr_db(pair.blurred, pair.sharp),
        float(np.std(restored.astype(np.float32) - pair.blurred)),
        float(np.std(restored)),
    ]
    return row, fitting


@final
class _PictureRunner:
    """Runs a file on pictures of every size; for one thread at a time."""

    def __init__(self, content: bytes, path: Path, deployed: tuple[int, int], threads: int) -> None:
        self._content, self._path = content, path
        self._deployed, self._threads = deployed, threads
        self._at_size: dict[tuple[int, int], Artifact | None] = {}

    @cached_property
    def _artifact(self) -> Artifact:
        return Artifact(self._content, self._threads, str(self._path))

    def restore(self, picture: UInt8Image) -> tuple[UInt8Image, str]:
        """Restore a picture; returns the result, and in words how it was fitted."""
        height, width = picture.shape[:2]
        high, wide = self._deployed
        larger = height > high or width > wide
        if larger and height * width <= max(OWN_SIZE_PIXELS, 2 * high * wide):
            own = self._of_size(height, width)
            if own is not None:
                return own.restore(picture), "larger ones whole, by the same file at their size"
        return restore_any_size(self._artifact, picture)

    def _of_size(self, height: int, width: int) -> Artifact | None:
        if (height, width) not in self._at_size:
            try:
                artifact = Artifact(at_size(self._content, height, width), self._threads)
            except ConversionError:  # its poolings don't divide this size
                artifact = None
            self._at_size[height, width] = artifact
        return self._at_size[height, width]
