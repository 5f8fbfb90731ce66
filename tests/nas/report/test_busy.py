"""A latency that was taken on a busy processor is marked wherever it is shown."""

import json
from dataclasses import replace
from html import unescape
from pathlib import Path

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from evaluators.latency import _figures, worst_ratio
from nas.cli.app import app
from nas.devices import Measurement
from nas.report.export import export_models
from nas.report.notebook import front_as_html
from nas.report.numbers import short_number
from nas.report.page import report_html
from nas.report.report_data import gather
from nas.report.trial_table import trial_table
from nas.storage.run_folder import RunFolder
from nas.study.objectives import WORST_RATIO
from nas.study.pareto import front
from nas.study.trial_result import TrialResult
from tests.helpers.envelope import data_of
from tests.helpers.fake_run import make_run
from tests.helpers.report_pages import Page

WHY = "others used 1.4 of this machine's 2 cores"


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run with one model on the front that was timed beside other work."""
    run = make_run(tmp_path / "run", 40)
    member = front(run.results(), run.objectives())[0]
    timed = {"latency_ms[host]": replace(member.metrics["latency_ms[host]"], disturbed=WHY)}
    run.write_result(replace(member, metrics={**member.metrics, **timed}))
    return run


@pytest.fixture
def busy(run: RunFolder) -> TrialResult:
    return front(run.results(), run.objectives())[0]


def measured(disturbed: str | None) -> Measurement:
    conditions = {"disturbed": disturbed}
    return Measurement("host", "measured", ((1.0,),), 1.0, 1.0, None, (), conditions)


def test_a_measurement_hands_it_on_to_its_figures() -> None:
    figures = _figures(measured(WHY), (64, 64))
    assert figures["latency_ms[host]"].disturbed == figures["init_ms[host]"].disturbed == WHY
    assert _figures(measured(None), (64, 64))["latency_ms[host]"].disturbed is None
    assert worst_ratio({"host": measured(None)}, {"host": measured(WHY)}).disturbed == WHY
    assert worst_ratio({"host": measured(None)}, {"host": measured(None)}).disturbed is None


def test_pareto_marks_it(run: RunFolder, busy: TrialResult) -> None:
    result = CliRunner().invoke(app, ["pareto", str(run.path)])
    marked = [line for line in result.stdout.splitlines() if "! " in line]
    assert [line.split()[0].rstrip("*") for line in marked] == [str(busy.number)]
    told = " ".join(result.stderr.split())
    assert f"! taken on a busy processor: trial {busy.number} ({WHY})" in told
    models = data_of(CliRunner().invoke(app, ["pareto", str(run.path), "--json"]).stdout, "pareto")[
        "models"
    ]
    assert [model["taken_on_busy_processor"] for model in models] == [
        {"host": WHY if model["trial"] == busy.number else None} for model in models
    ]


def test_the_report_marks_it(run: RunFolder, busy: TrialResult) -> None:
    data = gather(run)
    assert data.disturbed == {busy.number: WHY}
    page = Page(report_html(data, []))
    (banner,) = [text for text in page.banners if "busy" in text]
    assert banner.startswith("Taken on a busy processor.")
    assert f"trial {busy.number} of the front ({WHY})" in banner
    header, *rows = page.rows["front-table"]
    timed = {row[0].split()[0]: row[header.index("Latencyms, host")] for row in rows}
    assert [number for number, text in timed.items() if "!" in text] == [str(busy.number)]
    words = json.loads(page.scripts["payload"])["choice"]["words"]
    assert [n for n, text in words.items() if "ms on host (busy processor)" in text] == [
        str(busy.number)
    ]


def test_a_worst_ratio_of_it_is_marked(run: RunFolder, busy: TrialResult) -> None:
    ratio = replace(busy.metrics["latency_ms[host]"], value=1.25, disturbed=WHY)
    run.write_result(replace(busy, metrics={**busy.metrics, WORST_RATIO: ratio}))
    header, *rows = Page(report_html(gather(run), [])).rows["front-table"]
    place = next(place for place, name in enumerate(header) if "ratio" in name.lower())
    assert [row[place] for row in rows if row[place]] == ["1.25!"]


def test_the_table_of_all_trials_and_its_download_say_it(run: RunFolder, busy: TrialResult) -> None:
    table = trial_table(gather(run))
    names = [column["name"] for column in table["columns"]]
    reasons = [name for name in names if name.endswith(".taken_on_busy_processor")]
    assert reasons == ["latency_ms[host].taken_on_busy_processor"]
    place = names.index(reasons[0])
    assert {row[0]: row[place] for row in table["rows"] if row[place]} == {busy.number: WHY}


def test_trials_and_a_notebook_mark_it(run: RunFolder, busy: TrialResult) -> None:
    result = CliRunner().invoke(app, ["trials", str(run.path)])
    marked = [line.split()[0] for line in result.stdout.splitlines() if "! " in line]
    assert marked == [str(busy.number)]
    told = " ".join(result.stderr.split())
    assert f"! taken on a busy processor: trial {busy.number} ({WHY})" in told
    asked = CliRunner().invoke(app, ["trials", str(run.path), "--json"])
    rows = data_of(asked.stdout, "trials")["trials"]
    assert [row["taken_on_busy_processor"] for row in rows if row["trial"] == busy.number] == [
        {"latency_ms[host]": WHY}
    ]
    assert sum(bool(row["taken_on_busy_processor"]) for row in rows) == 1
    html = front_as_html([busy], ["psnr_db", "latency_ms[host]"], None)
    assert f"taken on a busy processor: {WHY}" in unescape(html)
    assert f"{short_number(busy.value('latency_ms[host]'))}!" in html


def test_explain_says_it(run: RunFolder, busy: TrialResult) -> None:
    told = " ".join(CliRunner().invoke(app, ["explain", str(run.path)]).stdout.split())
    of_it = " ".join(
        CliRunner().invoke(app, ["explain", str(run.path), str(busy.number)]).stdout.split()
    )
    assert "ms on host (busy processor)" in of_it
    assert told.count("(busy processor)") == told.count(
        f"{short_number(busy.value('latency_ms[host]'))} ms on host"
    )


def test_an_exported_card_says_it(run: RunFolder, busy: TrialResult, tmp_path: Path) -> None:
    figures = {f"not a real model: {r.key}": r for r in run.results()}
    exported = export_models(
        run, tmp_path / "out", lambda path: figures[path.read_text()].value("psnr_db")
    )
    folder = next(one.folder for one in exported if one.result.number == busy.number)
    card = json.loads((folder / "card.json").read_text())
    assert card["metrics"]["latency_ms[host]"]["disturbed"] == WHY
    assert f"taken on a busy processor: {WHY}" in (folder / "README.md").read_text()
    performance = yaml.safe_load((folder / "perf.yaml").read_text())
    assert WHY in json.dumps(performance)
    others = [one.folder for one in exported if one.folder != folder]
    assert all("busy processor" not in (other / "README.md").read_text() for other in others)
    table = pd.read_csv(tmp_path / "out" / "pareto.csv").set_index("trial")
    assert table["latency_ms[host].taken_on_busy_processor"][busy.number] == WHY
