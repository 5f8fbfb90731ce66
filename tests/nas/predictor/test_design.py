"""The choice of operations and networks to measure."""

import numpy as np

from nas.predictor.design import chosen_networks, chosen_terms
from nas.predictor.fitting import FittingSpace
from search_spaces import UNetSpace
from tests.helpers.small_study import small_study


def test_all_operations_of_a_small_space_are_measured_and_few_of_a_large_one() -> None:
    small = FittingSpace.of(small_study())
    networks = [small.terms(network, "float") for network in small.draw(200, seed=0)]
    everything = {term.alone for network in networks for term in network}
    chosen = chosen_terms(networks)
    convolutions = {term for term in everything if term.op == "CONV_2D"}
    assert {term for term in chosen if term.op == "CONV_2D"} == convolutions
    large = FittingSpace.of(small_study(space=UNetSpace(), size=(64, 64)))
    networks = [large.terms(network, "float") for network in large.draw(200, seed=0)]
    chosen = chosen_terms(networks)
    assert sum(term.op == "CONV_2D" for term in chosen) == 80
    extreme = max((t for n in networks for t in n if t.op == "CONV_2D"), key=lambda t: t.cin)
    assert max(t.cin for t in chosen if t.op == "CONV_2D") == extreme.cin
    assert {t.op for t in chosen} == {t.op for n in networks for t in n}


def test_the_chosen_networks_leave_less_unknown_than_random_ones() -> None:
    random = np.random.default_rng(0)
    shares = random.dirichlet((0.5,) * 5, 80)

    def unknown(taken: list[int]) -> float:
        prior = 0.09 + 0.0225 * shares @ shares.T
        part = prior[np.ix_(taken, taken)] + 0.03**2 * np.eye(len(taken))
        across = prior[taken]
        return float(np.trace(prior - across.T @ np.linalg.solve(part, across)))

    chosen = chosen_networks([shares], 6)
    assert len(set(chosen)) == 6
    others = [unknown(random.choice(80, 6, replace=False).tolist()) for _ in range(20)]
    assert unknown(chosen) < min(others)
