"""The paper's networks on NPUs of today: what is asked, what is kept, what the page shows of it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.devices.paper_phones.published import rows
from nas.errors import ConversionError
from nas.paper import today
from nas.paper.page import comparison_html
from nas.paper.rows import today_rows, write_csv
from nas.paper.today import TodayCell, today_lines, told
from nas.tflite import size as size_module
from nas.tflite.file import read_tflite
from search_spaces import ARCHITECTURES, UNet
from tests.helpers.npu_graphs import needs_extra

ROW = rows()[0]
INT8 = next(row for row in rows() if row.precision == "int8-qat" and not row.pruned_percent)
CELL = TodayCell(
    "npu:sm8650", "modelled", 11.5, (9.5, 14.0), 0.89, 49, 49, "fitted", None,
    {"ddr_read_mb": 80.0, "ddr_write_mb": 100.0, "spill_mb": 72.0},
)  # fmt: skip


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Devices answer with `CELL`, and nothing is converted; lists what was asked."""
    names: list[str] = []

    @contextmanager
    def no_file(network: Any, precision: Any) -> Iterator[Path]:
        yield Path(precision)

    def answer(artifact: Path, device: str) -> TodayCell:
        names.append(f"{artifact} on {device}")
        return replace(CELL, device=device)

    monkeypatch.setattr(today, "full_size_file", no_file)
    monkeypatch.setattr(today, "_asked", answer)
    return names


def test_each_row_is_asked_once_a_device_and_kept(asked: list[str]) -> None:
    said: list[str] = []
    devices = ["npu:sm8650", "npu:sa8255"]
    first = list(told(ROW, devices, ARCHITECTURES, tell=said.append))
    assert [cell.device for cell in first] == devices
    assert said == ["unet-transposeconv-relu, float, 1280x720, for npu:sm8650, npu:sa8255"]
    again = list(told(ROW, devices, ARCHITECTURES, tell=said.append))
    assert again == first
    assert len(asked) == 2
    list(told(ROW, ["npu:sm8850"], ARCHITECTURES))
    assert asked[-1] == "float on npu:sm8850"


def test_without_computing_only_what_is_kept_comes(asked: list[str]) -> None:
    assert list(told(ROW, ["npu:sm8650"], ARCHITECTURES, compute=False)) == []
    list(told(ROW, ["npu:sm8650"], ARCHITECTURES))
    assert list(told(ROW, ["npu:sm8650"], ARCHITECTURES, compute=False)) == [CELL]
    for path in Path(today.cache_folder() / "paper").glob("*.json"):
        path.write_text("{}")  # damaged
    assert list(told(ROW, ["npu:sm8650"], ARCHITECTURES, compute=False)) == []
    assert len(asked) == 1


def test_what_can_not_be_told_now_is_not_kept(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(today, "_asked", lambda artifact, device: "the machine is busy")
    (cell,) = told(ROW, ["npu:sm8650"], ARCHITECTURES)
    assert (cell.latency_ms, cell.failure) == (None, "the machine is busy")
    monkeypatch.setattr(today, "_asked", lambda artifact, device: CELL)
    assert list(told(ROW, ["npu:sm8650"], ARCHITECTURES)) == [CELL]


def test_lines_are_of_npus_only(asked: list[str]) -> None:
    small = {ROW.network: ARCHITECTURES[ROW.network]}
    assert today_lines(["host", "paper:pixel-4", "adb:X"], small) == ()
    lines = today_lines(["host", "npu:sm8650"], small)
    assert {line.row.network for line in lines} == {ROW.network}
    assert all(line.cells == (CELL,) for line in lines)
    assert len(asked) == 1  # the same network is in two tables


def test_a_pruned_row_is_a_narrower_network() -> None:
    network = ARCHITECTURES["unet-resizebilinear-prelu"]
    whole, half = (today.pruned(network, share).graph().macs(720, 1280) for share in (None, 50))
    assert half.conv / whole.conv == pytest.approx(0.5, abs=0.05)


def test_the_page_and_the_table(tmp_path: Path) -> None:
    from nas.paper.compare import compare
    from nas.paper.figure3 import Pictures
    from nas.paper.figure4 import size_cells
    from nas.paper.run import run_steps
    from studies.paper import SCALES
    from tests.helpers.small_paper import small_scale

    run = run_steps(small_scale(), tmp_path / "r", step=1)
    comparison = compare(run, SCALES, ARCHITECTURES)
    sizes = size_cells(comparison, run, ARCHITECTURES, measure=False)
    refused = replace(CELL, latency_ms=None, interval_ms=None, taken=48, failure="odd", figures={})
    lines = (today.TodayLine(ROW, (CELL,)), today.TodayLine(INT8, (refused,)))
    shown = Pictures("", (), "none")
    page = comparison_html(comparison, (), sizes, shown, (), None, lines)
    assert "On phones of today" in page
    assert "49 of 49" in page
    assert "on npu:sm8650: odd" in page
    assert "<b>54\u202f206</b>" in page
    assert "On phones of today" not in comparison_html(comparison, (), sizes, shown)
    write_csv(tmp_path / "today.csv", today_rows(lines))
    with (tmp_path / "today.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["latency_ms"], first["low_ms"], first["ddr_read_mb"]) == ("11.5", "9.5", "80.0")
    assert (second["latency_ms"], second["failure"], second["operations_taken"]) == (
        "",
        "odd",
        "48",
    )


@needs_extra
def test_a_small_network_is_really_compiled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from search_spaces import UNet

    monkeypatch.setenv("NAS_LOCK_DIR", str(tmp_path / "locks"))
    monkeypatch.setattr(today, "SIZE", (128, 64))
    small = UNet("resize-bilinear", "relu", (4, 8), 1, 3, False)
    (cell,) = told(ROW, ["npu:sa8255"], {ROW.network: small})
    assert (cell.source, cell.failure) == ("simulated", None)
    assert cell.taken == cell.operations > 3
    assert cell.latency_ms is not None
    assert 0.01 < cell.latency_ms < 1


def test_a_file_that_is_too_large_for_litert_is_checked_at_a_smaller_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked: list[tuple[int, int]] = []

    def refuse(content: bytes, size: tuple[int, int], name: str) -> dict[int, Any]:
        checked.append(size)
        if size == (96, 64):
            raise ConversionError("LiteRT counts in 32 bits")
        return really_checked(content, size, name)

    really_checked = size_module._checked
    monkeypatch.setattr(size_module, "_checked", refuse)
    monkeypatch.setattr(today, "SIZE", (96, 64))
    small = UNet("resize-bilinear", "relu", (4, 4), 1, 3)
    with today.full_size_file(small, "float") as made:
        assert isinstance(made, Path)
        assert read_tflite(made).size == (96, 64)
    assert checked == [(96, 64), (320, 720)]
    monkeypatch.setattr(today, "_CHECKED_AT", (96, 64))
    with today.full_size_file(small, "float") as made:
        assert made == "LiteRT counts in 32 bits"
