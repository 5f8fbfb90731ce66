"""Networks and their figures at any width: whole, or not at all."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from nas.cli.model_table import ModelTable

LABELS = (
    "unet-resizebilinear-prelu 36-68-132 x2 k3 res int8-ptq",
    "unet-depthtospace-relu 8-24 x2 k5 res float [p30%]",
)
FIGURES = {
    "trial": ("5", "12"),
    "PSNR dB": ("32.24", "-"),
    "ms Galaxy S24": ("2.55!", "0.485"),
    "ms Mate30 Pro 5G": ("13.6", "41.0"),
}
FURTHER = {"±": ("0.97", "-"), "parameters": ("1,080,915", "9,971")}


def printed(models: ModelTable, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(models.laid_out(width), soft_wrap=False)
    return console.export_text().rstrip().splitlines()


@pytest.mark.parametrize("width", range(28, 150, 3))
def test_nothing_is_cut_at_any_width(width: int) -> None:
    lines = printed(ModelTable(FIGURES, LABELS, further=FURTHER), width)
    assert all(len(line) <= width for line in lines)
    words = re.split(r"[\s,]+", " ".join(lines).strip())
    for text in (*FIGURES, *LABELS, *(cell for cells in FIGURES.values() for cell in cells)):
        assert words.count(text.split()[0]) >= 1, (width, text)
        assert all(word in words for word in text.split()), (width, text)


@pytest.mark.parametrize(
    ("width", "heads", "rows"),
    [
        (150, ["trial", "PSNR", "dB", "±", "parameters", "network"], 3),
        (105, ["trial", "PSNR", "dB", "network"], 3),
        (80, ["trial", "PSNR", "dB", "network"], 5),  # labels of two lines
        (50, ["trial", "PSNR", "dB"], 3 + 2 * 3),  # headings of three lines, labels beneath of two
    ],
)
def test_what_a_width_shows(width: int, heads: list[str], rows: int) -> None:
    lines = printed(ModelTable(FIGURES, LABELS, further=FURTHER), width)
    first = next(index for index, line in enumerate(lines) if line.split()[0] in ("5", "5,"))
    found = " ".join(lines[:first]).split()
    assert {*heads} == {*found} & {"±", "parameters", "network", "trial", "PSNR", "dB"}
    assert len(lines) == rows


def test_the_narrowest_names_each_figure() -> None:
    lines = printed(ModelTable(FIGURES, LABELS), 27)
    assert lines[:2] == ["trial 5, PSNR dB 32.24,", "  ms Galaxy S24 2.55!,"]
    assert lines[3].startswith("  unet-resizebilinear-prelu")
    assert lines[6:8] == ["trial 12,", "  ms Galaxy S24 0.485,"]  # it has no PSNR


def test_no_network_is_no_row() -> None:
    assert printed(ModelTable(dict.fromkeys(FIGURES, ()), ()), 60)[-1].split()[0] == "trial"
