"""An Optuna sampler that learns: `EhviSampler`. Usable in any Optuna study, with or without us."""

from nas.sampling.beliefs import Predictor
from nas.sampling.sampler import EhviSampler

__all__ = ["EhviSampler", "Predictor"]
