import moocore
import numpy as np
import pytest

from nas.study.hypervolume import contribution


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("members", [0, 1, 5, 60])
def test_a_contribution_is_the_growth_of_the_whole(objectives: int, members: int) -> None:
    random = np.random.default_rng(10 * objectives + members)
    limit = np.full(objectives, 0.9)
    front = random.random((members, objectives))
    before = moocore.hypervolume(front, ref=limit) if members else 0.0
    for point in random.random((20, objectives)):
        after = moocore.hypervolume(np.vstack([front, point]), ref=limit)
        grown = contribution(point, front.T, limit)
        assert grown == pytest.approx(after - before, abs=1e-12)


def test_a_point_that_is_not_inside_or_not_better_adds_nothing() -> None:
    front = np.array([[0.2, 0.5], [0.5, 0.2]])
    limit = np.ones(2)
    for point in ([1.0, 0.1], [0.1, 1.0], [2.0, 2.0], [0.2, 0.5], [0.5, 0.6]):
        assert contribution(np.array(point), front, limit) == 0.0
    assert contribution(np.array([0.2, 0.2]), front, limit) == pytest.approx(0.09)
