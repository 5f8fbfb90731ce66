"""What a sampler sees of trials that run, and of draws that other threads have not stored."""

import threading
from typing import Any

import numpy as np
import optuna
from optuna.distributions import IntDistribution

from nas.sampling.reading import Reading, metric_names, signs

WIDTH = IntDistribution(1, 9)


def _study(trials: int = 3) -> optuna.Study:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for number in range(trials):
        trial = study.ask({"width": WIDTH})
        study.tell(trial, [float(number), 1.0])
    return study


def _in_another_thread(do: Any) -> None:
    thread = threading.Thread(target=do)
    thread.start()
    thread.join()


def test_a_running_trial_is_seen_as_it_was() -> None:
    study, reading = _study(), Reading()
    trial = study.ask()
    (seen,) = reading.trials(study)[3:]
    trial.suggest_int("width", 1, 9)
    assert seen.params == {}
    assert "width" in reading.trials(study)[3].params


def test_a_draw_of_another_thread_counts_until_its_trial_ends() -> None:
    study, reading = _study(), Reading()
    study.ask()
    _in_another_thread(lambda: reading.drew(study, 3, {"width": 7}, {"width": WIDTH}))
    seen = reading.trials(study)[3]
    assert (seen.params, seen.distributions) == ({"width": 7}, {"width": WIDTH})
    reading.ended(study, 3)
    assert reading.trials(study)[3].params == {}


def test_a_threads_own_draw_counts_once_it_is_stored() -> None:
    study, reading = _study(), Reading()
    study.ask()
    reading.drew(study, 3, {"width": 7}, {"width": WIDTH})
    assert reading.trials(study)[3].params == {}


def test_a_stored_value_that_differs_from_the_draw_wins() -> None:
    study, reading = _study(), Reading()
    study.enqueue_trial({"width": 2})
    trial = study.ask()
    _in_another_thread(lambda: reading.drew(study, 3, {"width": 7, "depth": 1}, {
        "width": WIDTH, "depth": WIDTH
    }))  # fmt: skip
    assert trial.suggest_int("width", 1, 9) == 2
    assert reading.trials(study)[3].params == {"width": 2}


def test_a_trial_is_left_out_of_its_own_table() -> None:
    study, reading = _study(), Reading()
    trials = reading.trials(study)
    space, _ = reading.space(trials, 1)
    assert space == {"width": WIDTH}
    reading_of_all = reading.known(study, trials, 99, space, 1)
    assert reading_of_all is not None
    _, table = reading_of_all
    np.testing.assert_array_equal(table.values, [[0, 1], [1, 1], [2, 1]])
    assert reading.known(study, trials, 99, {}, 1) is None


def test_names_and_signs_are_those_of_the_objectives() -> None:
    study = _study(0)
    assert signs(study).tolist() == [-1.0, 1.0]
    assert metric_names(study) is None
