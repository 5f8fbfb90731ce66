"""Latency from structure: what a network will take on a device, before it is trained or converted.

Micro-benchmarks of a space's operations, taken in one session, and a handful of whole networks give
a `Predictor`: `nas predictor fit`. See docs/predictor.md.
"""

from nas.predictor.predictor import Measured, Prediction, Predictor

__all__ = ["Measured", "Prediction", "Predictor"]
