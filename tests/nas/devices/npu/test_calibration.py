"""From simulated to published latencies, and how wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nas.devices.npu.calibration import COVERAGE, Point, fit, fitted, offset_ms, points_of, rows
from nas.devices.npu.chips import CHIPS

PHONES = [chip.published_device for chip in CHIPS.values() if chip.published_device]


def points(*pairs: tuple[float, float]) -> tuple[Point, ...]:
    return tuple(
        Point(f"network {n}", published, simulated)
        for n, (simulated, published) in enumerate(pairs)
    )


def test_a_line_is_found_again() -> None:
    line = points(*((s, 0.3 + 0.5 * s) for s in (0.1, 0.5, 2.0, 10.0, 100.0)))
    found = fit("phone", "int8", line)
    assert (found.offset_ms, found.slope) == pytest.approx((0.3, 0.5))
    assert found.mean_error == pytest.approx(0, abs=1e-9)
    assert found.latency_ms(4.0) == pytest.approx(2.3)
    assert found.factor == pytest.approx(1)


def test_the_fit_is_the_best_in_relative_errors() -> None:
    random = np.random.default_rng(0)
    simulated = np.geomspace(0.1, 100, 8)
    published = (0.2 + 0.7 * simulated) * random.uniform(0.8, 1.2, 8)
    found = fit("phone", "int8", points(*zip(simulated, published, strict=True)))

    def loss(offset: float, slope: float) -> float:
        return float(np.sum(((offset + slope * simulated) / published - 1) ** 2))

    best = loss(found.offset_ms, found.slope)
    for offset in (0.99, 1.01):
        for slope in (0.99, 1.01):
            assert loss(offset * found.offset_ms, slope * found.slope) > best


def test_the_interval_holds_the_networks_that_were_left_out() -> None:
    simulated, factors = (0.1, 0.5, 2.0, 10.0, 50.0), (1.0, 1.1, 0.9, 1.2, 1.0)
    pairs = [(s, (0.3 + 0.5 * s) * f) for s, f in zip(simulated, factors, strict=True)]
    noisy = points(*pairs)
    found = fit("phone", "int8", noisy)
    errors = [abs(math.log(row.modelled_ms / row.point.published_ms)) for row in found.left_out]
    assert found.coverage == pytest.approx(5 / 6)
    assert math.log(found.factor) == pytest.approx(max(errors))
    low, high = found.interval_ms(3.0)
    assert high / found.latency_ms(3.0) == pytest.approx(found.latency_ms(3.0) / low)
    # Left out by hand: the fit to the other four.
    alone = fit("phone", "int8", noisy[1:])
    assert found.left_out[0].modelled_ms == pytest.approx(alone.latency_ms(0.1))


def test_an_offset_alone() -> None:
    line = points(*((s, 0.4 + s) for s in (0.1, 1.0, 20.0)))
    assert offset_ms(line) == pytest.approx(0.4)
    assert offset_ms(points((2.0, 1.0), (3.0, 2.0))) == 0


def test_too_few_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="needs three networks, but 2 came"):
        fit("phone", "int8", points((1, 1), (2, 2)))
    assert fitted("Samsung Galaxy S99", "int8") is None


@pytest.mark.parametrize("precision", ["float", "int8"])
@pytest.mark.parametrize("device", PHONES)
def test_every_phone_has_a_fit(device: str, precision: str) -> None:
    found = fitted(device, precision)
    assert found is not None
    assert found.slope > 0
    assert found.mean_error < 0.2
    assert found.coverage >= COVERAGE


def test_the_tables() -> None:
    """A published cell, its estimate, and the versions that both are of."""
    device, network = "Samsung Galaxy S24", "sesr_m5"
    (point,) = (p for p in points_of(device, "int8") if p.network == network)
    assert (point.published_ms, point.simulated_ms) == (0.455, 0.45)
    (point,) = (p for p in points_of(device, "int8", "qnn_dlc") if p.network == network)
    assert point.published_ms == 0.431
    (point,) = (p for p in points_of(device, "float") if p.network == network)
    assert (point.published_ms, point.simulated_ms) == (1.267, 2.357)
    simulated = rows("simulated.csv")
    assert {row["onnxruntime_qnn"] for row in simulated} == {"2.7.0"}
    assert len({(row["network"], row["precision"]) for row in simulated}) == len(simulated)
    for row in rows("published.csv"):
        assert float(row["latency_ms"]) > 0
        assert row["source"].startswith("qai_hub_models")
