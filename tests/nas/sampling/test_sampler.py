"""`EhviSampler` against closed formulas, another library, and its promises."""

import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import moocore
import numpy as np
import optuna
import pytest
from numpy.polynomial.legendre import legval
from optuna.trial import FrozenTrial, TrialState, create_trial
from scipy.stats import multivariate_normal, norm

from nas.sampling import EhviSampler, gaussian, kernel
from nas.sampling.expected_improvement import ExpectedImprovement, dominated_boxes
from nas.sampling.history import History, SharedSpace
from nas.sampling.space import Encoding, Gate
from nas.sampling.surrogates import Bent

WIDTHS = (8, 12, 16, 24, 32, 48, 64, 96)
optuna.logging.set_verbosity(optuna.logging.ERROR)


def toy(trial: optuna.Trial) -> tuple[float, float]:
    """A quality and a latency that pull at three widths, a count and a category."""
    widths = [trial.suggest_categorical(f"width{i}", WIDTHS) for i in range(3)]
    depth = trial.suggest_int("depth", 1, 6)
    kind = trial.suggest_categorical("kind", ("a", "b", "c"))
    macs = depth * sum(w * w for w in widths)
    quality = 25 + np.log(macs) - 3 / min(widths) - (kind == "c")
    return quality, macs * {"a": 3.0, "b": 1.0, "c": 0.5}[kind]


def toy_hypervolume(study: optuna.Study) -> float:
    values = np.array([trial.values for trial in study.trials])
    losses = np.stack([-values[:, 0], np.log(values[:, 1])], axis=1)
    return float(moocore.hypervolume(losses, ref=[-25.0, 13.0]))


def searched(
    sampler: optuna.samplers.BaseSampler,
    objective: Callable[[optuna.Trial], Any] = toy,
    trials: int = 30,
    directions: tuple[str, ...] = ("maximize", "minimize"),
) -> optuna.Study:
    study = optuna.create_study(directions=list(directions), sampler=sampler)
    study.optimize(objective, trials)
    return study


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_boxes_are_disjoint_and_fill_the_hypervolume(objectives: int) -> None:
    random = np.random.default_rng(objectives)
    for points in (random.random((25, objectives)), random.integers(0, 4, (12, objectives)) / 4):
        reference = np.full(objectives, 0.9)
        low, high = dominated_boxes(points, reference)
        whole = moocore.hypervolume(points, ref=reference)
        assert (high - low).prod(axis=1).sum() == pytest.approx(whole)
        probes = random.random((400, objectives))
        inside = (probes[:, None] > low) & (probes[:, None] < high)
        assert inside.all(axis=2).sum(axis=1).max() <= 1


def test_one_objective_is_expected_improvement() -> None:
    mean, deviation = np.array([[0.3], [0.9], [1.6]]), np.array([[0.2], [0.4], [0.3]])
    t = (1.0 - mean) / deviation
    expected = (1.0 - mean) * norm.cdf(t) + deviation * norm.pdf(t)
    gain = ExpectedImprovement(np.array([[1.0], [1.5]]), np.array([3.0]))(mean, deviation)
    np.testing.assert_allclose(gain, expected[:, 0], rtol=1e-9)


def test_what_is_bent_keeps_its_order_and_the_good_as_it_is() -> None:
    losses = np.sort(np.random.default_rng(0).normal(size=(50, 2)) * 9, axis=0)
    limit = np.array([1.0, -2.0])
    bent = Bent(limit, losses.min(axis=0))(losses)
    assert (np.diff(bent, axis=0) > 0).all()
    assert (bent[losses <= limit] == losses[losses <= limit]).all()
    assert (bent[losses > limit] < losses[losses > limit]).all()


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_several_objectives_agree_with_draws(objectives: int) -> None:
    random = np.random.default_rng(objectives)
    front, reference = random.random((8, objectives)), np.full(objectives, 1.1)
    mean, deviation = random.random((2, objectives)) * 0.6, np.full((2, objectives), 0.2)
    gain = ExpectedImprovement(front, reference)(mean, deviation)
    before = moocore.hypervolume(front, ref=reference)
    for index in range(2):
        draws = mean[index] + deviation[index] * random.standard_normal((1500, objectives))
        gains = [moocore.hypervolume(np.vstack([front, d]), ref=reference) - before for d in draws]
        error = np.std(gains) / np.sqrt(len(gains))
        assert gain[index] == pytest.approx(np.mean(gains), abs=4 * error)


