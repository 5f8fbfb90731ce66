"""Compressions of one architecture as trials: what is shared, what comes out."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest

from evaluators import Cost, Quality
from nas.compression.compress import expected_architecture
from nas.compression.pruned_network import PrunedNetwork
from nas.data import Pair
from nas.execution.trial.run import run_trial
from nas.execution.trial.task import TrialTask
from nas.networks.candidate import Candidate, Compression
from nas.storage.run_folder import RunFolder
from nas.tflite.file import read_tflite
from nas.training.schedule import Schedule
from search_spaces import UNet, architecture_from_dict
from tests.helpers.small_study import small_study

BASE = UNet("depth-to-space", "relu", (8, 16), 1, 3)


def batch(step, count, patch, seed):
    rng = np.random.default_rng((step, seed))
    sharp = rng.integers(0, 256, (count, patch // 4, patch // 4, 3), np.uint8)
    sharp = sharp.repeat(4, 1).repeat(4, 2)
    return (sharp // 2 + np.roll(sharp, 1, 1) // 2), sharp


def heldout():
    blurred, sharp = batch(99, 2, 32, 99)
    for index in range(2):
        yield Pair(str(index), blurred[index], sharp[index])


DATA = SimpleNamespace(
    split="test", prepare=lambda patch: SimpleNamespace(side=16, batch=batch), heldout=heldout
)
STUDY = small_study(
    evaluators=(Cost(), Quality()),
    objectives=("psnr_db", "gmacs_conv"),
    schedule=Schedule(steps=40, batch=2, patch=16, learning_rate=3e-3),
    size=(32, 32),
)


def trial(folder, number, precision="float", share=0.0):
    candidate = Candidate(BASE, Compression(precision, share))
    stages = []
    task = TrialTask(number, candidate, {}, STUDY, DATA, {}, RunFolder(folder))
    result = run_trial(task, lambda progress: stages.append(progress.stage))
    assert result.failure is None, result.failure
    return result, set(stages)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def trials(run):
    wanted = [("float", 0.0), ("float", 0.1), ("int8-qat", 0.1), ("int16-ptq", 0.1)]
    return [trial(run, index, *how) for index, how in enumerate(wanted)]


def test_each_step_is_done_once(trials):
    stages = [found for _, found in trials]
    assert "training" in stages[0]
    assert {"pruning to 10%", "tuning"} <= stages[1]
    assert not stages[1] & {"training"}
    assert not stages[2] & {"training", "pruning to 10%", "tuning"}
    assert "quantizing" in stages[2]
    assert not stages[3] & {"training", "pruning to 10%", "tuning", "quantizing"}


def test_costs_are_those_of_the_pruned_network(trials, run):
    whole, pruned, qat, int16 = [result for result, _ in trials]
    network = architecture_from_dict(pruned.conditions["network"])
    assert isinstance(network, PrunedNetwork)
    assert pruned.value("gmacs_profiler") == network.graph().macs(32, 32).profiler / 1e9
    assert pruned.value("gmacs_profiler") <= 0.9 * whole.value("gmacs_profiler")
    assert pruned.value("parameters") == network.graph().parameters()
    for result in (pruned, qat, int16):
        assert result.conditions["network"] == pruned.conditions["network"]
        file = read_tflite(run / result.artifact)
        assert file.conv_macs == network.graph().macs(32, 32).conv
    assert pruned.weights == int16.weights != qat.weights
    assert [result.label.split()[-1] for result in (pruned, qat, int16)] == [
        "float",
        "int8-qat",
        "int16-ptq",
    ]
    assert "p10%" in qat.label
    assert "network" not in whole.conditions


def test_the_same_candidate_twice_is_the_same_file(trials, tmp_path, run):
    (again, _) = trial(tmp_path, 7, "int8-qat", 0.1)
    digests = [
        hashlib.sha256((folder / result.artifact).read_bytes()).hexdigest()
        for folder, result in ((run, trials[2][0]), (tmp_path, again))
    ]
    assert digests[0] == digests[1]
    assert again.value("psnr_db") == trials[2][0].value("psnr_db")


def test_screening_expects_uniform_widths():
    expected = expected_architecture(BASE, 0.3)
    assert 0.3 <= expected.pruned_share < 0.45
    assert expected_architecture(BASE, 0) is BASE


def test_a_share_beyond_reach_is_infeasible_before_any_work(tmp_path):
    tiny = UNet("resize-bilinear", "relu", (4, 8), 1, 3, True)
    candidate = Candidate(tiny, Compression("int8-qat", 0.7))
    stages = []
    result = run_trial(
        TrialTask(9, candidate, {}, STUDY, DATA, {}, RunFolder(tmp_path)),
        lambda progress: stages.append(progress.stage),
    )
    assert stages == ["cost"]
    assert result.state == "infeasible"
    assert 0.3 < result.violations["pruned share can be reached"] < 0.7
    assert "can't prune 70.0% of the MACs" in result.failure.message
    assert "smallest reachable is" in result.failure.message
