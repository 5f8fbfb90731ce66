from __future__ import annotations

import itertools
import json
import math
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nas
from nas.report import gather, write_report
from nas.report.budget import (
    BudgetChoice,
    Offer,
    best_within,
    budget_choices,
    budget_rows,
    budget_stops,
    models_to_picture,
    offers_of,
    resolved_difference,
    round_up,
)
from nas.report.crops import MODELS
from nas.study.metric import Metric
from nas.study.seed_noise import pooled
from tests.browser import probe
from tests.helpers.fake_run import make_run
from tests.helpers.report_pages import Page, open_model, pairs

DEVICES = ("a", "b")


def offer(trial: int, quality: float, a: float, b: float, training: str = "") -> Offer:
    speed = (math.log(a) + math.log(b)) / 2
    return Offer(trial, quality, training or str(trial), {"a": a, "b": b}, speed)


def drawn(seed: int, count: int = 12) -> list[Offer]:
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        quality = float(np.round(random.normal(30, 1), 1))
        a, b = (float(latency) for latency in random.integers(1, 9, 2))
        found.append(offer(number, quality, a, b, str(random.integers(count))))
    return found


def by_hand(offers: list[Offer], budgets: dict[str, float], apart: float) -> BudgetChoice | None:
    """The rule once more, pair by pair, without a sort key."""
    within = [o for o in offers if all(o.latency_ms[d] <= ms for d, ms in budgets.items())]
    if not within:
        return None
    best = within[0]
    for one in within:
        faster = one.speed is not None and best.speed is not None and one.speed < best.speed
        if one.quality > best.quality or (one.quality == best.quality and faster):
            best = one
    model = best
    for one in within:
        tied = one.quality >= best.quality - apart and one.training != best.training
        assert one.speed is not None
        assert model.speed is not None
        if tied and (one.speed, one.trial) < (model.speed, model.trial):
            model = one
    return BudgetChoice(model, best)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("apart", [0.0, 0.4, 1.5])
def test_the_choice_is_that_of_a_look_at_every_model(seed: int, apart: float) -> None:
    offers = drawn(seed)
    for a, b in itertools.product([None, 1, 3, 5, 8], repeat=2):
        budgets = {d: float(ms) for d, ms in (("a", a), ("b", b)) if ms is not None}
        assert best_within(offers, budgets, apart) == by_hand(offers, budgets, apart)


def test_more_budget_is_never_less_quality() -> None:
    for seed in range(20):
        offers = drawn(seed)
        for one, other in itertools.pairwise(range(1, 9)):
            less = best_within(offers, {"a": one, "b": one})
            more = best_within(offers, {"a": other, "b": other})
            assert less is None or (more is not None and more.model.quality >= less.model.quality)


def test_the_review_s_example_within_every_device_s_budget() -> None:
    """At most 107 ms: 31.91 dB qualifies, not 31.36 dB; and each further device limits, too."""
    offers = [offer(6, 31.36, 95, 20), offer(3, 31.91, 106.8, 30), offer(1, 32.5, 280, 10)]
    within = best_within(offers, {"a": 107})
    assert within is not None
    assert within.model.trial == 3
    both = best_within(offers, {"a": 107, "b": 25})
    assert both is not None
    assert both.model.trial == 6
    assert best_within(offers, {"a": 50}) is None
    assert best_within(offers, {"a": 300, "elsewhere": 300}) is None


def test_what_noise_can_t_tell_apart_goes_to_the_fastest() -> None:
    offers = [offer(0, 30.0, 9, 9), offer(1, 29.8, 2, 9), offer(2, 29.4, 1, 1)]
    assert best_within(offers, {}, 0.3) == BudgetChoice(offers[1], offers[0])
    assert best_within(offers, {}, 0.0) == BudgetChoice(offers[0], offers[0])
    twin = replace(offers[1], training="0")  # the same training: a precision's loss is no noise
    assert best_within([offers[0], twin], {}, 0.3) == BudgetChoice(offers[0], offers[0])


def test_stops_are_numbers_within_which_their_model_is() -> None:
    assert [round_up(v) for v in (106.801, 107.0, 0.98456, 1.2, 99.99, 0.000123449)] == [
        107.0, 107.0, 0.985, 1.2, 100.0, 0.000124,
    ]  # fmt: skip
    offers = [offer(0, 30, 106.801, 1), offer(1, 31, 106.9, 2), offer(2, 32, 0.98451, 3)]
    assert budget_stops(offers, "a") == [0.985, 107.0]
    for value in np.random.default_rng(1).lognormal(0, 4, 500):
        assert value <= round_up(float(value)) <= value * 1.0101


def test_what_budgets_choose_are_choices_of_some_budget() -> None:
    offers = drawn(3)
    reached = set()
    for budgets in itertools.product(range(1, 10), repeat=2):
        choice = best_within(offers, dict(zip(DEVICES, map(float, budgets), strict=True)), 0.4)
        if choice is not None:
            reached.add(choice.model.trial)
    found = budget_choices(offers, DEVICES, 0.4)
    assert set(found) <= reached
    assert len(found) == len(set(found)) > 1


def test_noise_counts_for_psnr_alone() -> None:
    noise = pooled([(30.0, 30.4), (28.0, 28.1)], [30.0, 28.0, 29.0])
    assert resolved_difference(noise) == noise.resolved_db
    assert resolved_difference(noise, "ssim") == resolved_difference(None) == 0.0


