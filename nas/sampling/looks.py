"""Looks: what candidates cost, found out without a training, and kept in the study.

A trial keeps the looks that were taken for it as one of its system attributes: each with the
candidate's parameters, so that a resumed study, or another process, finds what was seen and draws
the same.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt
from optuna.study import Study
from optuna.trial import FrozenTrial

from nas.sampling.data import LookedRows
from nas.sampling.space import Encoding

Floats = npt.NDArray[np.float64]
Look = Callable[[Mapping[str, Any]], Mapping[int, float] | None]
"""A function from a candidate's parameters to its costs, by the objective's index.

A cost that is infinite says that the candidate can't be used. None: there is no answer.
"""
KEY = "ehvi:looks"
"""The system attribute of a trial that keeps its looks."""


@final
@dataclass(frozen=True)
class LookRecord:
    """A look: the candidate's parameters as Optuna's storage has them, and what was seen.

    `values` are by the objective's index; empty where the look had no answer. `refused`: the
    candidate can't be used. `seconds` is the wall time that the look took.
    """

    levels: Mapping[str, float]
    values: Mapping[int, float]
    refused: bool
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the look as JSON types."""
        values = {str(index): value for index, value in self.values.items()}
        return {
            "levels": dict(self.levels),
            "values": values,
            "refused": self.refused,
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> LookRecord:
        """Return what `to_json` wrote; raises KeyError, TypeError or ValueError on other things."""
        values = {int(index): float(value) for index, value in told["values"].items()}
        levels = {str(name): float(value) for name, value in told["levels"].items()}
        return cls(levels, values, bool(told["refused"]), float(told["seconds"]))


def looks_of(trial: FrozenTrial) -> list[LookRecord]:
    """Return the looks that were taken for a trial; what can't be read is left out."""
    found = []
    kept = trial.system_attrs.get(KEY, ())
    for told in kept if isinstance(kept, (list, tuple)) else ():
        try:
            found.append(LookRecord.from_json(told))
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return found


@final
class Looker:
    """Has candidates looked at for one trial, and keeps in the study what was seen.

    `most` is how many looks the trial may take, `threads` how many at once. `warn` is told of a
    look that failed. Looks that the trial took before it was cut off are not taken again.
    """

    def __init__(
        self,
        look: Look | None,
        most: int,
        threads: int,
        study: Study,
        trial: FrozenTrial,
        encoding: Encoding,
        trials: Sequence[FrozenTrial],
        warn: Callable[[str], None],
    ) -> None:
        self._look, self.most = look, most if look is not None else 0
        self._threads, self._warn = threads, warn
        self._study, self._trial, self._encoding = study, trial, encoding
        self._count = len(study.directions)
        records = [
            one
            for t in trials
            if KEY in t.system_attrs and t.number != trial.number
            for one in looks_of(t)
        ]
        self.looked = with_records(
            LookedRows.none(len(encoding.names), self._count), records, encoding
        )
        rows = (encoding.row_of_levels(record.levels) for record in records)
        self._asked = {row.tobytes() for row in rows if row is not None}
        own = next((t for t in trials if t.number == trial.number), trial)
        self._own = looks_of(own)

    @property
    def refused(self) -> set[bytes]:
        """The rows, as bytes, of candidates that can't be used."""
        return {row.tobytes() for row in self.looked.rows[self.looked.refused]}

    def at(self, rows: Floats) -> None:
        """Look at those of some rows (m, d) that nobody has looked at, `most` at the most."""
        wanted = [row for row in rows if row.tobytes() not in self._asked][: self.most]
        if not wanted or self._look is None:
            return
        self._asked |= {row.tobytes() for row in wanted}
        kept = {}
        for record in self._own:
            row = self._encoding.row_of_levels(record.levels)
            if row is not None:
                kept[row.tobytes()] = record
        fresh = [row for row in wanted if row.tobytes() not in kept]
        for row, record in zip(fresh, self._taken(self._look, fresh), strict=True):
            kept[row.tobytes()] = record
            self._own.append(record)
            told = [one.to_json() for one in self._own]  # each at once: a kill loses none
            self._study._storage.set_trial_system_attr(self._trial._trial_id, KEY, told)
        found = [kept[row.tobytes()] for row in wanted]
        self.looked = with_records(self.looked, found, self._encoding)

    def _taken(self, look: Look, rows: Sequence[Floats]) -> Iterator[LookRecord]:
        """Give the looks at some rows, in their order, each once it is taken."""

        def one(row: Floats) -> LookRecord:
            return self._record(look, self._encoding.there(row))

        if self._threads == 1 or len(rows) < 2:
            yield from map(one, rows)
            return
        with ThreadPoolExecutor(min(self._threads, len(rows))) as pool:
            yield from pool.map(one, rows)

    def _record(self, look: Look, parameters: dict[str, Any]) -> LookRecord:
        started = time.monotonic()
        values: dict[int, float] = {}
        try:
            values = _checked(look(dict(parameters)), self._count)
        except Exception as error:  # of whatever kind somebody's function raises
            self._warn(f"a look failed ({error!r}); its candidate's costs are expected ones")
        seconds = time.monotonic() - started
        refused = any(math.isinf(value) for value in values.values())
        levels = self._encoding.levels(parameters)
        return LookRecord(levels, {} if refused else values, refused, seconds)


def with_records(
    looked: LookedRows, records: Sequence[LookRecord], encoding: Encoding
) -> LookedRows:
    """Return looks followed by further ones.

    Left out are those without an answer, of another space, and of candidates that are there.
    """
    seen = {row.tobytes() for row in looked.rows}
    rows, values, refused = list(looked.rows), list(looked.values), list(looked.refused)
    objectives = range(looked.values.shape[1])
    for record in records:
        row = encoding.row_of_levels(record.levels)
        if row is None or row.tobytes() in seen or not (record.values or record.refused):
            continue
        seen.add(row.tobytes())
        rows.append(row)
        values.append(np.array([record.values.get(index, np.nan) for index in objectives]))
        refused.append(np.bool_(record.refused))
    return LookedRows(np.array(rows), np.array(values), np.array(refused)) if rows else looked


def _checked(told: Mapping[int, float] | None, objectives: int) -> dict[int, float]:
    if told is None:
        return {}
    values = {int(index): float(value) for index, value in told.items()}
    wrong = [i for i, v in values.items() if not 0 <= i < objectives or math.isnan(v)]
    if wrong:
        raise ValueError(
            f"it told {dict(told)!r}, expected numbers by indices from 0 to {objectives - 1}"
        )
    return values
