"""Candidates that somebody's function rules out: none of them becomes a trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np
import numpy.typing as npt

from nas.sampling.space import Encoding

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Allowed = Callable[[Mapping[str, Any]], bool]
"""A function from a candidate's parameters to whether it may be tried."""
_MOST = 500
"""Candidates that are asked for one trial; if there are more, the rest counts as allowed."""


@final
class AllowedRows:
    """What a function allows of the rows of one trial's draw; each row is asked once.

    Only rows that are about to be chosen are asked, best first, so it may take a millisecond.
    `failed` is told where the function raises, which then allows everything.
    """

    def __init__(
        self,
        allowed: Allowed | None,
        encoding: Encoding,
        failed: Callable[[str], None],
    ) -> None:
        self._allowed, self._encoding, self._failed = allowed, encoding, failed
        self._answers: dict[bytes, bool] = {}

    def __call__(self, row: Floats) -> bool:
        """Return whether a row may be tried."""
        if self._allowed is None or len(self._answers) >= _MOST:
            return True
        key = row.tobytes()
        if key not in self._answers:
            try:
                self._answers[key] = bool(self._allowed(self._encoding.parameters(row)))
            except Exception as error:  # of whatever kind somebody's function raises
                self._failed(f"`allowed` failed ({error!r}); every candidate is allowed")
                self._allowed = None
                return True
        return self._answers[key]

    def best(self, rows: Floats, scores: Floats, count: int) -> Ints:
        """Return the indices of the `count` best rows that may be tried, best first.

        Where none may, they are those of the best rows: what forbids them is told by the trial.
        """
        order = np.argsort(-scores, kind="stable")
        if self._allowed is None:
            return order[:count]
        found: list[int] = []
        for index in order:
            if self(rows[index]):
                found.append(int(index))
                if len(found) == count:
                    break
        return np.array(found, np.intp) if found else order[:count]