def test_the_likelihood_is_the_normal_density_and_its_gradient_is_right() -> None:
    random = np.random.default_rng(0)
    numbers = np.column_stack([random.random(15), random.integers(0, 4, 15) / 3])
    x = np.column_stack([numbers, random.integers(0, 3, (15, 2))])
    categorical = np.array([False, False, True, True])
    y = random.standard_normal(15)
    at = random.standard_normal(10) * 0.5
    rows = kernel.Rows.of(x, categorical)
    flat = gaussian._Likelihood(rows, y, np.zeros(10), np.full(10, 1e9))
    now = kernel.Hyperparameters.of(at)
    bent = np.stack([legval(2 * x[:, :2] - 1, [0, 0, 1]), legval(2 * x[:, :2] - 1, [0, 0, 0, 0.5])])
    covariance = np.empty((15, 15))
    for i, a in enumerate(x):
        for j, b in enumerate(x):
            equal = [float(a[2] == b[2]), float(a[3] == b[3])]
            apart = [(a[0] - b[0]) ** 2, (a[1] - b[1]) ** 2, 1 - equal[0], 1 - equal[1]]
            r = np.sqrt(5 * (now.weights @ apart))
            line = 1 + sum((2 * a[k] - 1) * (2 * b[k] - 1) for k in (0, 1)) + sum(equal)
            covariance[i, j] = now.rest * (1 + r + r * r / 3) * np.exp(-r) + now.trend * line / 5
            covariance[i, j] += now.together * equal[0] * equal[1]
            covariance[i, j] += now.levels * (a[:2] == b[:2]).mean()
            covariance[i, j] += now.curves * (bent[:, i] * bent[:, j]).sum()
    np.testing.assert_allclose(kernel.kernel(rows, rows, now), covariance)
    np.testing.assert_allclose(kernel.own(rows, now), np.diag(covariance))
    covariance += now.noise * np.eye(15)
    value, gradient = flat(at)
    expected = -multivariate_normal(cov=covariance).logpdf(y) - 7.5 * np.log(2 * np.pi)
    assert value == pytest.approx(expected)
    steps = 1e-5 * np.eye(10)
    slopes = [(flat(at + step)[0] - flat(at - step)[0]) / 2e-5 for step in steps]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-5, atol=1e-6)


def test_combinations_of_three_categories_are_shares_of_what_is_common() -> None:
    three = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    rows = kernel.Rows.of(three, np.ones(3, bool))
    found = kernel.together(rows, rows)
    # Of three pairs and one triple: all four, one pair, none.
    np.testing.assert_allclose(found, [[1, 0.25, 0], [0.25, 1, 0.25], [0, 0.25, 1]])


def test_beats_random_search_and_tpe_by_a_margin() -> None:
    sampler = EhviSampler(seed=1, logarithmic=(1,), reference=(25.0, float(np.exp(13))))
    ours = toy_hypervolume(searched(sampler))
    theirs = toy_hypervolume(searched(optuna.samplers.TPESampler(seed=1)))
    random = toy_hypervolume(searched(optuna.samplers.RandomSampler(seed=1)))
    assert ours > 1.1 * random
    assert ours > 1.1 * theirs


def test_equal_seeds_draw_equal_candidates_whatever_the_instance_remembers() -> None:
    one = searched(EhviSampler(seed=3), trials=16)
    study = optuna.create_study(directions=["maximize", "minimize"])
    for _ in range(16):
        study.sampler = EhviSampler(seed=3)  # as after a restart, before every trial
        gaussian._fits.clear()
        study.optimize(toy, 1)
    # The first trial has no space to draw from yet: it is the independent sampler's.
    assert [t.params for t in study.trials] == [t.params for t in one.trials]
    other = searched(EhviSampler(seed=4), trials=16)
    assert [t.params for t in other.trials] != [t.params for t in one.trials]


def test_no_candidate_comes_twice_until_none_is_left() -> None:
    def small(trial: optuna.Trial) -> tuple[float, float]:
        a = trial.suggest_int("a", 0, 4)
        b = trial.suggest_categorical("b", ("x", "y", "z"))
        fixed = trial.suggest_categorical("one", ("only",))
        assert fixed == "only"
        return a - (b == "x"), a * a + 1.0

    study = searched(EhviSampler(seed=0, n_startup_trials=4), small, trials=15)
    assert len({(t.params["a"], t.params["b"]) for t in study.trials}) == 15
    study.optimize(small, 1)
    assert len(study.trials) == 16


def test_constraints_are_learned() -> None:
    def bounded(trial: optuna.Trial) -> tuple[float, float]:
        quality, latency = toy(trial)
        trial.set_constraint("latency", float(np.log(latency / 3000)))
        return quality, latency

    def share(study: optuna.Study) -> float:
        return float(np.mean([max(t.constraints.values()) <= 0 for t in study.trials[10:]]))

    random = searched(optuna.samplers.RandomSampler(seed=0), bounded)
    ours = searched(EhviSampler(seed=0, logarithmic=(1,)), bounded)
    assert share(random) < 0.3
    assert share(ours) > 0.6


