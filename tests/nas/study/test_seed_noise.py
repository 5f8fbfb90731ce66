import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from nas.report.noise import (
    advice,
    noise_in_words,
    noise_of,
    tied_groups,
    ties_in_words,
    with_intervals,
)
from nas.search.replicate import chosen, replicate
from nas.search.watcher import NobodyWatches
from nas.storage.run_folder import RunFolder
from nas.study.metric import Metric
from nas.study.seed_noise import expected_tau, pooled
from nas.study.trial_result import TrialResult
from tests.helpers.trained_study import MadeUp, loop_of, trained_study


def _result(number: int, psnr: float, gmacs: float = 1.0, **changes) -> TrialResult:
    values = {
        "number": number,
        "key": f"key{number}",
        "label": f"network {number}",
        "candidate": {"architecture": {"width": number}, "compression": {}},
        "state": "complete",
        "metrics": {
            "psnr_db": Metric(psnr, "measured"),
            "gmacs_conv": Metric(gmacs, "computed"),
        },
    }
    return TrialResult(**(values | changes))


def test_the_spread_and_its_interval_are_those_of_the_textbook() -> None:
    groups = [(30.0, 30.4), (31.0, 30.9), (29.0, 29.3, 29.1)]
    noise = pooled(groups, [30.0, 31.0, 29.0, 33.0])
    squares = 0.4**2 / 2 + 0.1**2 / 2 + 2 * np.var([29.0, 29.3, 29.1]) * 1.5
    assert noise.freedom == 4
    assert noise.spread_db == pytest.approx(np.sqrt(squares / 4))
    ends = [np.sqrt(squares / stats.chi2.ppf(p, 4)) for p in (0.975, 0.025)]
    assert noise.spread_interval_db == pytest.approx(ends)
    assert noise.half_width_db == pytest.approx(stats.t.ppf(0.975, 4) * noise.spread_db)
    assert noise.resolved_db == pytest.approx(np.sqrt(2) * noise.half_width_db)
    assert noise.between_db == pytest.approx(np.std([30.0, 31.0, 29.0, 33.0], ddof=1))
    values = [30.0, 31.0, 29.0, 33.0]
    ratio = (noise.spread_db / noise.between_db) ** 2
    turns = []
    for one, other in itertools.combinations(values, 2):
        true = stats.norm((one - other) * (1 - ratio), np.sqrt(2 * (1 - ratio)) * noise.spread_db)
        width = np.hypot(true.std(), np.sqrt(2) * noise.spread_db)
        turns.append(stats.norm.cdf(0, abs(true.mean()), width))
    assert noise.tau == pytest.approx(1 - 2 * np.mean(turns))
    spreads = [noise.spread_db / np.sqrt(stats.f.ppf(p, 4, 3)) for p in (0.025, 0.975)]
    assert noise.tau_interval == pytest.approx([expected_tau(values, one) for one in spreads])
    assert (noise.kept_order, noise.compared) == (3, 3)
    with pytest.raises(ValueError, match="a network with two seeds"):
        pooled([(30.0,)], [30.0])


def test_intervals_hold_what_they_promise() -> None:
    random = np.random.default_rng(1)
    networks = random.normal(30, 0.5, (3000, 16))
    first, second = (networks + random.normal(0, 0.3, networks.shape) for _ in range(2))
    inside = {"spread": 0, "mean": 0, "tau": 0}
    true_tau = 2 / np.pi * np.arcsin(0.5**2 / (0.3**2 + 0.5**2))
    for truth, one, two in zip(networks, first, second, strict=True):
        noise = pooled(list(zip(one[:3], two[:3], strict=True)), list(one))
        low, high = noise.spread_interval_db
        inside["spread"] += low <= 0.3 <= high
        inside["mean"] += abs(one[9] - truth[9]) <= noise.half_width_db
        assert noise.tau_interval is not None
        inside["tau"] += noise.tau_interval[0] <= true_tau <= noise.tau_interval[1]
    for name, count in inside.items():
        assert 0.93 < count / 3000 < 0.97, name


def test_the_expected_tau_is_that_of_another_seed() -> None:
    random = np.random.default_rng(2)
    for heavy, spread in itertools.product((False, True), (0.2, 0.6, 1.5)):
        truth = random.standard_t(3, 2000) if heavy else random.normal(0, 1, 2000)
        one, two = (truth + random.normal(0, spread, 2000) for _ in range(2))
        measured = stats.kendalltau(one, two).statistic
        assert expected_tau(one, spread) == pytest.approx(measured, abs=0.06)
    share = 1 / (1 + 0.6**2)
    normal = random.normal(0, np.sqrt(1 + 0.6**2), 2000)
    assert expected_tau(normal, 0.6) == pytest.approx(2 / np.pi * np.arcsin(share), abs=0.02)
    assert expected_tau([1.0, 2.0, 3.0], 9.0) == 0.0
    assert expected_tau([1.0, 2.0, 3.0], 0.0) == 1.0


def test_replicates_are_chosen_by_cost_never_by_quality() -> None:
    random = np.random.default_rng(3)
    costs = random.permutation(16)
    one = [_result(n, 30.0, float(cost)) for n, cost in enumerate(costs)]
    other = [_result(n, float(random.normal(30, 2)), float(cost)) for n, cost in enumerate(costs)]
    numbers = chosen(one, 3, 16, set())
    assert numbers == chosen(other, 3, 16, set())
    assert [costs[number] for number in numbers] == [2, 8, 13]
    assert chosen(one, 3, 16, {numbers[1]}) == [numbers[0], numbers[2]]
    assert chosen(one, 3, 40, set(range(3))) == []
    assert chosen(one, 3, 9, set())[1:] == []  # one for every five candidates
    assert len(chosen(one[:5], 3, 40, set())) == 2  # one for every four that were trained whole
    twins = [_result(n, 30.0, candidate=one[0].candidate) for n in range(16)]
    assert chosen(twins, 3, 16, set()) == [0]


