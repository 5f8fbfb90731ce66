"""Costs of operations and the correction by networks, against formulas and plain algebra."""

import json
import math

import numpy as np
import pytest

from nas.predictor.costs import KindCosts
from nas.predictor.terms import Term
from tests.helpers.synthetic_device import true_ms


def _conv(pixels: int, cin: int, cout: int) -> Term:
    return Term("CONV_2D", "float32", (pixels, 8), (cin,), (pixels, 8), cout, 9)


MEASURED = [_conv(p, i, o) for p in (8, 32, 128) for i in (3, 8, 16, 32) for o in (4, 8, 12, 32)]


def test_an_unmeasured_size_in_between_costs_what_the_formula_says() -> None:
    kind = KindCosts.fitted(MEASURED, [true_ms(term) for term in MEASURED])
    for term in (_conv(64, 24, 24), _conv(16, 12, 16), _conv(128, 20, 8)):
        ms, deviation = kind.predict(term)
        assert ms == pytest.approx(true_ms(term), rel=0.03)
        assert deviation < 0.1
    assert (kind.rates >= 0).all()


def test_what_was_measured_is_repeated_and_what_is_far_away_is_doubted() -> None:
    random = np.random.default_rng(0)
    odd = [true_ms(term) * math.exp(0.3 * random.standard_normal()) for term in MEASURED]
    kind = KindCosts.fitted(MEASURED, odd)
    near = [kind.predict(term) for term in MEASURED]
    error = [abs(math.log(ms / truth)) for (ms, _), truth in zip(near, odd, strict=True)]
    assert np.mean(error) < 0.1
    assert kind.predict(_conv(4096, 256, 256))[1] > 2 * np.mean([sd for _, sd in near])


def test_costs_survive_json_exactly() -> None:
    kind = KindCosts.fitted(MEASURED, [true_ms(term) for term in MEASURED])
    again = KindCosts.from_dict(json.loads(json.dumps(kind.to_dict())))
    assert again.predict(_conv(64, 24, 24)) == kind.predict(_conv(64, 24, 24))
    with pytest.raises(ValueError, match=r"don't fit together"):
        KindCosts.from_dict(kind.to_dict() | {"rest": [0.0]})