def test_running_trials_are_taken_into_account() -> None:
    study = searched(EhviSampler(seed=0, logarithmic=(1,)), trials=14)
    asked = [study.ask() for _ in range(6)]
    for trial in asked:
        toy(trial)  # draws, but tells nothing
    drawn = [tuple(t.params.values()) for t in asked]
    assert len(set(drawn)) == 6
    widths = np.array([[t.params[f"width{i}"] for i in range(3)] for t in asked])
    assert np.log(widths).sum(axis=1).std() > 0.5  # along the front, not six times its best place


def test_conditional_parameters_are_drawn() -> None:
    def conditional(trial: optuna.Trial) -> float:
        if trial.suggest_categorical("deep", (True, False)):
            return trial.suggest_float("x", 0.1, 10.0, log=True)
        return 3.0 + trial.suggest_int("y", 0, 10)

    study = searched(EhviSampler(seed=0), conditional, 30, ("minimize",))
    assert study.best_value < 0.5
    assert all(t.state == TrialState.COMPLETE for t in study.trials)


@pytest.mark.parametrize("constant", [(True, False), (False, True), (True, True)])
def test_constant_objectives_are_no_trouble(constant: tuple[bool, bool]) -> None:
    def flat(trial: optuna.Trial) -> tuple[float, float]:
        quality, latency = toy(trial)
        return (30.0 if constant[0] else quality), (5.0 if constant[1] else latency)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = searched(EhviSampler(seed=0, logarithmic=(1,)), flat, trials=14)
    assert len({tuple(t.params.values()) for t in study.trials}) == 14


def test_a_predictor_leaves_only_the_ratio_to_learn() -> None:
    def predict(parameters: dict[str, Any]) -> dict[int, float]:
        return {1: toy(optuna.trial.FixedTrial(parameters))[1] * 1.7}  # wrong by a constant

    plain = searched(EhviSampler(seed=2, logarithmic=(1,), n_startup_trials=4), trials=12)
    sampler = EhviSampler(seed=2, logarithmic=(1,), n_startup_trials=4, predictor=predict)  # type: ignore[arg-type]
    assert toy_hypervolume(searched(sampler, trials=12)) > toy_hypervolume(plain)


def test_a_predictor_that_fails_is_named_once() -> None:
    def broken(parameters: Any) -> dict[int, float]:
        raise RuntimeError("another phone")

    with pytest.warns(UserWarning, match="predictor failed.*another phone") as told:
        searched(EhviSampler(seed=0, predictor=broken), trials=14)
    assert len(told) == 1


def test_where_no_surrogate_can_be_fitted_tpe_takes_over_and_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any) -> Any:
        raise gaussian.FitError("singular")

    monkeypatch.setattr(gaussian, "fit", broken)
    with pytest.warns(UserWarning, match=r"no surrogate can be fitted.*TPESampler") as told:
        study = searched(EhviSampler(seed=0), trials=14)
    assert len(told) == 1
    assert all(t.state == TrialState.COMPLETE for t in study.trials)


def test_too_many_objectives_name_another_sampler() -> None:
    study = optuna.create_study(directions=["minimize"] * 5, sampler=EhviSampler(seed=0))
    with pytest.raises(ValueError, match="1 to 4 objectives, but this study has 5; use"):
        study.ask().suggest_float("x", 0, 1)


def test_values_that_stand_in_are_no_data() -> None:
    distributions = {"x": optuna.distributions.FloatDistribution(0, 1)}

    def told(x: float, quality: float, attributes: dict[str, Any]) -> FrozenTrial:
        return create_trial(
            params={"x": x}, distributions=distributions, values=[quality, x],  # type: ignore[arg-type]
            user_attrs=attributes,
        )  # fmt: skip

    study = optuna.create_study(directions=["maximize", "minimize"])
    with warnings.catch_warnings(action="ignore"):  # of Optuna, that it is experimental
        study.set_metric_names(["psnr_db", "latency"])
    study.add_trials([told(x, x, {}) for x in (0.1, 0.4, 0.7)])
    study.add_trial(told(0.5, -50.0, {"stand_in": ["psnr_db"]}))
    sampler = EhviSampler(seed=0)
    encoding = Encoding(distributions)
    history = History(encoding, np.array([-1.0, 1.0]), study.metric_names)
    data = sampler._data(study, encoding, history.read(study.get_trials(deepcopy=False), -1), None)
    assert data.known.tolist() == [[True, True]] * 3 + [[False, True]]
    assert data.feasible.tolist() == [True, True, True, False]
    assert data.front.tolist() == [0, 1, 2]


def branched(trial: optuna.Trial) -> tuple[float, float]:
    """Two or three levels, each with a width: the third is a choice for three levels only."""
    levels = trial.suggest_categorical("levels", (2, 3))
    widths = [trial.suggest_categorical(f"width{i}", (8, 16, 24)) for i in range(levels)]
    return float(np.log(sum(widths))), float(sum(w * w for w in widths))


