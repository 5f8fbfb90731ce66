"""A predictor fitted for a study, and parameters that the study samples."""

from dataclasses import replace
from typing import Any

import numpy as np

from nas.predictor.identity import folder_of, identity_of, keep
from nas.predictor.predictor import Predictor
from nas.predictor.templates import RecordingTrial
from nas.study.study import Study
from tests.helpers.synthetic_device import fitted


def fit_for(study: Study, device: str = "host") -> Predictor:
    predictor, _ = fitted(6)
    about = identity_of(device, study)
    predictor = replace(predictor, about=about)
    keep(predictor, folder_of(about))
    return predictor


def sampled_parameters(study: Study, count: int, seed: int = 0) -> list[dict[str, Any]]:
    found = []
    for number in range(count):
        trial = RecordingTrial(np.random.default_rng(100 * seed + number))
        study.sample(trial)
        found.append(trial.parameters)
    return found
