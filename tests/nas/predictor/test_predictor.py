"""The predictor on a made-up device: its error, its warnings, what it learns, what it refuses."""

import json
import time
from dataclasses import replace

import pytest

from nas.devices import Measurement
from nas.errors import ConfigError
from nas.networks.candidate import Precision
from nas.predictor import microbenchmarks
from nas.predictor.checking import Score
from nas.predictor.fitting import FittingSpace, plan_of
from nas.predictor.predictor import COVERAGE, Measured, Predictor, family
from nas.predictor.terms import terms_of_graph
from search_spaces import UNet, UNetSpace
from tests.helpers.small_study import small_study
from tests.helpers.synthetic_device import ABOUT, fitted, measured, network_ms, timings, true_ms

WIDE = UNetSpace((*UNetSpace().upsampling,), ("relu", "prelu"), (2, 3), (4, 8, 16), (1, 2), (3, 5))


def _score(predictor: Predictor, space: FittingSpace, precision: Precision) -> tuple[Score, Score]:
    networks = [space.terms(network, precision) for network in space.draw(40, seed=7)]
    told = [predictor.predict_terms(terms) for terms in networks]
    truth = [network_ms(terms) for terms in networks]
    own = Score.of([t.latency_ms for t in told], truth, [t.interval_ms for t in told])
    return own, Score.of([predictor.by_macs_ms(terms) for terms in networks], truth)


@pytest.mark.parametrize("precision", ["float", "int8-ptq"])
def test_ten_networks_predict_the_others_better_than_macs_do(precision: Precision) -> None:
    predictor, space = fitted(10, noise=0.02, space=WIDE)
    own, by_macs = _score(predictor, space, precision)
    assert own.mape < 0.03
    assert own.tau > 0.95
    assert own.within_10 == 1.0
    assert own.mape < by_macs.mape / 3
    assert own.covered is not None
    assert own.covered >= COVERAGE - 0.1


def test_the_quick_figure_is_the_middle_of_the_prediction() -> None:
    predictor, space = fitted(6)
    for network in space.draw(10, seed=3):
        told = predictor.predict(network.graph(), space.size, "int8-ptq")
        terms = space.terms(network, "int8-ptq")
        assert predictor.latency_ms(terms) == pytest.approx(told.latency_ms, rel=1e-9)
        low, high = told.interval_ms
        assert low < told.latency_ms < high
        assert told.warnings == ()


def test_warnings_name_operation_type_and_size_and_widen_the_interval() -> None:
    predictor, space = fitted(6)
    known = predictor.predict(space.draw(1, seed=3)[0].graph(), space.size)
    large = predictor.predict(UNet("transpose-conv", "relu", (64, 128), 1, 3).graph(), (640, 320))
    text = "; ".join(large.warnings)
    assert "CONV_2D in float32: 128 output channels, measured with 3 to 8" in text
    assert "CONV_2D in float32: 204800 pixels" in text
    assert large.deviation > known.deviation
    strange = predictor.predict(UNet("transpose-conv", "prelu", (8, 8), 1, 3).graph(), (64, 32))
    assert "PRELU in float32 was never measured" in strange.warnings


def test_a_precision_without_networks_says_what_to_do() -> None:
    predictor, space = fitted(6)
    graph = space.draw(1, seed=3)[0].graph()
    with pytest.raises(ConfigError, match=r"measured nothing in int16: `nas predictor fit`"):
        predictor.predict(graph, space.size, "int16-ptq")
    bare = replace(predictor, observed={}, corrections={})
    with pytest.raises(ConfigError, match=r"0 networks of int8; 4 at least.*nas predictor fit"):
        bare.predict(graph, space.size, "int8-ptq")


