"""Terms: the quick way gives what the operation list gives."""

import pytest

from nas.errors import ConfigError
from nas.predictor.terms import Term, dtype_of, terms_of, terms_of_graph
from nas.tflite.operations import of_graph
from search_spaces import ARCHITECTURES, UNet
from tests.helpers.axes import AXES


@pytest.mark.parametrize("name", sorted(ARCHITECTURES | AXES))
def test_a_graph_has_the_terms_of_its_operation_list(name: str) -> None:
    graph = (ARCHITECTURES | AXES)[name].graph()
    for precision in ("float", "int8-ptq"):
        operations = of_graph(graph, (640, 384), precision)
        assert terms_of_graph(graph, (640, 384), precision) == terms_of(operations)


def test_terms_have_the_macs_of_the_network() -> None:
    graph = UNet("transpose-conv", "prelu", (8, 12, 16), 2, 5, True).graph()
    terms = terms_of_graph(graph, (64, 32))
    assert sum(term.macs for term in terms) == graph.macs(32, 64).conv
    assert {term.area for term in terms if term.op == "CONV_2D"} == {9, 25}
    for network in AXES.values():
        terms = terms_of_graph(network.graph(), (64, 32))
        assert sum(term.macs for term in terms) == network.graph().macs(32, 64).conv


def test_a_convolution_behind_an_up_sampling_and_its_concatenation_is_told_apart() -> None:
    terms = terms_of_graph(UNet("depth-to-space", "relu", (8, 16), 2, 3).graph(), (16, 16))
    after = [(term.op, term.after) for term in terms if term.after]
    assert after == [("CONCATENATION", "DEPTH_TO_SPACE"), ("CONV_2D", "DEPTH_TO_SPACE")]
    assert all(term.alone.after == "" for term in terms)


def test_json_round_trip_and_dtype() -> None:
    terms = terms_of_graph(UNet(widths=(8, 16)).graph(), (16, 16), "int16-ptq")
    assert tuple(Term.from_json(term.to_json()) for term in terms) == terms
    assert dtype_of(terms) == "int16"
    with pytest.raises(ValueError, match=r"not enough values to unpack \(expected 8, got 2\)"):
        Term.from_json([1, 2])


def test_a_size_that_does_not_divide_says_which_would() -> None:
    with pytest.raises(ConfigError, match=r"does not divide by 2.*16x16"):
        terms_of_graph(UNet(widths=(8, 16)).graph(), (17, 16))