def test_every_model_of_the_front_and_every_device_is_in_the_choice(tmp_path: Path) -> None:
    data = gather(make_run(tmp_path, 60, ("host", "phone <1>")))
    offers = offers_of(data.front, data.devices)
    assert [one.trial for one in offers] == [member.number for member in data.front]
    assert [row["device"] for row in budget_rows(data)] == ["host", "phone <1>"]
    for one, member in zip(offers, data.front, strict=True):
        timed = [member.value(f"latency_ms[{device}]") for device in data.devices]
        assert list(one.latency_ms.values()) == timed
        assert one.speed == pytest.approx(math.log(math.prod(timed)) / 2)


def test_each_card_has_pictures_and_then_what_budgets_choose(tmp_path: Path) -> None:
    for number, devices in enumerate((("host",), ("host", "b", "c", "d", "e", "f", "g"))):
        run = make_run(tmp_path / str(number), 60, devices)
        data = gather(run)
        cards = {pick.result.number for pick in data.picks}
        shown = [model.number for model in models_to_picture(data, MODELS)]
        assert cards <= set(shown)
        assert len(shown) == max(MODELS, len(cards)) < len(data.front)
        order = [member.number for member in data.front]
        assert shown == sorted(shown, key=order.index)
        page = Page(write_report(run, 1, pairs(), open_model).read_text())
        assert json.loads(page.scripts["payload"])["choice"]["pictured"] == shown
    data = gather(make_run(tmp_path / "choice", 60))
    further = budget_choices(offers_of(data.front, data.devices), ["host"])
    cards = {pick.result.number for pick in data.picks}
    room = MODELS - len(cards)
    expected = [number for number in further if number not in cards][:room]
    assert set(expected) <= {model.number for model in models_to_picture(data, MODELS)}


def test_a_model_without_a_latency_is_within_no_budget_there(tmp_path: Path) -> None:
    data = gather(make_run(tmp_path, 30))
    best = replace(data.front[0], metrics={"psnr_db": Metric(99.0, "measured")})
    offers = offers_of([best, *data.front[1:]], ["host"])
    assert offers[0].speed is None
    unlimited, limited = best_within(offers, {}), best_within(offers, {"host": 1e9})
    assert unlimited is not None
    assert limited is not None
    assert unlimited.model is offers[0]
    assert limited.model is not offers[0]


def test_the_page_s_script_has_the_same_rule() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no JavaScript: node is not installed")
    cases = [
        (drawn(seed), dict(zip(DEVICES, budgets, strict=False)), apart)
        for seed in range(8)
        for budgets in ((), (3.0,), (5.0, 4.0), (0.5, 9.0))
        for apart in (0.0, 0.4, 1.5)
    ]
    cases.append(([replace(drawn(0)[0], speed=None), *drawn(1)[1:]], {"a": 8.0}, 5.0))
    given = [[[one.to_dict() for one in offers], budgets, r] for offers, budgets, r in cases]
    rule = (Path(nas.__file__).parent / "report" / "budget.js").read_text()
    program = rule + (
        "\nconst cases = JSON.parse(require('fs').readFileSync(0));"
        "console.log(JSON.stringify(cases.map((one) => { const c = bestWithin(...one);"
        "return c && [c.model.trial, c.sharpest.trial]; })));"
    )
    done = subprocess.run(
        [node, "-e", program], input=json.dumps(given), capture_output=True, text=True, check=True
    )
    found = [best_within(*case) for case in cases]
    expected = [c and [c.model.trial, c.sharpest.trial] for c in found]
    assert json.loads(done.stdout) == expected
    assert None in expected


PLAY = """
const fields = [...document.querySelectorAll("#budget [type=number]")];
const sliders = [...document.querySelectorAll("#budget [type=range]")];
const told = () => ({
  text: document.getElementById("choice").textContent,
  right: document.getElementById("right").value,
  row: [...document.querySelectorAll("tr.chosen")].map((row) => Number(row.dataset.trial)),
  values: fields.map((field) => field.value),
});
const set = (input, value) => {
  input.value = value;
  input.dispatchEvent(new Event("input"));
  return told();
};
const seen = [told()];
for (let at = 0; at <= Number(sliders[0].max); at += 1) seen.push(set(sliders[0], at));
seen.push(set(fields[1], 0.001));
return seen;
"""


def test_in_a_browser_sliders_and_fields_choose_as_the_rule_does(tmp_path: Path) -> None:
    run = make_run(tmp_path, 60, ("host", "phone"))
    page = write_report(run, 1, pairs(), open_model)
    seen = probe(page, PLAY)
    data = gather(run)
    offers = offers_of(data.front, data.devices)
    limits = [{}, *({"host": stop} for stop in budget_stops(offers, "host")), {}]
    assert len(seen) == len(limits) + 1
    pictured = [model.number for model in models_to_picture(data, MODELS)]
    for told, budgets in zip(seen, limits, strict=False):
        choice = best_within(offers, budgets)
        assert choice is not None
        trial = choice.model.trial
        assert told["row"] == [trial]
        assert told["text"].startswith(f"Trial {trial}, ")
        assert [float(v) for v in told["values"] if v] == list(budgets.values())
        if trial in pictured:
            assert told["right"] == f"t{trial}"
        else:
            assert told["text"].endswith("No pictures were made with it.")
    assert seen[-1]["row"] == []
    least = budget_stops(offers, "phone")[0]
    assert f"The fastest of each device: {least:g} ms on phone" in seen[-1]["text"]