def test_every_measurement_improves_it_at_once() -> None:
    predictor, space = fitted(4, space=WIDE)
    # The device became slower at one operation than anything said so far.
    rows = [
        Measured(terms, network_ms(terms) + sum(true_ms(t) for t in terms if t.op == "MAX_POOL_2D"))
        for terms in (space.terms(network, "float") for network in space.draw(60, seed=11))
    ]

    def error(one: Predictor) -> float:
        told = [one.predict_terms(row.terms).latency_ms for row in rows[40:]]
        return Score.of(told, [row.latency_ms for row in rows[40:]]).mape

    started = time.process_time()
    better = predictor.improved_by(rows[:40])
    assert time.process_time() - started < 30  # nothing is trained, converted or measured
    assert error(better) < 0.7 * error(predictor)
    assert len(better.observed["float32"]) == 44
    assert len(predictor.observed["float32"]) == 4
    with pytest.raises(ConfigError, match=r"-1.0 ms can't be learned from"):
        predictor.improved_by([replace(rows[0], latency_ms=-1.0)])


def test_a_predictor_survives_json_exactly() -> None:
    predictor, space = fitted(6)
    again = Predictor.from_dict(json.loads(json.dumps(predictor.to_dict())))
    for network in space.draw(5, seed=3):
        graph = network.graph()
        assert again.predict(graph, space.size) == predictor.predict(graph, space.size)
    assert again.about == predictor.about


def test_a_joint_that_is_dearer_than_its_parts_is_charged_for() -> None:
    space = FittingSpace.of(small_study())
    sample = space.draw(30, seed=0)
    plan = plan_of(space, sample)
    times = timings(plan)
    for joint in plan.joints:
        dear = joint[0].op == "TRANSPOSE_CONV" and len(joint) == 3
        extra = 9 * true_ms(joint[-1]) if dear else 0.0
        times.times_ms[microbenchmarks.key_of(*joint)][0] += extra
    bare = microbenchmarks.fitted(plan, times, ABOUT)
    assert {(op, up) for op, _, up in bare.surcharges} == {("CONV_2D", "TRANSPOSE_CONV")}
    assert bare.surcharges["CONV_2D", "int8", "TRANSPOSE_CONV"] == pytest.approx(10, rel=0.2)


def test_what_a_device_refuses_is_said() -> None:
    space = FittingSpace.of(small_study())
    plan = plan_of(space, space.draw(30, seed=0))
    times = timings(plan)
    for term in plan.terms:
        if (term.op, term.dtype) == ("DEPTH_TO_SPACE", "int8"):
            del times.times_ms[microbenchmarks.key_of(term)]
            times.refused[microbenchmarks.key_of(term)] = "nnapi_error: no such thing"
    bare = microbenchmarks.fitted(plan, times, ABOUT)
    rows = [measured(space, one, "int8-ptq") for one in space.draw(5, seed=1)]
    graph = UNet("depth-to-space", "relu", (4, 8), 1, 3).graph()
    told = bare.improved_by(rows).predict(graph, (64, 32), "int8-ptq")
    assert told.warnings == (
        "DEPTH_TO_SPACE in int8: made-up refuses it (nnapi_error: no such thing)",
    )


def test_an_overhead_is_not_counted_for_every_operation() -> None:
    predictor, _ = fitted(4)
    assert predictor.overhead_ms["float32"] == pytest.approx(0.05)
    for (op, dtype), kind in predictor.kinds.items():
        assert min(kind.times_ms()) < 0.05, (op, dtype)


def test_disturbed_launches_are_not_learned_from() -> None:
    launches = ((10.3,), (14.0,), (10.0, 10.0, 19.0), (16.0,), (10.1,))
    one = Measurement("host", "measured", launches, None, None, None, ())
    assert one.latency_ms == 10.3
    learned = Measured.of((), one)
    assert learned.latency_ms == 10.1
    assert learned.spread == pytest.approx(0.00995, rel=1e-3)
    told = Measurement("paper:pixel-4", "modelled", ((5.0,),), None, None, None, ())
    assert Measured.of((), told) == Measured((), 5.0)


def test_convolutions_are_families_by_their_kernels() -> None:
    terms = terms_of_graph(UNet("resize-bilinear", "relu", (8, 8), 1, 7).graph(), (16, 16))
    names = {family(term) for term in terms}
    assert {"CONV_2D large", "CONV_2D 3x3", "RESIZE_BILINEAR", "MAX_POOL_2D"} <= names
