"""An Optuna sampler that learns: `EhviSampler`. Usable in any Optuna study, with or without us."""

from nas.sampling.sampler import EhviSampler
from nas.sampling.surrogates import Predictor

__all__ = ["EhviSampler", "Predictor"]
