from __future__ import annotations

from pathlib import Path

import pytest

from nas.report import gather, open_front
from nas.study.picker import best_within
from tests.helpers.fake_run import make_run, replicate


def test_a_run_s_choice_is_the_report_s(tmp_path: Path) -> None:
    run = make_run(tmp_path, 60, ("host", "phone"))
    found, data = open_front(run), gather(run)
    assert found.offers == data.offers
    assert found.front == data.front
    budgets = {"latency_ms[host]": 30.0, "latency_ms[phone]": 25.0}
    choice = found.choose(budgets)
    assert choice == best_within(data.offers, budgets, data.resolved)
    assert choice is not None
    model = found.model(choice.model.trial)
    within = [
        m for m in found.front if all(m.value(name) <= most for name, most in budgets.items())
    ]
    assert model.value("psnr_db") == max(m.value("psnr_db") for m in within)
    with pytest.raises(KeyError):
        found.model(10_000)


def test_the_three_cards_are_the_picker_s_choices(tmp_path: Path) -> None:
    run = make_run(tmp_path, 60)
    replicate(run)
    data, found = gather(run), open_front(run)
    assert found.resolved > 0
    anything, cards = found.choose(), {pick.title: pick for pick in data.picks}
    assert anything is not None
    first = cards["Sharpest"]
    assert first.result.number == anything.model.trial
    assert first.sharper is not None
    assert first.sharper.number == anything.sharpest.trial
    least = min(member.value("latency_ms[host]") for member in data.front)
    fastest = found.choose({"latency_ms[host]": least})
    assert fastest is not None
    assert data.picks[-1].result.number == fastest.model.trial
