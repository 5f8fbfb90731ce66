"""The staged study's values against what the paper prints."""

import pytest

from nas.devices.paper_phones.published import rows
from nas.errors import ConfigError
from nas.networks.candidate import Candidate
from nas.paper import NetworkList
from nas.paper.steps import all_networks
from nas.training.schedule import PAPER
from search_spaces import EDSR, RDN
from studies.paper import FULL, SCALES, WHOLE


@pytest.mark.parametrize("scale", SCALES.values(), ids=lambda scale: scale.name)
def test_every_published_row_is_a_candidate_and_every_candidate_a_row(scale) -> None:
    chosen = ("unet-resizebilinear-prelu", scale.steps[1].networks["unet-resizebilinear-prelu"])
    entries = [entry for step in scale.steps for entry in step.entries(chosen)]
    ours = {(e.network, e.candidate.compression.precision, e.pruned_percent) for e in entries}
    assert ours == {(row.network, row.precision, row.pruned_percent) for row in rows()}
    assert len({entry.candidate.key for entry in entries}) == len(ours) == 21


@pytest.mark.parametrize("scale", SCALES.values(), ids=lambda scale: scale.name)
def test_patches_pictures_and_candidates_fit_the_study(scale) -> None:
    width, height = scale.study.size
    reduction = scale.study.space.reduction
    assert (width % reduction, height % reduction, scale.study.schedule.patch % reduction) == (
        0, 0, 0,
    )  # fmt: skip
    for step in scale.steps:
        for entry in step.entries(("x", next(iter(scale.steps[1].networks.values())))):
            scale.study.to_parameters(entry.candidate)
            assert entry.candidate.architecture.graph().smallest <= scale.study.schedule.patch


def test_full_networks_have_the_printed_macs_and_the_recipe_is_the_papers() -> None:
    printed = {row.network: row.gmacs for row in rows() if row.network.endswith("-relu")}
    printed |= {row.network: row.gmacs for row in rows() if row.table == 2}
    networks = all_networks(FULL)
    for name, gmacs in printed.items():
        assert round(networks[name].graph().macs(720, 1280).profiler / 1e9) == gmacs, name
    assert WHOLE.study.schedule == PAPER
    assert (PAPER.steps, PAPER.batch, PAPER.patch, PAPER.learning_rate) == (10**6, 16, 256, 2e-4)


def test_a_list_of_networks_is_a_space() -> None:
    space = NetworkList({"a": EDSR(4, 1), "b": RDN(4, 4, 2, 1)})
    assert space.to_parameters(RDN(4, 4, 2, 1)) == {"network": "b"}
    assert space.reduction == 1
    with pytest.raises(ConfigError, match="edsr 8 x1 is not in the list, which has a, b"):
        space.to_parameters(EDSR(8, 1))
    with pytest.raises(ConfigError, match="is empty"):
        NetworkList({})
    study = SCALES["smoke"].study
    for name, network in all_networks(SCALES["smoke"].steps).items():
        assert study.to_parameters(Candidate(network))["network"] == name