def test_parameters_that_another_one_decides_on_are_learned_too() -> None:
    study = searched(EhviSampler(seed=0, n_startup_trials=6), branched, 36)
    assert len({tuple(t.params.items()) for t in study.trials}) == 36  # 9 + 27: all there are
    space, gates = SharedSpace().of(study.get_trials(deepcopy=False))
    assert list(space) == ["levels", "width0", "width1", "width2"]
    assert gates == {"width2": Gate("levels", frozenset({0.0}))}  # of 2, the first choice
    encoding = Encoding(space, gates)
    rows = np.array([[0.0, 1.0, 2.0, 1.0], [1.0, 1.0, 2.0, 1.0]])
    assert encoding.features(rows)[:, 3].tolist() == [0.5, 0.5]  # the middle: absent, and 16
    mutants = encoding.mutants(np.random.default_rng(0), rows, 200)
    assert (mutants[mutants[:, 0] == 0, 3] == 0).all()
    assert len(np.unique(encoding.everything(), axis=0)) == 36


def test_first_trials_cover_every_pair_of_categories() -> None:
    def three(trial: optuna.Trial) -> float:
        one = trial.suggest_categorical("a", ("x", "y", "z"))
        two = trial.suggest_categorical("b", ("x", "y", "z"))
        return ord(one) - ord(two) + trial.suggest_float("c", 0, 1)

    study = searched(EhviSampler(seed=0, n_startup_trials=10), three, 10, ("minimize",))
    assert len({(t.params["a"], t.params["b"]) for t in study.trials}) == 9


@pytest.mark.parametrize("seed", [0, 1])
def test_trials_read_as_they_end_are_those_read_at_once(seed: int) -> None:
    random = np.random.default_rng(seed)
    study = optuna.create_study(directions=["maximize", "minimize"])
    running: list[optuna.Trial] = []
    drawn = optuna.create_study(directions=["maximize", "minimize"])
    drawn.optimize(toy, 1)
    encoding = Encoding(SharedSpace().of(drawn.get_trials(deepcopy=False))[0])
    history = History(encoding, np.array([-1.0, 1.0]), None)
    for _ in range(40):
        trial = study.ask()
        toy(trial)
        running.append(trial)
        if len(running) > 5:
            done = running.pop(int(random.integers(len(running))))
            done.set_constraint("c", float(random.normal()))
            state = TrialState.FAIL if random.random() < 0.2 else TrialState.COMPLETE
            told = list(map(float, random.integers(0, 6, 2)))
            study.tell(done, told if state == TrialState.COMPLETE else None, state=state)
        trials = study.get_trials(deepcopy=False)
        grown = history.read(trials, -1)
        fresh = History(encoding, np.array([-1.0, 1.0]), None).read(trials, -1)
        for name in ("rows", "values", "feasible", "front", "running", "tried"):
            np.testing.assert_array_equal(getattr(grown, name), getattr(fresh, name), name)
        np.testing.assert_array_equal(grown.constraints.get("c", 0), fresh.constraints.get("c", 0))
        assert grown.seen == fresh.seen
        good = grown.values[grown.feasible] * [-1, 1]
        front = moocore.is_nondominated(good, keep_weakly=True) if len(good) else []
        np.testing.assert_array_equal(np.flatnonzero(grown.feasible)[front], grown.front)
    other = optuna.create_study(directions=["maximize", "minimize"])
    other.optimize(toy, 12)
    told = history.read(other.get_trials(deepcopy=False), -1)  # of another study: nothing is kept
    different = {tuple(sorted(t.params.items())) for t in other.get_trials(deepcopy=False)}
    assert len(told.rows) == 12
    assert len(told.seen) == len(different)


def test_the_reference_point_may_be_told_by_the_trials() -> None:
    corners = []

    def point(trials: list[FrozenTrial]) -> list[float]:
        corners.append(len(trials))
        return [25.0, float(np.exp(13))]

    fixed = searched(EhviSampler(seed=1, reference=(25.0, float(np.exp(13)))), trials=13)
    told = searched(EhviSampler(seed=1, reference=point), trials=13)  # type: ignore[arg-type]
    assert corners == [11, 12, 13]  # with the one that is asked for
    assert [t.params for t in told.trials] == [t.params for t in fixed.trials]


def test_a_corner_far_out_counts_as_one_that_is_near() -> None:
    far, further = (
        searched(EhviSampler(seed=1, reference=(-1e3, float(np.exp(at)))), trials=14)
        for at in (40, 80)
    )
    assert [trial.params for trial in far.trials] == [trial.params for trial in further.trials]


def test_the_documents_program_runs(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "sampler.md").read_text()
    program = next(p for p in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "Ehvi" in p)
    assert len(program.splitlines()) <= 16
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "width" in done.stdout
