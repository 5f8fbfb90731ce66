"""The third problem of `benchmarks.samplers`: small U-Nets, most of which do nothing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import small_unets
from benchmarks.sampler_scores import hypervolume, losses
from benchmarks.unet_features import UP, of_unet

Floats = npt.NDArray[np.float64]


class SmallUnets:
    """`benchmarks.small_unets`: a table of small U-Nets, most of which do nothing.

    PSNR, latency as float and as int8, and parameters. A search sees the PSNR of one training,
    the first; what counts is the mean of all there are. The table is a seventh of its space.
    """

    networks = 10
    whole = False

    @cached_property
    def rows(self) -> dict[tuple[Any, ...], small_unets.Row]:
        """Networks by their parameters' values."""
        return {
            (row.upsampling, row.activation, row.convolutions, row.widths): row
            for row in small_unets.read()
        }

    @cached_property
    def values(self) -> dict[tuple[Any, ...], Floats]:
        """The four objectives of each network, PSNR as the mean over its trainings."""
        return {
            key: np.array(
                [
                    np.mean(row.psnr_db_by_seed),
                    row.float_ms,
                    row.int8_ms,
                    row.network.graph().parameters(),
                ]
            )
            for key, row in self.rows.items()
        }

    @cached_property
    def reference(self) -> tuple[float, ...]:
        """A twentieth of the networks is worse in each objective."""
        worst = np.quantile(losses(np.array(list(self.values.values()))), 0.95, axis=0)
        return (-float(worst[0]), *np.exp(worst[1:]).tolist())

    def suggested(self, trial: Any) -> dict[str, Any]:
        """Return a trial's parameters."""
        return small_unets.suggested(trial)

    def true(self, parameters: Mapping[str, Any]) -> Floats:
        """Means over trainings, and what was measured or counted."""
        return self.values[self._key(parameters)].copy()

    def seen(self, parameters: Mapping[str, Any], random: np.random.Generator) -> Floats:
        """Return the objectives with one training's PSNR."""
        del random
        seen = self.true(parameters)
        seen[0] = self.rows[self._key(parameters)].psnr_db_by_seed[0]
        return seen

    def best(self, objectives: int, folder: Path) -> float:
        """That of the whole table."""
        del folder
        points = losses(np.array(list(self.values.values())))
        return hypervolume(points[:, :objectives], self.reference)

    def predictor(self, seed: int) -> SmallPredictor:
        """Fitted to ten networks, float and int8."""
        return SmallPredictor(self, seed)

    def features(self, parameters: Mapping[str, Any]) -> dict[str, float]:
        """Return what the network's graph tells."""
        upsampling, activation, convolutions, widths = self._key(parameters)
        return of_unet(upsampling, activation, widths, convolutions, 3, False)

    def look(self, parameters: Mapping[str, Any]) -> dict[int, float]:
        """Return latencies and parameters as a trial is told them: each is measured once."""
        return dict(enumerate(self.true(parameters)[1:].tolist(), 1))

    def holds(self, parameters: Mapping[str, Any]) -> bool:
        """Return whether the network is in the table."""
        return self._key(parameters) in self.rows

    def drawn(self, random: np.random.Generator) -> dict[str, Any]:
        """Return a network of the table, each as likely."""
        keys = list(self.rows)
        upsampling, activation, convolutions, widths = keys[random.integers(len(keys))]
        return {
            "upsampling": upsampling,
            "activation": activation,
            "convolutions": convolutions,
            "levels": len(widths),
            **{f"width{level}": width for level, width in enumerate(widths)},
        }

    @staticmethod
    def _key(parameters: Mapping[str, Any]) -> tuple[Any, ...]:
        levels = range(parameters["levels"])
        widths = tuple(parameters.get(f"width{n}", small_unets.WIDTHS[0]) for n in levels)
        names = ("upsampling", "activation", "convolutions")
        return (*(parameters[name] for name in names), widths)


class SmallPredictor:
    """Time per kind of work: non-negative least squares of relative errors, on ten networks."""

    def __init__(self, problem: SmallUnets, seed: int) -> None:
        from scipy.optimize import nnls

        self._problem = problem
        keys = sorted(problem.rows)
        order = np.random.default_rng([seed, 77]).permutation(len(keys))
        ours = [keys[index] for index in order[: problem.networks]]
        self._others = [keys[index] for index in order[problem.networks :]]
        work = np.array([self._work(key) for key in ours])
        told = np.array([problem.values[key][1:3] for key in ours])
        self._times = np.stack([nnls(work / one[:, None], np.ones(len(ours)))[0] for one in told.T])

    def __call__(self, parameters: Mapping[str, Any]) -> dict[int, float]:
        """Return both latencies in ms."""
        told = self._times @ self._work(self._problem._key(parameters))
        return {index: max(float(ms), 1e-3) for index, ms in enumerate(told, 1)}

    def errors(self) -> Floats:
        """The mean absolute relative errors on the other networks (2)."""
        told = np.array([self._times @ self._work(key) for key in self._others])
        true = np.array([self._problem.values[key][1:3] for key in self._others])
        return np.abs(told / true - 1).mean(axis=0)

    @staticmethod
    def _work(key: tuple[Any, ...]) -> Floats:
        """MACs, elements, PReLU's and the up-sampling's elements, and a constant."""
        upsampling, activation, convolutions, widths = key
        below, macs, elements, moved = 3.0, 0.0, 0.0, 0.0
        for level, width in enumerate(widths):
            pixels = 4.0**-level
            macs += pixels * width * 9 * (below + (convolutions - 1) * width)
            elements += pixels * width * convolutions
            if level < len(widths) - 1:
                risen = widths[level + 1] * UP[upsampling]
                macs += pixels * width * 9 * (risen + convolutions * width)
                elements += pixels * width * convolutions
                moved += pixels * risen
            below = width
        found = np.zeros(7)
        found[:4] = macs / 1e3, elements, elements * (activation == "prelu"), 1.0
        found[4 + list(UP).index(upsampling)] = moved
        return found
