"""Pruned shares and precisions in a report, from made-up trials."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from nas.networks.candidate import PRECISIONS, Candidate, Compression
from nas.report import gather
from nas.report.compression import APART, compression_chart, compression_rows, qualities_of
from nas.report.page import report_html
from nas.report.png import save_compression
from nas.storage.run_folder import RunFolder
from nas.study.metric import Metric
from nas.study.trial_result import TrialResult
from nas.system.files import write_json
from search_spaces import UNet
from tests.helpers.fake_run import describe, make_results
from tests.helpers.report_pages import Page

WIDE, NARROW = ((UNet("resize-bilinear", "relu", (8, width), 1, 3)) for width in (16, 8))


def trial(
    number: int, precision: str, share: float, psnr_db: float, network: UNet = WIDE
) -> TrialResult:
    candidate = Candidate(network, Compression(precision, share))  # type: ignore[arg-type]
    metrics = {
        "psnr_db": Metric(psnr_db, "synthetic"),
        "ssim": Metric(psnr_db / 40, "synthetic"),
        "gmacs_profiler": Metric(2 * (1 - share), "computed"),
        "bytes": Metric(1000 + number, "measured"),
        "latency_ms[host]": Metric(5.0 + number, "modelled", interval=(4.0, 9.0)),
    }
    return TrialResult(
        number, candidate.key, candidate.label, candidate.to_dict(), "complete", {}, metrics
    )


MIXED = [
    trial(0, "int8-ptq", 0.3, 28.0),
    trial(1, "float", 0.0, 30.0),
    trial(2, "float", 0.0, 31.0, NARROW),
    trial(3, "int8-ptq", 0.0, 29.0),
    trial(4, "int8-ptq", 0.0, 29.5, NARROW),
    trial(5, "int8-ptq", 0.0, 27.0, replace(NARROW, first_kernel=5)),
    replace(trial(6, "int16-ptq", 0.3, 40.0), state="failed"),
]


def test_a_row_has_the_sharpest_and_its_drop() -> None:
    rows = compression_rows(MIXED)
    assert [(row.pruned_share, row.precision) for row in rows] == [
        (0.0, "float"),
        (0.0, "int8-ptq"),
        (0.3, "int8-ptq"),
    ]
    assert [row.best.number for row in rows] == [2, 4, 0]
    assert [row.networks for row in rows] == [2, 3, 1]
    assert [row.median_psnr_db for row in rows] == [30.5, 29.0, 28.0]
    assert [row.drop_db for row in rows] == [None, -1.5, -2.0]  # each to its own network's float


def test_one_compression_is_nothing_to_compare() -> None:
    assert compression_rows([MIXED[1], MIXED[2]]) == ()
    assert compression_rows([TrialResult(0, "k", "", {}, "complete")]) == ()


def test_the_chart_joins_trials_of_one_network() -> None:
    go = pytest.importorskip("plotly.graph_objects")
    chart = compression_chart(compression_rows(MIXED), "psnr_db", [2])
    go.Figure(chart)
    line, *others = [trace for trace in chart["data"] if trace["mode"] == "lines"]
    assert others == []
    assert line["y"] == [29.0, 28.0, None]  # trials 3 and 0
    dots = {trace["name"]: trace for trace in chart["data"] if trace["mode"] == "markers"}
    assert list(dots) == ["float", "int8-ptq"]
    assert sorted(dots["int8-ptq"]["y"]) == [27.0, 28.0, 29.0, 29.5]
    assert set(dots["float"]["x"]) == {-APART / 2}
    assert dots["float"]["marker"]["size"][dots["float"]["y"].index(31.0)] == 12
    json.dumps(chart, allow_nan=False)


def test_a_crowd_is_thinned_and_keeps_the_front() -> None:
    crowd = [trial(n, "float", 0.0, 30 + n / 1000) for n in range(500)]
    rows = compression_rows([*crowd, trial(500, "int8-qat", 0.0, 29.0)])
    (dots,) = [t for t in compression_chart(rows, "psnr_db", [137])["data"] if t["name"] == "float"]
    assert len(dots["x"]) <= 61
    assert 30.137 in dots["y"]


def run_of(folder: Path, results: list[TrialResult]) -> RunFolder:
    run = RunFolder(folder)
    write_json(folder / "run.json", describe(bound_ms=None))
    for result in results:
        run.write_result(result)
    return run


def test_the_page_says_what_is_compared(tmp_path: Path) -> None:
    mixed = Page(report_html(gather(run_of(tmp_path / "a", MIXED))))
    assert "Pruning and precision" in mixed.headings
    assert "these are different networks" in mixed.sections["compression"]
    header, *rows = mixed.rows["compression"]
    assert [row[: header.index("SSIM")] for row in rows] == [
        ["0 %", "float", "22 networks", "31.00median 30.50", ""],
        ["0 %", "int8-ptq", "33 networks", "29.50median 29.00", "-1.50"],
        ["30 %", "int8-ptq", "11 network", "28.00", "-2.00"],
    ]
    everything = [
        trial(4 * i + j, name, share, 30 - i - j)
        for i, share in enumerate((0.0, 0.5))
        for j, name in enumerate(PRECISIONS)
    ]
    one = Page(report_html(gather(run_of(tmp_path / "b", everything))))
    assert "One network, pruned by a share" in one.sections["compression"]
    header, *rows = one.rows["compression"]
    order = ["float", "int16-ptq", "int8-qat", "int8-ptq"]
    assert [row[:2] for row in rows] == [[s, p] for s in ("0 %", "50 %") for p in order]
    latencies = [row[header.index("Latencyms, host")] for row in rows]
    assert all(
        text.endswith("4.00–9.00modelled") or text.endswith("4–9modelled") for text in latencies
    )
    plain = [r for r in make_results(30) if r.candidate["compression"]["precision"] == "float"]
    without = Page(report_html(gather(run_of(tmp_path / "c", plain))))
    assert "Pruning and precision" not in without.headings


def test_no_chart_of_what_nobody_scored() -> None:
    without = [
        replace(r, metrics={n: m for n, m in r.metrics.items() if n != "ssim"}) for r in MIXED
    ]
    rows = compression_rows(without)
    assert qualities_of(rows) == ["psnr_db"]
    assert compression_chart(rows, "ssim", [])["data"] == []
    assert qualities_of(compression_rows(MIXED)) == ["psnr_db", "ssim"]


def test_the_print_shows_every_precision() -> None:
    file = io.BytesIO()
    save_compression(compression_rows(MIXED), file)
    with Image.open(file) as image:
        assert image.width > 2 * image.height
        colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 20) or []}
    assert {(0x1D, 0x1F, 0x23), (0xC2, 0x50, 0x1C)} <= colours
