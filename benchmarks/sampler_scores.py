"""What a search's candidates are worth: the hypervolume of their losses."""

from __future__ import annotations

import moocore
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def losses(values: Floats) -> Floats:
    """Return losses: minus PSNR, and the logarithms of the rest."""
    return np.concatenate([-values[:, :1], np.log(values[:, 1:])], axis=1)


def hypervolume(points: Floats, reference: tuple[float, ...]) -> float:
    """Return the hypervolume of losses (n, k) under the reference point's first k values."""
    reference_point = losses(np.array([reference]))[0, : points.shape[1]]
    inside = points[(points < reference_point).all(axis=1)]
    return float(moocore.hypervolume(inside, ref=reference_point)) if len(inside) else 0.0
