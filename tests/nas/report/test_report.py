from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from nas.errors import ConversionError
from nas.report import gather, write_report
from nas.report.charts import front_chart
from nas.report.effect_chart import effect_chart
from nas.report.effects import find_effects
from nas.report.numbers import duration, number
from nas.report.offline import safe_json
from nas.report.page import report_html
from nas.report.png import save_front
from nas.storage.run_folder import RunFolder
from nas.study.pareto import front
from search_spaces import architecture_from_dict
from tests.helpers.fake_run import make_results, make_run
from tests.helpers.report_pages import Page, open_model, pairs


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = make_run(tmp_path_factory.mktemp("run"), 40, ("host", "phone <1>"))
    write_report(run, 2, pairs(), open_model, architecture_from_dict)
    return run


@pytest.fixture(scope="module")
def html(run: RunFolder) -> str:
    return (run.path / "report" / "index.html").read_text()


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_one_page_that_needs_no_network(page: Page) -> None:
    inside = ("data:image/webp;base64,", "data:image/svg+xml,", "#")
    outside = [a for a in page.addresses if not a.startswith(inside)]
    assert outside == []
    assert page.scripts["?"].count("plotly.js v") == 1


def test_every_part_is_there(page: Page) -> None:
    assert page.headings == [
        "What it looks like",
        "The run in figures",
        "The best trade-offs",
        "The front",
        "Within your budget",
        "How the search went",
        "One device against another",
        "What each choice does",
        "What did not work",
        "Where the time went",
        "All trials",
        "Conditions",
    ]
    for expected in (
        "Synthetic figures.",
        "psnr-rgb-u8-b0-imgmean",
        "median-of-launch-medians",
        "one known shake of 9 pixels",
        "a made-up processor",
        "TrainingError",
        "phone <1>",
    ):
        assert expected in page.text


def test_what_people_wrote_is_escaped(html: str) -> None:
    assert "phone &lt;1&gt;" in html
    assert "phone <1>" not in html


def test_the_table_holds_every_figure(run: RunFolder, page: Page) -> None:
    table = json.loads(page.scripts["payload"])["table"]
    names = [column["name"] for column in table["columns"]]
    results = run.results()
    assert len(table["rows"]) == len(results)
    for row, result in zip(table["rows"], results, strict=True):
        cells = dict(zip(names, row, strict=True))
        assert cells["trial"] == result.number
        assert cells["key"] == result.key
        for name, metric in result.metrics.items():
            assert cells[name] == metric.value
            assert cells[f"{name}.source"] == metric.source
        assert cells["parameter.precision"] == result.parameters["precision"]
        assert (cells["psnr_db"] is None) == ("psnr_db" not in result.metrics)
    on_front = {r.key for r in front(results, run.objectives())}
    assert {row[names.index("key")] for row in table["rows"] if row[names.index("on_front")]} == (
        on_front
    )


def test_pictures_are_written(run: RunFolder) -> None:
    sizes = {}
    for name in ("front", "hypervolume", "parameters", "crops"):
        with Image.open(run.path / "report" / f"{name}.png") as image:
            sizes[name] = image.size
            assert len(image.convert("L").getcolors(1 << 16) or []) > 20
            drawn = (run.path / "report" / f"{name}.svg").exists()
            assert drawn == (name != "crops")
    assert sizes["front"][0] > sizes["front"][1] > 500
    vector = io.BytesIO()
    save_front(gather(run), io.BytesIO(), vector)
    svg = (run.path / "report" / "front.svg").read_text()
    assert vector.getvalue().decode() == svg
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"


def test_a_report_without_pictures_says_why(tmp_path: Path) -> None:
    run = make_run(tmp_path, 30)

    def refuses(path: Path) -> Any:
        raise ConversionError(f"{path.name} is corrupt")

    page = write_report(run, 2, pairs(), refuses).read_text()
    assert "The pictures could not be restored: model.tflite is corrupt" in page
    assert not (tmp_path / "report" / "crops.png").exists()


def test_a_run_without_a_trial(tmp_path: Path) -> None:
    page = Page(write_report(make_run(tmp_path, 0), 2, pairs(), open_model).read_text())
    assert "No trial has finished yet." in page.text
    assert page.headings == ["Conditions"]
    assert [path.name for path in (tmp_path / "report").iterdir()] == ["index.html"]


def test_a_run_without_a_complete_trial(tmp_path: Path) -> None:
    run = make_run(tmp_path, 60, bound_ms=1.0)
    page = Page(write_report(run, 2, pairs(), open_model).read_text())
    assert "No trial is complete." in page.text
    assert "The front" in page.headings
    assert "What it looks like" not in page.headings


def test_a_run_that_ended_early_says_why(tmp_path: Path) -> None:
    run = make_run(tmp_path, 4)
    run.keep_ending(4, "10 further trials are expected to add little")
    facts = Page(report_html(gather(run))).text
    assert "Converged: 10 further trials are expected to add little" in facts


def test_what_a_run_learned_from_is_told_with_its_weights(tmp_path: Path) -> None:
    run = make_run(tmp_path, 9)
    told = {"name": "run-a", "left_out": 2, "trials": [{}] * 38}
    path = run.path / "earlier.json"
    path.write_text(json.dumps(told))
    text = Page(report_html(gather(run))).text
    assert "38 trials of run-a (2 left out). How far this run follows them is told once" in text
    told["weights"] = {
        "psnr_db": {"psnr_db": 0.814, "latency_ms[host]": -0.1},
        "latency_ms[phone]": {"psnr_db": 0.1, "latency_ms[host]": -0.9},
    }
    path.write_text(json.dumps(told))
    text = Page(report_html(gather(run))).text
    assert "PSNR 0.81, Latency on phone -0.90 (by Latency on host)" in text


def test_a_report_replaces_an_earlier_one(tmp_path: Path) -> None:
    run = make_run(tmp_path, 20)
    assert "No pictures were asked for." in write_report(run, 0).read_text()
    assert (tmp_path / "report" / "front.png").exists()
    for folder in (tmp_path / "trials").iterdir():
        (folder / "result.json").unlink()
    write_report(run, 1, pairs(), open_model)
    assert [path.name for path in (tmp_path / "report").iterdir()] == ["index.html"]


def test_many_trials_stay_usable(tmp_path: Path) -> None:
    run = make_run(tmp_path, 0)
    data = replace(gather(run), results=tuple(make_results(3000)))
    data = replace(data, effects=tuple(find_effects(data.results, data.objectives)))
    chart = front_chart(data, data.costs[0])
    kinds = {trace.get("name"): trace["type"] for trace in chart["data"]}
    assert kinds["complete"] == "scattergl"
    assert "error_x" not in next(t for t in chart["data"] if t.get("name") == "complete")
    for effect in data.effects:
        dots = sum(len(t["x"]) for t in effect_chart(effect, [])["data"][1:])
        assert dots <= 60 * len(effect.groups)
    assert len(report_html(data)) < 8e6


def test_json_cannot_end_a_script() -> None:
    assert "<" not in safe_json({"label": "</script><script>alert(1)"})
    assert json.loads(safe_json(["</script>"])) == ["</script>"]


def test_numbers_and_durations() -> None:
    assert [number(v) for v in (9.7, 23.04, 123.4, 12345.6, 7.0, 0.00001)] == [
        "9.70", "23.0", "123", "12\u202f346", "7", "1.0e-05",
    ]  # fmt: skip
    assert [duration(s) for s in (0.61, 42, 200, 18720)] == [
        "0.61 s", "42 s", "3 min 20 s", "5 h 12 min",
    ]  # fmt: skip