def test_models_that_cannot_be_told_apart_are_the_largest_groups() -> None:
    noise = pooled([(30.0, 30.1), (31.0, 30.9), (29.0, 29.1)], [30.0, 31.0, 29.0])
    step = noise.resolved_db
    places = [0.0, 0.4, 0.9, 1.2, 3.0, 3.1]
    members = [_result(n, 30 - at * step, weights=f"w{n}") for n, at in enumerate(places)]
    groups = [[one.number for one in group] for group in tied_groups(members, noise)]
    expected = []  # by brute force: every set that is near together and in no larger one
    for size in range(6, 1, -1):
        for some in itertools.combinations(range(6), size):
            near = places[some[-1]] - places[some[0]] <= 1
            if near and not any(set(some) <= set(larger) for larger in expected):
                expected.append(list(some))
    assert sorted(groups) == sorted(expected) == [[0, 1, 2], [1, 2, 3], [4, 5]]
    one_training = [_result(n, 30 - n * step / 3, weights="w") for n in range(2)]
    assert tied_groups(one_training, noise) == []
    assert ties_in_words(tied_groups(members, noise)) == (
        "Equally sharp within noise: trials 0, 1, 2; trials 1, 2, 3; trials 4, 5."
    )
    assert ties_in_words(tied_groups(members, noise), 2).endswith("1, 2, 3; and 1 more group.")
    assert ties_in_words(tied_groups(members, noise), 1).endswith("0, 1, 2; and 2 more groups.")


def test_a_schedule_whose_noise_swallows_the_differences_is_told() -> None:
    random = np.random.default_rng(4)
    values = list(random.normal(30, 0.3, 12))
    loud = pooled([(30.0, 30.5), (30.0, 29.6), (30.2, 30.5)], values, failed=1)
    said = advice(loud)
    assert said is not None
    assert f"below {loud.resolved_db:.2f} dB they say nothing. Train longer" in said
    assert "3 networks trained again" in noise_in_words(loud)
    assert noise_in_words(loud).endswith("1 more failed with the other seed.")
    assert advice(pooled([(30.0, 30.01)], values)) is None


def test_only_measured_figures_get_an_interval() -> None:
    noise = pooled([(30.0, 30.2)], [30.0])
    modelled = _result(1, 30.0, metrics={"psnr_db": Metric(30.0, "modelled")})
    found = with_intervals([_result(0, 30.0), modelled], noise)
    low, high = found[0].metrics["psnr_db"].interval or (0, 0)
    assert (low + high) / 2 == pytest.approx(30.0)
    assert high - low == pytest.approx(2 * noise.half_width_db)
    said = found[0].metrics["psnr_db"].conditions or ""
    assert said == "interval: where the network's mean over seeds lies (95%), from 1 trained again"
    assert found[1] == modelled
    assert with_intervals([modelled], None) == [modelled]


class _Notes(NobodyWatches):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.ended: list[int] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def finished(self, result: TrialResult) -> None:
        self.ended.append(result.number)


def test_replicates_are_no_trials_and_outlive_a_kill(tmp_path: Path) -> None:
    study, notes = trained_study(), _Notes()
    loop = loop_of(study, tmp_path, MadeUp(18), notes)
    loop.drive(16, 1)
    trials = loop.search.optuna_study.trials()
    assert noise_of(loop.search.run, loop.search.run.results()) is None
    with pytest.raises(KeyboardInterrupt):
        replicate(loop.search)
    executor = MadeUp()
    loop = loop_of(study, tmp_path, executor, notes)
    replicate(loop.search)
    replicate(loop.search)
    assert len(executor.legs) == 1  # two were done before the kill
    assert [t.number for t in loop.search.optuna_study.trials()] == [t.number for t in trials]
    assert len(notes.ended) == len(loop.search.run.results()) == 16
    assert notes.notes[0].startswith("how much of it is noise: trials ")
    again = RunFolder(tmp_path / "replicates").results()
    first = {r.number: r for r in loop.search.run.results()}
    noise = noise_of(loop.search.run, loop.search.run.results())
    assert noise is not None
    assert noise.freedom == 3
    squares = [(first[r.number].value("psnr_db") - r.value("psnr_db")) ** 2 / 2 for r in again]
    assert noise.spread_db == pytest.approx(np.sqrt(np.mean(squares)))


def test_no_replicates_where_none_are_wanted_or_nothing_is_trained(tmp_path: Path) -> None:
    for number, changes in enumerate(({"replicates": 0}, {"schedule": trained_study().schedule})):
        folder = tmp_path / str(number)
        loop = loop_of(trained_study(**changes), folder, MadeUp())
        loop.drive(4, 1)  # too few for one replicate
        replicate(loop.search)
        assert not (folder / "replicates").exists()


def test_halving_replicates_few_and_whole_ones_only(tmp_path: Path) -> None:
    executor = MadeUp()
    loop = loop_of(trained_study(halving=True), tmp_path, executor)
    loop.drive(32, 1)
    done = len(executor.legs)
    replicate(loop.search)
    (leg,) = executor.legs[done:]
    assert leg[1] is None
    first = loop.search.run.read_result(leg[0])
    assert first is not None
    assert first.state == "complete"
