"""The fitted latency models: their errors on left-out cells, their derivatives, their intervals."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.devices.paper_phones import latency_model as model
from nas.devices.paper_phones.device import tell
from nas.devices.paper_phones.networks import network
from nas.devices.paper_phones.published import PHONES
from nas.devices.paper_phones.rules import RULES, plan
from nas.tflite.operations import Operations, of_graph
from search_spaces import UNet


@pytest.mark.parametrize("phone", PHONES)
def test_left_out_errors_meet_the_goals(phone: str) -> None:
    found = model.leave_one_out(phone)
    assert found.rank_correlation >= 0.8
    assert found.median_error("all") <= 0.15
    assert found.median_error("convolutions") <= 0.15
    if phone == "pixel-4":
        assert len(found.of("accelerated")) == 2  # too few: each stands for a family of its own
    else:
        assert found.median_error("accelerated") <= 0.15


def test_the_document_tells_these_errors() -> None:
    text = (Path(__file__).parents[4] / "docs" / "modelled-phones.md").read_text()
    rows = {
        line.split("|")[1].strip().split()[0]: [cell.strip() for cell in line.split("|")[2:6]]
        for line in text.splitlines()
        if re.match(r"\| [\w ]+ \| [\d.]+ % \(", line)
    }
    assert rows.keys() == {"Mate30", "Reno3", "Pixel"}
    for phone, cells in zip(PHONES, rows.values(), strict=True):
        found = model.leave_one_out(phone)
        for which, cell in zip(("accelerated", "convolutions", "all"), cells[:3], strict=True):
            percent, count = re.fullmatch(r"([\d.]+) % \((\d+)\)", cell).groups()  # type: ignore[union-attr]
            assert 100 * found.median_error(which) == pytest.approx(float(percent), abs=0.3)
            assert len(found.of(which)) == int(count)
        assert found.rank_correlation == pytest.approx(float(cells[3]), abs=0.006)


def test_left_out_rows_are_really_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = model.published_structures("reno3-5g")
    before = model.leave_one_out("reno3-5g").rows[3]
    changed = replace(cells[3], latency_ms=cells[3].latency_ms * 10)
    monkeypatch.setattr(model, "published_structures", lambda _: (*cells[:3], changed, *cells[4:]))
    after = model.leave_one_out.__wrapped__("reno3-5g").rows  # type: ignore[attr-defined]
    assert after[3].modelled_ms == pytest.approx(before.modelled_ms, rel=1e-6)
    assert after[3].published_ms == 10 * before.published_ms
    assert (
        abs(after[0].modelled_ms / model.leave_one_out("reno3-5g").rows[0].modelled_ms - 1) > 0.01
    )


def test_rows_of_one_structure_are_one() -> None:
    counts = {phone: [cell.cells for cell in model.published_structures(phone)] for phone in PHONES}
    assert {phone: sum(cells) for phone, cells in counts.items()} == {
        "mate30-pro-5g": 20, "reno3-5g": 22, "pixel-4": 19,
    }  # fmt: skip
    both = next(
        c for c in model.published_structures("reno3-5g") if c.label == "8-bit PTQ / 8-bit QAT"
    )
    assert both.latency_ms == pytest.approx(math.sqrt(504 * 488))


def test_the_fit_finds_what_made_its_data() -> None:
    rng = np.random.default_rng(0)
    truth = model.LatencyModel(
        np.log([*model.ACCELERATED.values(), *model.FALLEN.values(), *model.TYPE_FACTORS.values()])
        + rng.normal(0, 0.3, len(model.NAMES)),
        np.eye(len(model.NAMES)),
    )
    wanted = [cell.wanted for phone in PHONES for cell in model.published_structures(phone)]
    made = [truth.latency_ms(row) for row in wanted]
    found = model.fit(wanted, made)
    errors = [abs(found.latency_ms(row) / ms - 1) for row, ms in zip(wanted, made, strict=True)]
    assert max(errors) < 0.05


def test_the_derivatives_are_those_of_the_latency() -> None:
    fitted = model.fitted("pixel-4")
    wanted = model.published_structures("pixel-4")[-1].wanted
    slopes = model.predict(fitted.logarithms, [wanted])[1][0]
    for index in range(len(model.NAMES)):
        moved = fitted.logarithms.copy()
        moved[index] += 1e-5
        latency = replace(fitted, logarithms=moved).latency_ms(wanted)
        difference = math.log(latency / fitted.latency_ms(wanted)) / 1e-5
        assert slopes[index] == pytest.approx(difference, abs=1e-4)


@pytest.mark.parametrize("phone", PHONES)
@pytest.mark.parametrize("precision", ["float", "int8-ptq"])
def test_more_work_takes_longer(phone: str, precision: Any) -> None:
    def latency(widths: tuple[int, ...], size: tuple[int, int], kernel: int = 3) -> float:
        graph = UNet("resize-bilinear", "prelu", widths, 2, kernel).graph()
        operations = of_graph(graph, size, precision)
        assert plan(RULES[phone], operations).failure is None
        told = tell(phone, operations)
        assert told.source == "modelled"
        assert told.latency_ms is not None
        return told.latency_ms

    pixels = [latency((32, 64), (side, side)) for side in (2, 16, 64, 160, 320, 640, 960)]
    widths = [latency((width, 2 * width), (320, 320)) for width in (16, 32, 48, 64, 128)]
    kernels = [latency((32, 64), (320, 320), kernel) for kernel in (3, 5, 7)]
    for row in (pixels, widths, kernels):
        assert row[0] > 0
        assert all(a < b for a, b in pairwise(row))


def test_intervals_are_wider_where_less_is_known() -> None:
    phone, rules = "mate30-pro-5g", RULES["mate30-pro-5g"]
    known = model.published_structures(phone)[0].wanted
    int16 = model.features(rules, network("edsr", None, "int16"))  # no cell tells of its CPU
    fitted = model.fitted(phone)
    assert fitted.deviation(int16) > 3 * fitted.deviation(known)


def test_a_network_of_nothing_is_refused() -> None:
    empty = model.Features(np.zeros((3, 8)), np.zeros(4))
    with pytest.raises(ValueError, match="no latency"):
        model.fitted("pixel-4").latency_ms(empty)
    assert Operations((), (1, 1)).pixels == 1


@pytest.mark.parametrize("phone", PHONES)
@pytest.mark.parametrize("precision", ["float", "int8-ptq"])
def test_the_times_of_the_steps_add_up_to_the_latency(phone: str, precision: Any) -> None:
    network_ = UNet("transpose-conv", "prelu", (16, 24, 36))
    operations = of_graph(network_.graph(), (640, 360), precision)
    fitted = model.fitted(phone)
    steps = fitted.by_step_ms(RULES[phone], operations)
    assert len(steps) == len(operations.steps)
    assert min(steps) > 0
    whole = fitted.latency_ms(model.features(RULES[phone], operations))
    assert sum(steps) == pytest.approx(whole, rel=1e-9)
