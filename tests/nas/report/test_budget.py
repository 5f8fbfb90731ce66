from __future__ import annotations

import itertools
import json
import math
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np
import pytest

import nas
from nas.report import gather, write_report
from nas.report.budget import (
    budget_choices,
    budget_rows,
    budget_stops,
    models_to_picture,
    round_up,
)
from nas.report.crops import MODELS
from nas.study.metric import Metric
from nas.study.picker import best_within, offers_of
from tests.browser import probe
from tests.helpers.fake_run import make_run
from tests.helpers.offers import METRICS, drawn, offer
from tests.helpers.report_pages import Page, open_model, pairs


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
        choice = best_within(offers, dict(zip(METRICS, map(float, budgets), strict=True)), 0.4)
        if choice is not None:
            reached.add(choice.model.trial)
    found = budget_choices(offers, METRICS, 0.4)
    assert set(found) <= reached
    assert len(found) == len(set(found)) > 1


def test_every_model_of_the_front_and_every_device_is_in_the_choice(tmp_path: Path) -> None:
    data = gather(make_run(tmp_path, 60, ("host", "phone <1>")))
    offers = offers_of(data.front, data.devices)
    assert [one.trial for one in offers] == [member.number for member in data.front]
    assert [row["device"] for row in budget_rows(data)] == ["host", "phone <1>"]
    for one, member in zip(offers, data.front, strict=True):
        timed = [member.value(f"latency_ms[{device}]") for device in data.devices]
        assert [one.figures[f"latency_ms[{device}]"] for device in data.devices] == timed
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
    further = budget_choices(data.offers, ["latency_ms[host]"])
    cards = {pick.result.number for pick in data.picks}
    room = MODELS - len(cards)
    expected = [number for number in further if number not in cards][:room]
    assert set(expected) <= {model.number for model in models_to_picture(data, MODELS)}


def test_a_model_without_a_latency_is_within_no_budget_there(tmp_path: Path) -> None:
    data = gather(make_run(tmp_path, 30))
    best = replace(data.front[0], metrics={"psnr_db": Metric(99.0, "measured")})
    offers = offers_of([best, *data.front[1:]], ["host"])
    assert offers[0].speed is None
    unlimited, limited = best_within(offers, {}), best_within(offers, {"latency_ms[host]": 1e9})
    assert unlimited is not None
    assert limited is not None
    assert unlimited.model is offers[0]
    assert limited.model is not offers[0]


def test_the_page_s_script_has_the_same_rule() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no JavaScript: node is not installed")
    cases = [
        (drawn(seed), dict(zip(METRICS, budgets, strict=False)), apart)
        for seed in range(8)
        for budgets in ((), (3.0,), (5.0, 4.0), (0.5, 9.0))
        for apart in (0.0, 0.4, 1.5)
    ]
    cases.append(([replace(drawn(0)[0], speed=None), *drawn(1)[1:]], {"a": 8.0}, 5.0))
    given = [[[one.to_dict(METRICS) for one in offers], budgets, r] for offers, budgets, r in cases]
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


def test_budgets_go_into_an_address_and_come_back() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no JavaScript: node is not installed")
    rule = (Path(nas.__file__).parent / "report" / "budget.js").read_text()
    cases = [{}, {"host": 33}, {"adb:127.0.0.1:5": 0.25, "a & b=c#?": 7.5, "npu:sm8650": 17.2}]
    program = rule + (
        "\nconst cases = JSON.parse(require('fs').readFileSync(0));"
        "console.log(JSON.stringify(cases.map((one) => [fragmentOf(one), "
        "budgetsIn(fragmentOf(one), Object.keys(one)), budgetsIn('#front', Object.keys(one))])));"
    )
    done = subprocess.run(
        [node, "-e", program], input=json.dumps(cases), capture_output=True, text=True, check=True
    )
    for case, (fragment, back, none) in zip(cases, json.loads(done.stdout), strict=True):
        assert back == case
        assert none == {}
        assert fragment.startswith("#")
        pairs_ = dict(parse_qsl(fragment[1:]))
        assert {device: float(most) for device, most in pairs_.items()} == case


PLAY = """
const fields = [...document.querySelectorAll("#budget [type=number]")];
const sliders = [...document.querySelectorAll("#budget [type=range]")];
const told = () => ({
  text: document.getElementById("choice").textContent,
  right: document.getElementById("right").value,
  row: [...document.querySelectorAll("#front-table tr.chosen")]
    .map((row) => Number(row.dataset.trial)),
  values: fields.map((field) => field.value),
  address: location.hash,
});
const set = (input, value) => {
  input.value = value;
  input.dispatchEvent(new Event("input"));
  return told();
};
const seen = [told()];
for (let at = 0; at <= Number(sliders[0].max); at += 1) seen.push(set(sliders[0], at));
seen.push(set(fields[1], 0.001));
const visit = (fragment) => new Promise((done) => {
  addEventListener("hashchange", () => setTimeout(() => done(told()), 0), { once: true });
  location.hash = fragment;
});
const links = [];
for (const one of ["host=30&phone=25.5", "front", "host=x&phone=-1"]) links.push(await visit(one));
return { seen, links };
"""


def test_in_a_browser_sliders_and_fields_choose_as_the_rule_does(tmp_path: Path) -> None:
    run = make_run(tmp_path, 60, ("host", "phone"))
    page = write_report(run, 1, pairs(), open_model)
    played = probe(page, PLAY)
    seen, links = played["seen"], played["links"]
    data = gather(run)
    offers = offers_of(data.front, data.devices)
    host, phone = (f"latency_ms[{device}]" for device in ("host", "phone"))
    limits = [{}, *({host: stop} for stop in budget_stops(offers, host)), {}]
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
    least = budget_stops(offers, phone)[0]
    assert f"The fastest of each device: {least:g} ms on phone" in seen[-1]["text"]
    assert seen[2]["address"] == f"#host={limits[2][host]:g}"
    assert seen[-1]["address"] == "#phone=0.001"
    assert [link["values"] for link in links] == [["30", "25.5"], ["30", "25.5"], ["", ""]]
    linked = best_within(offers, {host: 30.0, phone: 25.5})
    assert linked is not None
    assert links[0]["row"] == links[1]["row"] == [linked.model.trial]
