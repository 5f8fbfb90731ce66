"""`nas trials`, `nas explain` and `nas compare` on a made-up run."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.errors import ConfigError
from nas.report import open_front
from nas.report.explanation import explain_run, explain_trial
from nas.storage.run_folder import RunFolder
from tests.helpers.envelope import data_of
from tests.helpers.fake_run import make_run, replicate


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    made = make_run(tmp_path_factory.mktemp("run") / "a", 60)
    replicate(made)
    return made


def invoke(*arguments: str):
    return CliRunner().invoke(app, [*arguments])


def test_every_trial_is_listed_with_its_state_and_reason(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = data_of(invoke("trials", str(run.path), "--json").stdout, "trials")["trials"]
    assert [row["trial"] for row in listed] == [result.number for result in run.results()]
    states = {row["state"] for row in listed}
    assert states == {"complete", "infeasible", "failed"}
    on_front = {member.number for member in open_front(run).front}
    for row in listed:
        assert bool(row["reason"]) == (row["state"] != "complete")
        assert row["on_front"] == (row["trial"] in on_front)
    monkeypatch.setenv("COLUMNS", "200")
    text = invoke("trials", str(run.path), "--state", "infeasible").stdout
    assert len(text.strip().splitlines()) == 1 + sum(r["state"] == "infeasible" for r in listed)
    assert "60 at most" in text


def test_csv_has_a_column_for_each_figure(run: RunFolder) -> None:
    text = invoke("trials", str(run.path), "--state", "failed", "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows
    assert {row["state"] for row in rows} == {"failed"}
    assert "latency_ms[host]" in rows[0]
    assert "TrainingError" in rows[0]["reason"]


def test_wrong_words_are_told(run: RunFolder) -> None:
    wrong = invoke("trials", str(run.path), "--state", "fialed")
    assert "Did you mean 'failed'?" in str(wrong.exception)
    wrong = invoke("trials", str(run.path), "--format", "cvs")
    assert "Did you mean 'csv'?" in str(wrong.exception)
    both = invoke("trials", str(run.path), "--format", "csv", "--json")
    assert isinstance(both.exception, ConfigError)
    assert "give one of them" in str(both.exception)


def test_explain_prints_the_sentences(run: RunFolder) -> None:
    found = open_front(run)
    assert invoke("explain", str(run.path)).stdout.splitlines() == explain_run(found)
    one = invoke("explain", str(run.path), "3").stdout.splitlines()
    assert one == explain_trial(found, 3)
    facts = data_of(invoke("explain", str(run.path), "--json").stdout, "explain")
    choice = found.choose()
    assert choice is not None
    assert facts["choice"]["trial"] == choice.model.trial
    assert facts["sentences"] == explain_run(found)


def test_pareto_within_a_budget(run: RunFolder) -> None:
    found = open_front(run)
    limit = sorted(offer.figures["latency_ms[host]"] for offer in found.offers)[2]
    budget = f"latency_ms[host]={limit}"
    front = data_of(invoke("pareto", str(run.path), "--under", budget, "--json").stdout, "pareto")
    choice = found.choose({"latency_ms[host]": limit})
    assert choice is not None
    assert front["choice"]["trial"] == choice.model.trial
    assert front["under"] == {"latency_ms[host]": limit}
    assert len(front["models"]) == 3
    assert front["resolved_db"] == found.resolved
    told = invoke("pareto", str(run.path), "--under", budget)
    assert f"Take trial {choice.model.trial}: " in told.stderr
    none = invoke("pareto", str(run.path), "--under", "latency_ms[host]=0.001")
    assert none.stdout == ""
    assert "no model of the front is within latency_ms[host]=0.001; the least" in none.stderr


def test_pareto_sorts_by_any_figure(run: RunFolder) -> None:
    for figure, down in (("parameters", False), ("ssim", True)):
        text = invoke("pareto", str(run.path), "--sort", figure, "--format", "csv").stdout
        values = [float(row[figure]) for row in csv.DictReader(io.StringIO(text))]
        assert values == sorted(values, reverse=down)
        assert len(values) > 3
    choice = open_front(run).choose()
    assert choice is not None
    rows = list(csv.DictReader(io.StringIO(text)))
    assert all(float(r["psnr_db_low"]) <= float(r["psnr_db"]) for r in rows if r["psnr_db_low"])
    assert [row["trial"] for row in rows if row["chosen"] == "True"] == [str(choice.model.trial)]
    wrong = invoke("pareto", str(run.path), "--sort", "paramters")
    assert "Did you mean 'parameters'?" in str(wrong.exception)


def test_compare_draws_and_lists(run: RunFolder, tmp_path: Path) -> None:
    other = make_run(tmp_path / "b", 20)
    picture = tmp_path / "fronts.png"
    done = invoke("compare", str(run.path), str(other.path), "--out", str(picture), "--json")
    found = data_of(done.stdout, "compare")
    assert [one["trials"] for one in found["runs"]] == [60, 20]
    assert picture.read_bytes().startswith(b"\x89PNG")
    alone = invoke("compare", str(run.path))
    assert "needs two runs or more, but 1 came" in str(alone.exception)


def test_csv_of_a_front_where_only_some_have_an_interval(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", 30)
    for number, result in enumerate(made.results()):
        if number % 2 and "psnr_db" in result.metrics:
            psnr = replace(result.metrics["psnr_db"], interval=(20.0, 40.0))
            made.write_result(replace(result, metrics={**result.metrics, "psnr_db": psnr}))
    text = invoke("pareto", str(made.path), "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["psnr_db_high"] for row in rows} == {"", "40.0"}
