"""The three problems of `benchmarks.samplers`: one smooth and made, two measured and small.

A problem gives a trial's parameters, what a candidate is worth, what a sampler sees of that, the
hypervolume's reference point, and what is known without a training: a latency predictor as one has
it before a search, features of the graph, and a look at the costs. The first objective is PSNR in
dB, made large; the others are made small and count as logarithms.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

import moocore
import numpy as np
import numpy.typing as npt

from benchmarks import paper_cells as cells
from benchmarks import unet_table
from benchmarks.sampler_scores import hypervolume, losses
from benchmarks.sampler_small import SmallUnets
from benchmarks.unet_features import of_unet
from nas.system.files import read_json, write_json

Floats = npt.NDArray[np.float64]
MOST = 4


class Problem(Protocol):
    """A problem that searches are compared on."""

    @property
    def reference(self) -> tuple[float, ...]:
        """The hypervolume's reference point, in the objectives' units."""

    def suggested(self, trial: Any) -> dict[str, Any]:
        """Return a trial's parameters."""

    def true(self, parameters: Mapping[str, Any]) -> Floats:
        """Return the four objectives of a candidate, without noise."""

    def seen(self, parameters: Mapping[str, Any], random: np.random.Generator) -> Floats:
        """Return the four objectives of a candidate as a search gets them."""

    def best(self, objectives: int, folder: Path) -> float:
        """The hypervolume that a search is put in relation to."""

    def predictor(self, seed: int) -> Any:
        """Return a function from parameters to latencies by objective; it has `errors()`."""

    def features(self, parameters: Mapping[str, Any]) -> dict[str, float]:
        """Return what a candidate's graph tells."""

    def look(self, parameters: Mapping[str, Any]) -> dict[int, float]:
        """Return the costs of a candidate by objective, measured without a training."""

    @property
    def whole(self) -> bool:
        """Whether there is every candidate of the space: a table may be a part of it."""

    def holds(self, parameters: Mapping[str, Any]) -> bool:
        """Return whether there is such a candidate."""

    def drawn(self, random: np.random.Generator) -> dict[str, Any]:
        """Return a candidate that there is, drawn at random; only where not all are there."""


