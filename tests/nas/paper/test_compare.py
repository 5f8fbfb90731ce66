import csv
import math
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from nas.devices.paper_phones.published import footnotes, latencies, output_errors, rows
from nas.devices.sweep import SweepRow
from nas.errors import ConfigError, RunError
from nas.paper.compare import Comparison, compare
from nas.paper.figure4 import size_cells
from nas.paper.page import Pages, write_comparison
from nas.paper.rows import table1_rows
from nas.paper.run import run_steps
from nas.storage.run_folder import RunFolder
from nas.system.files import write_json
from search_spaces import ARCHITECTURES, architecture_from_dict
from studies.paper import SCALES, SMALL_UNET
from tests.helpers.fake_run import make_run
from tests.helpers.small_paper import small_scale


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """All 21 candidates, with made-up figures and no files."""
    return run_steps(small_scale(), tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def comparison(run: RunFolder) -> Comparison:
    return compare(run, SCALES, ARCHITECTURES)


@pytest.fixture(scope="module")
def pages(run: RunFolder) -> Pages:
    return write_comparison(run, SCALES, ARCHITECTURES, architecture_from_dict, measure=False)


def _read(pages: Pages, name: str) -> list[dict[str, str]]:
    with (pages.html.parent / name).open(newline="") as file:
        return list(csv.DictReader(file))


class _Text(HTMLParser):
    """What a page shows, and every address that it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.loaded: list[str] = []
        self._silent = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent = tag in ("script", "style")
        values = dict(attrs)
        if tag in ("script", "img", "iframe") and values.get("src"):
            self.loaded.append(str(values["src"]))
        if tag == "link":
            self.loaded.append(str(values.get("href")))

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words.append(data.strip())

    def handle_endtag(self, tag: str) -> None:
        self._silent = False


@pytest.fixture(scope="module")
def text(pages: Pages) -> _Text:
    parser = _Text()
    parser.feed(pages.html.read_text())
    return parser


def test_all_69_latencies_are_there_each_with_its_footnote(comparison: Comparison) -> None:
    timed = [cell for cell in comparison.cells if cell.column.startswith("latency_ms[")]
    assert Counter(cell.outcome for cell in timed) == {"number": 61, "failed": 4, "empty": 4}
    shown = {(c.table, c.row, c.column[11:-1]): (c.published, c.footnote) for c in timed}
    assert shown == {(c.table, c.row, c.phone): (c.latency_ms, c.footnote) for c in latencies()}
    assert all(cell.here is not None for cell in timed)


def test_a_page_shows_every_published_figure_and_footnote_and_loads_nothing(text: _Text) -> None:
    words = set(text.words)
    for cell in latencies():
        if cell.latency_ms is not None:
            assert f"{cell.latency_ms:,.0f}".replace(",", "\u202f") in words
    for row in rows():
        assert {f"{row.psnr_db:.2f}", f"{row.ssim:.3f}", str(row.gmacs), row.row} <= words
    for one in output_errors():
        assert f"{one.psnr_db:.2f} ± {one.psnr_deviation_db:.2f}" in words
    for note in footnotes():
        assert note.text in words, note
    assert text.words.count("Failed") == 4
    assert [url for url in text.loaded if not url.startswith("data:image/svg+xml,")] == []


def test_csv_files_hold_every_cell_with_source_and_scale(pages: Pages) -> None:
    cells = _read(pages, "cells.csv")
    assert len(cells) == len(rows()) * 7
    assert {cell["scale"] for cell in cells if cell["here"]} == {"smoke", "full size"}
    sources = {cell["source"] for cell in cells if cell["column"].startswith("latency_ms")}
    assert sources == {"modelled"}
    failed = [cell for cell in cells if cell["published_outcome"] == "failed"]
    assert {cell["here"] for cell in failed} == {""}
    notes = {(cell["table"], cell["footnote"]) for cell in cells if cell["footnote"]}
    marks = {(str(n.table), n.mark) for n in footnotes() if n.kind in ("fallback", "failure")}
    assert marks <= notes
    assert len(_read(pages, "devices.csv")) == len(rows())
    assert len(_read(pages, "table1.csv")) == 4
    assert len(_read(pages, "figure4.csv")) == 12


def test_macs_of_the_full_networks_round_to_the_printed_ones(comparison: Comparison) -> None:
    cells = [c for c in comparison.cells if c.column == "gmacs" and "%" not in c.row]
    for cell in cells:
        if not cell.row.lower().endswith("-prelu") and cell.table < 4:
            assert cell.here is not None
            assert cell.here.value is not None
            assert round(cell.here.value) == cell.published
            assert cell.here.source == "computed"


def test_pruned_macs_are_this_runs_share_of_the_full_network(comparison: Comparison) -> None:
    (cell,) = (c for c in comparison.cells if c.column == "gmacs" and c.row == "-30% MAC")
    run = comparison.trials["unet-resizebilinear-prelu", "float", None]
    pruned = comparison.trials["unet-resizebilinear-prelu", "float", 30]
    left = pruned.value("gmacs_profiler") / run.value("gmacs_profiler")
    assert cell.here is not None
    assert cell.here.value == pytest.approx(256.58 * left, abs=0.01)
    assert 0.68 < left <= 0.7
    assert not cell.comparable


def test_the_score_is_the_challenges(comparison: Comparison) -> None:
    cells = {c.row: c for c in comparison.cells if c.column == "score" and c.table == 2}
    assert cells["U-Net"].published == pytest.approx(
        31.67 + 0.5 * math.log2(1000 / 31870 / 8.23), abs=1e-9
    )
    assert cells["DBPN"].published is None
    trial = comparison.trials["unet-transposeconv-relu", "float", None]
    fps = min(45.0, 1000 / trial.value("latency_ms[host]"))
    expected = trial.value("psnr_db") + 0.5 * math.log2(fps / 8.23)
    assert cells["U-Net"].here is not None
    assert cells["U-Net"].here.value == pytest.approx(expected)


def test_latencies_of_this_run_are_put_in_relation_to_its_unet(comparison: Comparison) -> None:
    base = comparison.trials["unet-transposeconv-relu", "float", None]
    edsr = comparison.trials["edsr", "float", None]
    cell = next(c for c in comparison.tables[0].devices if c.row == "EDSR")
    assert cell.ratio == edsr.value("latency_ms[host]") / base.value("latency_ms[host]")
    assert cell.published_ratios == {
        "mate30-pro-5g": 518 / 54206, "reno3-5g": 1607 / 1946, "pixel-4": 3468 / 31870,
    }  # fmt: skip


def test_only_the_papers_scale_on_its_data_compares_decibels(comparison: Comparison) -> None:
    quality = [c for c in comparison.cells if c.column in ("psnr_db", "ssim")]
    assert not any(cell.comparable for cell in quality)
    (unet, *_) = quality
    assert unet.here is not None
    assert unet.here.value is not None
    assert unet.difference == unet.here.value - 31.67


def test_a_phone_of_the_run_stands_in_table_1_as_it_told_itself(comparison: Comparison) -> None:
    phone = {
        "manufacturer": "Acme", "model": "One", "chip": "X1", "accelerators": ["x-npu"],
        "synthetic": False,
    }  # fmt: skip
    devices = ("host", "adb:1", "paper:pixel-4")
    *published, host, own, modelled = table1_rows(
        replace(comparison, devices=devices, phones={"adb:1": phone})
    )
    assert [row["ai_score"] for row in published] == [76206, 58628, 33289]
    assert host["cpu"] == comparison.description["conditions"]["processor"]
    assert (own["device"], own["chipset"], own["runtime"]) == ("adb:1 (Acme One)", "X1", "x-npu")
    assert [row["source"] for row in (host, own, modelled)] == ["measured", "measured", "modelled"]


def test_an_unfinished_run_has_its_page_too(tmp_path: Path) -> None:
    run = run_steps(small_scale(), tmp_path, step=1)
    page = write_comparison(run, SCALES, ARCHITECTURES, architecture_from_dict, measure=False)
    html = page.html.read_text()
    assert "6 of 21" in html
    assert "too few rows yet" in html
    assert re.search(r'<span class="none">not run</span>', html)
    cells = _read(page, "cells.csv")
    assert {c["here_failure"] for c in cells if c["column"] == "psnr_db"} == {"", "not run"}


def test_until_this_run_has_chosen_nothing_stands_for_the_compressed_network(
    tmp_path: Path,
) -> None:
    found = compare(run_steps(small_scale(), tmp_path, "measured", step=1), SCALES, ARCHITECTURES)
    assert found.compressed is None
    assert all(line.trial is None for line in found.tables[-1].lines)
    assert size_cells(found, RunFolder(tmp_path), ARCHITECTURES, measure=False)[-1].source != (
        "measured"
    )


def test_another_networks_choice_has_its_own_macs_and_is_not_put_beside_the_papers(
    tmp_path: Path,
) -> None:
    best = SCALES["smoke"].steps[1].networks["unet-depthtospace-relu"]
    run = run_steps(small_scale({SMALL_UNET.label: 40.0, best.label: 41.0}), tmp_path, "measured")
    found = compare(run, SCALES, ARCHITECTURES)
    assert found.compressed == "unet-depthtospace-relu"
    macs = [line.cells["gmacs"] for line in found.tables[-1].lines]
    own = ARCHITECTURES["unet-depthtospace-relu"].graph().macs(720, 1280).profiler / 1e9
    assert macs[0].here is not None
    assert macs[0].here.value == pytest.approx(own)
    assert not any(cell.comparable for cell in macs)


def test_sizes_are_rounded_up_as_a_sweep_rounds_them(comparison: Comparison) -> None:
    cells = size_cells(comparison, RunFolder(Path("nowhere")), ARCHITECTURES, measure=False)
    sizes = {cell.size: cell.run_size for cell in cells if cell.source != "measured"}
    assert sizes[(640, 360)] == (640, 368)
    assert sizes[(1280, 720)] == (1280, 720)
    assert sizes[(1600, 900)] == (1600, 912)


def test_a_device_that_fails_leaves_the_others_their_sizes_and_is_asked_again(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def swept(model: Path, devices: list[str], out: Path, _: object, sizes: list[Any]) -> object:
        asked.extend(devices)
        if devices == ["adb:gone"]:
            raise ConfigError("no such phone")
        rows = [
            SweepRow(devices[0], size, size, 2.0, (1.0, 3.0), 9.0, None, None, "measured")
            for size in sizes
        ]
        write_json(out / "sweep.json", [row.to_dict() for row in rows])
        return rows

    monkeypatch.setattr("nas.devices.sweep.sweep", swept)
    key = (comparison.compressed or "", "float", None)
    trial = replace(comparison.trials[key], artifact="model.tflite")
    (tmp_path / "model.tflite").write_bytes(b"x")
    told = replace(
        comparison,
        devices=("host", "adb:gone", "paper:pixel-4"),
        trials={**comparison.trials, key: trial},
    )
    for _ in range(2):
        cells = size_cells(told, RunFolder(tmp_path), ARCHITECTURES)
        own = [cell for cell in cells if cell.device in ("host", "adb:gone")]
        half = len({cell.size for cell in cells})
        assert [cell.failure for cell in own] == [None] * half + ["no such phone"] * half
        assert [cell.ratio for cell in own] == [1.0] * half + [None] * half
    assert asked == ["host", "adb:gone", "adb:gone"]


def test_other_runs_are_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", 2)
    with pytest.raises(RunError, match="of the study 'made-up', not of `nas paper`; its own repor"):
        compare(run, SCALES, ARCHITECTURES)
    with pytest.raises(RunError, match="is no run's folder"):
        compare(RunFolder(tmp_path), SCALES, ARCHITECTURES)
