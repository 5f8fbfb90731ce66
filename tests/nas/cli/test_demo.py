"""`nas demo`: the bars that fall, and the whole of it on a few networks."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from nas.cli import browser, npu_demo
from nas.cli.app import app
from nas.cli.demo import Bar, bars, drawn_bars
from nas.cli.npu_demo import NpuAnswer
from nas.devices.npu.requirements import Machine
from nas.errors import ConfigError
from nas.storage.run_folder import RunFolder
from studies.portable import DEMO
from tests.helpers.report_pages import Page

MATE = "paper:mate30-pro-5g"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, str, str]:
    """A demonstration of a few networks, and what it printed to each stream."""
    folder = tmp_path_factory.mktemp("demo") / "run"
    arguments = ["demo", "--no-open", "--no-npu", "--trials", "18", "--out", str(folder)]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False, env={"COLUMNS": "100"})
    assert result.exit_code == 0
    return RunFolder(folder), result.stdout, result.stderr


def test_it_searches_reports_and_says_what_it_found(done: tuple[RunFolder, str, str]) -> None:
    run, stdout, stderr = done
    page = run.path / "report" / "index.html"
    assert stdout.splitlines()[-1] == str(page)
    shown = Page(page.read_text())
    assert "Why is it slow here?" in shown.headings
    assert "TRANSPOSE_CONV" in shown.sections["slow"]
    assert len(run.results()) == 18
    assert not [result for result in run.results() if result.weights]
    said = " ".join(stderr.split())
    assert "transposed convolution 54.2 s" in said
    assert "bilinear resizing 1.18 s" in said
    assert "finished in " in said
    assert "next: nas search quickstart --out runs/a" in said


def test_the_bar_falls_as_results_come(done: tuple[RunFolder, str, str]) -> None:
    results = done[0].results()
    assert bars([], MATE) == []
    first = bars(results[:1], MATE)
    assert [bar.name for bar in first] == ["transposed convolution", "best so far"]
    assert [round(bar.seconds, 1) for bar in first] == [54.2, 54.2]
    last = bars(results, MATE)
    assert [bar.source for bar in last[:2]] == ["published", "published"]
    assert last[1].seconds == pytest.approx(1.184)
    falling = [bars(results[: count + 1], MATE)[-1].seconds for count in range(len(results))]
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] <= 1.184
    assert last[-1].psnr_db >= last[0].psnr_db - 0.1


@pytest.mark.parametrize("width", [40, 80, 120])
def test_bars_are_to_scale_and_fit(width: int) -> None:
    shown = [Bar("a", 50.0, 31.67, "published"), Bar("b", 25.0, 31.65, "modelled")]
    console = Console(width=width)
    with console.capture() as capture:
        console.print(drawn_bars(shown, width))
    lines = capture.get().splitlines()
    assert len(lines) == 2
    assert all(len(line) <= width for line in lines)
    cells = [line.count("█") for line in lines]
    assert cells[1] == pytest.approx(cells[0] / 2, abs=1)
    assert "dB" in lines[0]


def test_the_study_begins_with_the_paper_s_story() -> None:
    first, second = DEMO.baselines[:2]
    assert (first.architecture.label.split()[0], second.architecture.label.split()[0]) == (
        "unet-transposeconv-relu",
        "unet-resizebilinear-relu",
    )


def test_npus_are_shown_refused_or_passed_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answers(tell: object) -> list[NpuAnswer]:
        known = [NpuAnswer("net-a", f"npu:{chip}", 7.25, "modelled", "") for chip in npu_demo.CHIPS]
        refused = NpuAnswer("net-b", "npu:sm8650", None, "simulated", "TRANSPOSE_CONV: odd rows")
        return [*known, refused, refused, refused]

    monkeypatch.setattr(npu_demo, "ask_npus", answers)
    ready = Machine("Linux", "x86_64", (2, 36), dict.fromkeys(("onnx", "a"), "1"))
    monkeypatch.setattr(Machine, "here", classmethod(lambda cls: ready))
    monkeypatch.setattr(Machine, "complaint", property(lambda self: None))
    npu_demo.show_npu_demo(None)
    shown = capsys.readouterr()
    assert "ms Galaxy S24" in shown.out
    assert shown.out.count("7.25") == len(npu_demo.CHIPS)
    assert "refused: TRANSPOSE_CONV: odd rows" in shown.err
    assert "modelled, not measured" in shown.err
    npu_demo.show_npu_demo(False)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(Machine, "complaint", property(lambda self: "needs Linux"))
    npu_demo.show_npu_demo(None)
    assert "Snapdragon NPUs could be asked, too; needs Linux" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="npu: needs Linux"):
        npu_demo.show_npu_demo(True)


def test_a_page_is_opened_where_there_is_a_screen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(browser.webbrowser, "open", lambda page: opened.append(page) or True)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(browser.sys, "platform", "linux")
    browser.open_page(tmp_path / "index.html")
    assert opened == []
    assert f"open file://{tmp_path}/index.html" in capsys.readouterr().err
    monkeypatch.setenv("DISPLAY", ":0")
    browser.open_page(tmp_path / "index.html")
    assert opened == [f"file://{tmp_path}/index.html"]