class PaperCells:
    """`benchmarks.paper_cells`: PSNR and the latencies of three phones."""

    reference = (27.0, 60_000.0, 1_500.0, 20_000.0)
    """dB and ms: a third of random networks have a lower PSNR, a tenth each higher latencies."""
    networks = 40
    whole = True

    def suggested(self, trial: Any) -> dict[str, Any]:
        """Return a trial's nine parameters."""
        return cells.suggested(trial)

    def true(self, parameters: Mapping[str, Any]) -> Floats:
        """Return the objectives without noise."""
        return self._value(tuple(cells.row_of(parameters).tolist())).copy()

    @staticmethod
    @cache
    def _value(row: tuple[int, ...]) -> Floats:
        """Return the objectives of a row, worked out once: a look is followed by a trial."""
        return cells.values(np.array(row)[None])[0]

    def seen(self, parameters: Mapping[str, Any], random: np.random.Generator) -> Floats:
        """Return the objectives with noise of 0.05 dB and 2 %."""
        seen = self.true(parameters)
        seen[0] += cells.NOISE[0] * random.standard_normal()
        seen[1:] *= np.exp(cells.NOISE[1] * random.standard_normal(len(seen) - 1))
        return seen

    def predictor(self, seed: int) -> cells.LinearPredictor:
        """Return a predictor that is fitted to 40 networks."""
        return cells.LinearPredictor(self.networks, seed)

    def features(self, parameters: Mapping[str, Any]) -> dict[str, float]:
        """Return what the pruned network's graph tells."""
        left = (1 - parameters["pruned_share"]) ** 0.5
        widths = [max(4, 4 * int(parameters[f"width_{n}"] * left / 4 + 0.5)) for n in range(5)]
        integer = parameters["precision"] != "float"
        return of_unet(parameters["upsampling"], parameters["activation"], widths, 4, 7, integer)

    def look(self, parameters: Mapping[str, Any]) -> dict[int, float]:
        """Return latencies with noise of 2 %, the same for the same candidate."""
        row = cells.row_of(parameters)
        noise = np.random.default_rng(row.tolist()).standard_normal(len(cells.PHONES))
        told = self.true(parameters)[1:] * np.exp(cells.NOISE[1] * noise)
        return {index: float(ms) for index, ms in enumerate(told, 1)}

    def holds(self, parameters: Mapping[str, Any]) -> bool:
        """Return True: every combination has a model."""
        return True

    def drawn(self, random: np.random.Generator) -> dict[str, Any]:
        """Raise NotImplementedError: nobody asks where all are there."""
        raise NotImplementedError

    def best(self, objectives: int, folder: Path) -> float:
        """Return the hypervolume that a long evolution reaches; kept in `folder`."""
        path = folder / f"reference-k{objectives}.json"
        if path.exists():
            return float(read_json(path)["hypervolume"])
        random = np.random.default_rng(0)
        rows = cells.drawn(random, 20_000)
        points = losses(cells.values(rows))[:, :objectives]
        evaluated, history = len(rows), []
        for _ in range(60):
            kept = moocore.is_nondominated(points)
            rows, points = rows[kept], points[kept]
            history.append(hypervolume(points, self.reference))
            parents = rows[random.integers(0, len(rows), (4000, 2))]
            pick = random.integers(0, 2, (4000, rows.shape[1])) * (random.random((4000, 1)) < 0.5)
            children = np.where(pick, parents[:, 1], parents[:, 0])
            change = random.random(children.shape) < 1.5 / children.shape[1]
            children = np.unique(np.where(change, cells.drawn(random, 4000), children), axis=0)
            evaluated += len(children)
            rows = np.concatenate([rows, children])
            points = np.concatenate([points, losses(cells.values(children))[:, :objectives]])
        best = hypervolume(points, self.reference)
        gain = best / history[-10] - 1
        write_json(path, {"hypervolume": best, "evaluations": evaluated, "last_ten_rounds": gain})
        return best


