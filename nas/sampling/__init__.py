"""An Optuna sampler that learns: `EhviSampler`. Usable in any Optuna study, with or without us."""

from nas.sampling.convergence import Convergence, convergence_of
from nas.sampling.features import Features
from nas.sampling.looks import Look
from nas.sampling.losses import Predictor
from nas.sampling.sampler import EhviSampler

__all__ = ["Convergence", "EhviSampler", "Features", "Look", "Predictor", "convergence_of"]
