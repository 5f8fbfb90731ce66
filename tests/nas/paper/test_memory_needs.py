"""How much memory the paper's networks are estimated to need."""

import pytest

from nas.errors import ConfigError
from nas.paper.memory_needs import check_memory, deployment_bytes, training_bytes, workers_that_fit
from nas.paper.steps import networks_of
from nas.training.schedule import PAPER, Schedule
from search_spaces import ARCHITECTURES
from studies.paper import SCALES, SMOKE, WHOLE


def test_a_scale_that_memory_cannot_hold_says_what_it_needs() -> None:
    with pytest.raises(
        ConfigError,
        match=r"--scale paper needs about \d+\.\d GB of memory for rdn \(\d+\.\d GB to train on 16 "
        r"patches of 256x256, \d+\.\d GB to convert and run it at 1280x720\), but 4\.0 GB are free",
    ):
        check_memory(WHOLE, WHOLE.steps, available=4e9)
    check_memory(WHOLE, WHOLE.steps, available=64e9)
    with pytest.raises(ConfigError, match=r"about 20 times .* start fewer --workers"):
        check_memory(SMOKE, SMOKE.steps, workers=20, available=8e9)
    assert workers_that_fit(SMOKE, 4, available=1e9) == 1
    assert workers_that_fit(SMOKE, 4, available=1e12) == 4


def test_steps_that_compress_need_the_memory_of_unets_alone() -> None:
    scale = SCALES["paper"]
    assert "rdn" in networks_of(scale.steps, scale)
    assert set(networks_of(scale.steps[2:], scale)) == set(scale.steps[1].networks)


def test_memory_grows_with_batch_patch_and_picture() -> None:
    graph = ARCHITECTURES["edsr"].graph()
    whole = training_bytes(graph, PAPER)
    half = training_bytes(graph, Schedule(steps=1, batch=8))
    quarter = training_bytes(graph, Schedule(steps=1, batch=16, patch=128))
    fixed = 2 * half - whole
    assert fixed < 2e9
    assert quarter - fixed == pytest.approx((whole - fixed) / 4, rel=1e-3)
    # 32 maps of 1280x720 in float32, two or three of them alive, three times
    assert 0.7e9 < deployment_bytes(graph, (1280, 720)) - 1.2e9 < 2e9