class UnetTable:
    """`benchmarks.unet_table`: U-Nets that were trained and timed; nothing about it is modelled.

    A search sees one training's PSNR; what counts is the mean over seeds where there are several.
    """

    networks = 10
    whole = True
    costs = ("latency_ms", "file_bytes", "peak_memory_mb")

    @cached_property
    def rows(self) -> dict[tuple[Any, ...], unet_table.Row]:
        """Candidates by their parameters' values."""
        return {self._key(vars(row)): row for row in unet_table.read()}

    @cached_property
    def space(self) -> dict[str, tuple[Any, ...]]:
        """The grid: every combination is in the table."""
        widths = {f"width{level}": choices for level, choices in enumerate(unet_table.WIDTHS)}
        return {
            "upsampling": unet_table.UPSAMPLINGS,
            "activation": unet_table.ACTIVATIONS,
            **widths,
            "precision": unet_table.PRECISIONS,
        }

    @cached_property
    def reference(self) -> tuple[float, ...]:
        """A twentieth of the candidates is worse in each objective."""
        worst = np.quantile(self._all, 0.95, axis=0)
        return (-float(worst[0]), *np.exp(worst[1:]).tolist())

    @cached_property
    def _all(self) -> Floats:
        return losses(np.array([self._values(row) for row in self.rows.values()]))

    def suggested(self, trial: Any) -> dict[str, Any]:
        """Return a trial's six parameters."""
        return {name: trial.suggest_categorical(name, many) for name, many in self.space.items()}

    def true(self, parameters: Mapping[str, Any]) -> Floats:
        """Means over seeds, and what was measured."""
        return self._values(self.row(parameters))

    def row(self, parameters: Mapping[str, Any]) -> unet_table.Row:
        """Return a candidate's row of the table."""
        return self.rows[self._key(parameters)]

    def seen(self, parameters: Mapping[str, Any], random: np.random.Generator) -> Floats:
        """Return the objectives with one training's PSNR."""
        del random
        row = self.row(parameters)
        return np.array([row.psnr_db_seed0, *self._values(row)[1:]])

    def best(self, objectives: int, folder: Path) -> float:
        """That of the whole table."""
        del folder
        return hypervolume(self._all[:, :objectives], self.reference)

    def predictor(self, seed: int) -> TablePredictor:
        """Fitted to ten networks, float and int8."""
        return TablePredictor(self, seed)

    def features(self, parameters: Mapping[str, Any]) -> dict[str, float]:
        """Return what the network's graph tells."""
        widths = [parameters[f"width{level}"] for level in range(3)]
        integer = parameters["precision"] != "float"
        return of_unet(parameters["upsampling"], parameters["activation"], widths, 1, 5, integer)

    def look(self, parameters: Mapping[str, Any]) -> dict[int, float]:
        """Return latency, bytes and memory as a trial is told them: each is measured once."""
        return dict(enumerate(self.true(parameters)[1:].tolist(), 1))

    def holds(self, parameters: Mapping[str, Any]) -> bool:
        """Return True: the table is a whole grid."""
        return True

    def drawn(self, random: np.random.Generator) -> dict[str, Any]:
        """Raise NotImplementedError: nobody asks where all are there."""
        raise NotImplementedError

    def _values(self, row: unet_table.Row) -> Floats:
        return np.array([row.psnr_db, *(getattr(row, name) for name in self.costs)])

    def _key(self, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(parameters[name] for name in self.space)


class TablePredictor:
    """Time per kind of work: non-negative least squares of relative errors, on ten networks."""

    def __init__(self, problem: UnetTable, seed: int) -> None:
        from scipy.optimize import nnls

        rows = list(problem.rows.values())
        nets = sorted({self._net(row) for row in rows})
        random = np.random.default_rng([seed, 77])
        chosen = {nets[index] for index in random.permutation(len(nets))[: problem.networks]}
        self._others = [row for row in rows if self._net(row) not in chosen]
        ours = [row for row in rows if self._net(row) in chosen]
        told = np.array([row.latency_ms for row in ours])
        work = np.array([self._work(vars(row)) for row in ours])
        self._times = nnls(work / told[:, None], np.ones(len(ours)))[0]

    def __call__(self, parameters: Mapping[str, Any]) -> dict[int, float]:
        """Return the latency in ms."""
        return {1: max(float(self._times @ self._work(parameters)), 1e-3)}

    def errors(self) -> Floats:
        """The mean absolute relative error on the other networks (1)."""
        told = [self(vars(row))[1] / row.latency_ms - 1 for row in self._others]
        return np.array([np.abs(told).mean()])

    @staticmethod
    def _net(row: unet_table.Row) -> tuple[Any, ...]:
        return (row.upsampling, row.activation, row.width0, row.width1, row.width2)

    @staticmethod
    def _work(parameters: Mapping[str, Any]) -> Floats:
        """MACs, elements, PReLU's and the up-sampling's elements, each by precision."""
        widths = [parameters[f"width{level}"] for level in range(3)]
        up = unet_table.UPSAMPLINGS.index(parameters["upsampling"])
        prelu = parameters["activation"] == "prelu"
        below, macs, elements, moved = 3, 0.0, 0.0, 0.0
        for level, width in enumerate(widths):
            pixels = 4.0**-level
            macs += pixels * width * below * (25 if level == 0 else 9)
            elements += pixels * width
            if level < len(widths) - 1:
                risen = widths[level + 1] * (0.5, 0.25, 1.0)[up]
                macs += pixels * width * 9 * (risen + width)
                elements += pixels * width
                moved += pixels * risen
            below = width
        found = np.zeros((2, 7))
        here = found[unet_table.PRECISIONS.index(parameters["precision"])]
        here[:4] = macs / 1e3, elements, elements * prelu, 1.0
        here[4 + up] = moved
        return found.ravel()


PROBLEMS: dict[str, Problem] = {
    "paper": PaperCells(),
    "table": UnetTable(),
    "small": SmallUnets(),
}
__all__ = ["MOST", "PROBLEMS", "Problem", "hypervolume", "losses"]
