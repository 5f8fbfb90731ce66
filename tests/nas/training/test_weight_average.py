import numpy as np
import pytest
import tensorflow as tf

from nas.training.schedule import Schedule
from nas.training.weight_average import AVERAGED_TIMES, Average, averaging


class Model:
    """One weight, which is the number of steps taken."""

    def __init__(self) -> None:
        self.variables = [tf.Variable(0.0)]

    def train_to(self, step: int) -> None:
        self.variables[0].assign(float(step))


def after(average: Average, steps: int) -> Model:
    model = Model()
    for step in range(1, steps + 1):
        model.train_to(step)
        average.after(step, model)
    return model


def test_the_mean_is_that_of_the_last_steps_before_the_stop() -> None:
    average = Average(stop=10, window=4)
    model = after(average, 12)
    average.put_into(model)
    assert average.count == 4
    assert model.variables[0].numpy() == np.mean([7, 8, 9, 10])


def test_a_long_window_is_thinned_out() -> None:
    average = Average(stop=1000, window=500)
    after(average, 1000)
    assert AVERAGED_TIMES / 2 < average.count <= AVERAGED_TIMES


def test_the_window_is_longer_in_the_warm_up() -> None:
    schedule = Schedule(steps=300, warmup_steps=50)
    assert averaging(schedule, 40).window == 20
    assert averaging(schedule, 80).window == 10
    assert averaging(schedule, 1).window == 1


def test_without_a_step_there_is_no_mean() -> None:
    with pytest.raises(ValueError, match="no weights were averaged up to step 5"):
        Average(5, 2).put_into(Model())
