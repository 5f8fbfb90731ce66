"""Evaluators, which turn a candidate and its artifact into named figures with units."""

from evaluators.cost import Cost, FileSize
from evaluators.fidelity import Fidelity
from evaluators.latency import Latency
from evaluators.modelled import ModelledLatency, ModelledQuality
from evaluators.quality import Quality

__all__ = [
    "Cost",
    "Fidelity",
    "FileSize",
    "Latency",
    "ModelledLatency",
    "ModelledQuality",
    "Quality",
]
