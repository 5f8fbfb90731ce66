"""Noise and halving in a report and in `nas pareto`, from made-up trainings."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from scipy import stats
from typer.testing import CliRunner

from nas.cli.app import app
from nas.report import gather
from nas.report.certainty import rung_rows
from nas.report.charts import front_chart
from nas.report.page import report_html
from nas.search.replicate import replicate
from nas.storage.run_folder import RunFolder
from nas.study.halving import readings_of
from nas.study.pareto import front
from nas.system.files import write_json
from tests.helpers.envelope import data_of
from tests.helpers.fake_run import describe
from tests.helpers.report_pages import Page
from tests.helpers.trained_study import MadeUp, loop_of, trained_study


def _run(folder: Path, trials: int, **changes: object) -> RunFolder:
    loop = loop_of(trained_study(**changes), folder, MadeUp())
    write_json(folder / "run.json", describe(bound_ms=None) | {"input": {"psnr_db": 20.0}})
    loop.drive(trials, 1)
    replicate(loop.search)
    return RunFolder(folder)


def test_a_report_says_how_sure_its_psnr_is(tmp_path: Path) -> None:
    run = _run(tmp_path, 16)
    data = gather(run)
    sure = data.certainty
    assert sure is not None
    assert sure.noise.freedom == 3
    for member in data.front:
        low, high = member.metrics["psnr_db"].interval or (0, 0)
        assert high - low == pytest.approx(2 * sure.noise.half_width_db)
    page = Page(report_html(data))
    assert page.sections["certainty"].startswith(sure.said)
    assert "3 networks trained again" in sure.said
    below = f"below {sure.noise.resolved_db:.2f} dB two networks, trained once each, don't differ"
    assert below in page.sections["certainty"]
    assert "that of PSNR is drawn on the front only" in page.sections["front"]
    header, *rows = page.rows["front-table"]
    psnr = header.index("PSNRdB")
    intervals = [member.metrics["psnr_db"].interval or (0, 0) for member in data.front]
    assert [row[psnr] for row in rows] == [
        f"{member.value('psnr_db'):.2f}{low:.2f}–{high:.2f}"
        for member, (low, high) in zip(data.front, intervals, strict=True)
    ]
    (members,) = (
        t for t in front_chart(data, data.costs[0])["data"] if t.get("name") == "Pareto front"
    )
    assert members["error_y"]["visible"]


def test_the_list_has_intervals_and_names_what_is_not_apart(tmp_path: Path) -> None:
    run = _run(tmp_path, 16)
    told = CliRunner().invoke(app, ["pareto", str(tmp_path)])
    assert "±" in told.stdout
    assert "3 networks trained again" in told.stderr
    data = gather(run)
    assert data.certainty is not None
    assert data.certainty.ties in told.stderr.replace("\n", " ")
    rows = data_of(CliRunner().invoke(app, ["pareto", str(tmp_path), "--json"]).stdout, "pareto")[
        "models"
    ]
    for row in rows:
        low, high = row["psnr_db_interval"]
        assert low < row["psnr_db"] < high


def test_without_replicates_nothing_is_claimed(tmp_path: Path) -> None:
    run = _run(tmp_path, 16, replicates=0)
    assert gather(run).certainty is None
    assert "±" not in CliRunner().invoke(app, ["pareto", str(tmp_path)]).stdout
    rows = data_of(CliRunner().invoke(app, ["pareto", str(tmp_path), "--json"]).stdout, "pareto")[
        "models"
    ]
    assert {row["psnr_db_interval"] for row in rows} == {None}


def test_pruned_trials_are_neither_failures_nor_on_the_front(tmp_path: Path) -> None:
    run = _run(tmp_path, 80, halving=True)
    data = gather(run)
    assert data.states == {"complete": 5, "stopped": 75}
    assert data.causes == ()
    assert {r.state for r in front(data.results, data.objectives)} == {"complete"}
    first, second = data.rungs
    assert (first.read, first.went_on) == (80, 20)
    assert (second.read, second.went_on, second.whole) == (20, 5, 5)
    whole = [r for r in data.results if r.state == "complete"]
    told = [readings_of(r)[1]["psnr_db"] for r in whole]
    ends = [r.value("psnr_db") for r in whole]
    assert second.tau == pytest.approx(stats.kendalltau(told, ends).statistic)
    page = Page(report_html(data))
    assert "at 1/16 of the training 80 were read and 20 went on" in page.sections["rungs"]
    assert page.stats[0] == ("5", "trials complete", "75 stopped early")
    table = json.loads(page.scripts["payload"])["table"]
    note = [column["name"] for column in table["columns"]].index("note")
    notes = Counter(row[note] for row in table["rows"])
    assert notes["stopped at 1/16 of the training"] == 60
    assert notes["stopped at 1/4 of the training"] == 15
    assert rung_rows(_run(tmp_path / "plain", 6).results()) == ()
