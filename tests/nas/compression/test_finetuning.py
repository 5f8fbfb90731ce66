"""Pruning on data, in a second or two: what is kept, what is gone on from, what is equal."""

import hashlib
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from nas.compression.channels import group_channels, masks, narrowed
from nas.compression.finetuning import MaskedNetwork, Trained, prune_trained, pruned_key
from nas.compression.pruned_network import PrunedNetwork
from nas.compression.pruning import Pruning
from nas.errors import ConfigError
from nas.training.schedule import Schedule
from nas.training.train import train, trained
from nas.training.workshop import Workshop
from search_spaces import UNet, architecture_from_dict

BASE = UNet("resize-bilinear", "prelu", (8, 12), 1, 3, True)
SCHEDULE = Schedule(steps=20, batch=2, patch=16, learning_rate=2e-3, identity_start=True)
SETTINGS = Pruning(round_share=0.05, round_steps=0.1, final_steps=0.2)


def batch(step, count, patch, seed):
    rng = np.random.default_rng((step, seed))
    sharp = rng.integers(0, 256, (count, patch // 4, patch // 4, 3), np.uint8)
    sharp = sharp.repeat(4, 1).repeat(4, 2)
    return (sharp // 2 + np.roll(sharp, 1, 1) // 2), sharp


PACK = SimpleNamespace(side=16, batch=batch)


def workshop(folder, progress=lambda *_: None):
    return Workshop(PACK, SCHEDULE, 0, folder, progress)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("float")
    weights = train(BASE.graph(), workshop(folder), "float")
    return Trained(BASE, weights, "float")


def prune(source, share, folder, settings=SETTINGS, progress=lambda *_: None):
    return prune_trained(source, share, settings, workshop(folder, progress))


def digest(path):
    weights = trained_arrays(path)
    return hashlib.sha256(b"".join(array.tobytes() for array in weights)).hexdigest()


def trained_arrays(result):
    return trained(result.architecture.graph(), result.weights).get_weights()


@pytest.mark.parametrize("method", ["adaptive", "uniform-l1"])
def test_a_narrow_network_that_was_trained(source, tmp_path, method):
    settings = replace(SETTINGS, method=method)
    found = prune(source, 0.3, tmp_path, settings)
    assert isinstance(found.architecture, PrunedNetwork)
    assert 0.3 <= found.architecture.pruned_share < 0.4
    written = json.loads((found.weights.parent / "architecture.json").read_text())
    assert architecture_from_dict(written) == found.architecture
    arrays = trained_arrays(found)
    assert sum(array.size for array in arrays) == found.architecture.graph().parameters()
    again = prune(source, 0.3, tmp_path, settings, progress=None)  # nothing is left to report
    assert (again, digest(again)) == (found, digest(found))


def test_deeper_goes_on_from_shallower_and_comes_to_the_same(source, tmp_path):
    stages = []
    prune(source, 0.1, tmp_path / "both")
    deep = prune(source, 0.2, tmp_path / "both", progress=lambda stage, *_: stages.append(stage))
    assert set(stages) == {"pruning to 20%", "tuning"}  # not to 10 % again
    alone = prune(source, 0.2, tmp_path / "alone")
    assert deep.architecture == alone.architecture
    assert digest(deep) == digest(alone)
    shutil.rmtree(deep.weights.parent)  # as if killed before the last training
    assert digest(prune(source, 0.2, tmp_path / "both")) == digest(alone)


def test_removed_filters_stay_at_zero_while_the_others_learn(tmp_path):
    groups = group_channels(BASE.graph())
    network = MaskedNetwork(groups, workshop(tmp_path), SETTINGS)
    before = network.weights()
    kept = groups.all_kept()
    kept[groups.of["down0_conv1"][:3]] = False
    kept[groups.of["up0_conv1"][5]] = False
    network.train(kept)
    after = network.weights()
    for name, rows in masks(groups, kept).items():
        for array, old, mask in zip(after[name], before[name], rows, strict=True):
            assert not (array * (1 - mask)).any()
            assert (array != old).any()
    share = 1 - narrowed(groups, kept).macs(16, 16).profiler / BASE.graph().macs(16, 16).profiler
    assert network.step == round(SCHEDULE.steps * SETTINGS.round_steps * share / 0.05) > 0


def test_the_check_set_sees_what_a_removal_costs(source, tmp_path):
    groups = group_channels(BASE.graph())
    network = MaskedNetwork(groups, workshop(tmp_path), SETTINGS)
    weights = {
        name: trained(BASE.graph(), source.weights).get_layer(name).get_weights()
        for name in masks(groups, groups.all_kept())
    }
    network.start(weights, groups.all_kept())
    whole = network.psnr_db(groups.all_kept())
    blurred, sharp = batch(0, 16, 16, 1)
    output = trained(BASE.graph(), source.weights)(blurred.astype(np.float32) / 255).numpy()
    errors = np.square(np.clip(output, 0, 1) - sharp / 255.0).mean((1, 2, 3))
    assert whole == pytest.approx(np.mean(-10 * np.log10(errors)), abs=1e-3)
    none = groups.all_kept()
    none[groups.of["up0_conv1"]] = False  # the residual alone: the blurred picture
    assert network.psnr_db(none) < whole


def test_a_share_that_is_too_much_is_told_before_any_work(source, tmp_path):
    with pytest.raises(ConfigError, match=r"can't prune 95\.0% of the MACs"):
        prune(source, 0.95, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_key_of_a_pruning_stays_what_it_was():
    """Weights of earlier versions are found by this key."""
    assert pruned_key("329e990f6a65", 0.3, Pruning()) == "5c8ae4bc42ee"
