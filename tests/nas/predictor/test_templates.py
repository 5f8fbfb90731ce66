"""Templates against the networks that they stand for."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from nas.predictor.for_sampler import PartialTrial, for_study
from nas.predictor.templates import Templates
from search_spaces import NetworkSpace, UNet, UNetSpace
from studies import STUDIES
from tests.helpers.sampled_study import fit_for, sampled_parameters
from tests.helpers.small_study import small_study


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    return


@pytest.mark.parametrize("name", ["quickstart", "compressed", "portable"])
def test_templates_give_what_networks_give(name: str) -> None:
    study = STUDIES[name]
    slow_calls = []

    def slow(parameters: Mapping[str, Any]) -> Any:
        from nas.predictor.terms import terms_of_graph

        slow_calls.append(1)
        candidate = study.sample(PartialTrial(parameters))
        size = (640, 384)
        return terms_of_graph(candidate.architecture.graph(), size, "float")

    templates = Templates.of(slow, study.sample)
    assert set(templates.widths) >= {"width_0", "width_1", "width_2"}
    assert not {"levels", "convolutions", "first_kernel"} & set(templates.widths)
    rows = sampled_parameters(study, 120)
    for parameters in rows:
        assert templates(parameters) == slow(parameters)
    before = len(slow_calls)
    for parameters in rows:
        templates(parameters)
    assert len(slow_calls) == before


def test_a_space_that_is_not_made_of_widths_is_asked_as_it_is() -> None:
    space = NetworkSpace({"one": UNet(widths=(4, 8))}, UNetSpace(widths=(4, 8), levels=(2, 3)))
    study = small_study(space=space)
    predictor = fit_for(study)
    told = for_study(study)
    assert told is not None
    for parameters in sampled_parameters(study, 10):
        candidate = study.sample(PartialTrial(parameters))
        graph, precision = candidate.architecture.graph(), candidate.compression.precision
        expected = predictor.predict(graph, study.size, precision).latency_ms
        assert told(parameters)[1] == pytest.approx(expected, rel=1e-9)
