"""What a candidate's graph tells, against the graph's own counts, and what it costs."""

from math import log2
from typing import Any

import pytest

from benchmarks.unet_features import of_unet
from nas.predictor.for_sampler import PartialTrial
from nas.search.graph_features import GraphFeatures
from tests.helpers.sampled_study import sampled_parameters
from tests.helpers.small_study import small_study


def test_macs_are_those_of_the_graph() -> None:
    study = small_study()
    features = GraphFeatures(study)
    for parameters in sampled_parameters(study, 12):
        trial: Any = PartialTrial(parameters)
        candidate = study.sample(trial)
        share = candidate.compression.pruned_share
        macs = candidate.architecture.graph().macs(32, 64).conv * (1 - share)
        found = features(parameters)
        assert found["log macs"] == pytest.approx(log2(macs))
        assert found["integer"] == (candidate.compression.precision != "float")


def test_those_of_the_benchmarks_differ_by_constants_alone() -> None:
    study = small_study()
    features = GraphFeatures(study)
    apart: dict[str, list[float]] = {}
    for parameters in sampled_parameters(study, 12, seed=1):
        trial: Any = PartialTrial(parameters)
        candidate = study.sample(trial)
        network: Any = candidate.architecture
        plain = of_unet(
            network.upsampling,
            network.activation,
            network.widths,
            network.convolutions,
            network.first_kernel,
            candidate.compression.precision != "float",
        )
        for name, value in features(parameters).items():
            apart.setdefault(name, []).append(value - plain[name])
    assert set(apart) == set(plain)
    for name in ("log macs", "log narrowest", "prelu", "integer"):
        assert max(apart[name]) - min(apart[name]) < 0.01, name
    for name in ("log parameters", "log field"):  # biases and poolings count in one of them
        assert max(apart[name]) - min(apart[name]) < 0.5, name


def test_parameters_that_are_missing_count_as_the_middle_one() -> None:
    features = GraphFeatures(small_study())
    assert features({}).keys() == features({"convolutions": 2}).keys()
