"""The paper's cells against its text, typed a second time and by hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from nas.devices.paper_phones import networks, published
from nas.devices.paper_phones.published import PHONES
from nas.errors import ConfigError

ROOT = Path(__file__).parents[4]


# PSNR, SSIM, GMAC and the three latencies with their footnotes, as the tables print them.
TEXT = """
2 U-Net                     31.67 0.899 238 54206^1 1946     31870^2
2 EDSR                      29.24 0.836 249 518     1607     3468
2 RDN                       29.40 0.839 243 7367    1720     Failed^3
2 DBPN                      31.23 0.886 242 Failed^3 Failed^3 Failed^3
2 Inception-ResNetV2-FPN    28.63 0.830 250 22164^4 3245     20150^5
2 SGN                       29.78 0.858 247 931     1705     3004^6
3 UNet-TransposeConv-Relu   31.67 0.899 238 54206^1 1946     31870^2
3 UNet-TransposeConv-PRelu  31.83 0.903 238 78402^1 1947     32390^2
3 UNet-DepthToSpace-Relu    31.51 0.895 222 805     1326     2697^3
3 UNet-DepthToSpace-PRelu   31.78 0.900 222 908     1338     3060^3
3 UNet-ResizeBilinear-Relu  31.65 0.898 256 1184    1532     8425^4
3 UNet-ResizeBilinear-PRelu 31.87 0.903 256 1281    1503     9770^4
4 Float                     31.87 0.903 256 1281    1503     9770^1
4 8-bit_PTQ                 29.66 0.835 256 31220^2 504      2175^3
4 8-bit_QAT                 31.03 0.873 256 33490^2 488      2128^3
4 16-bit_PTQ                31.87 0.903 256 -       825^4    -
4 -5%_MAC                   31.85 0.903 243 1693    1469     8419^1
4 -10%_MAC                  31.79 0.902 230 1854    1416     8189^1
4 -20%_MAC                  31.54 0.896 202 1853    1322     7313^1
4 -30%_MAC                  31.35 0.893 179 1690    1225     3756^1
4 -50%_MAC                  29.81 0.854 127 1477    1068     934
4 -5%_MAC_+_8-bit_QAT       31.02 0.872 243 28521^2 482      2098^3
4 -5%_MAC_+_16-bit_PTQ      31.85 0.903 243 -       798^4    -
"""


def _lines() -> list[list[str]]:
    return [line.split() for line in TEXT.strip().splitlines()]


def _cell(text: str) -> tuple[str, float | None, str | None]:
    value, _, mark = text.partition("^")
    outcome = {"Failed": "failed", "-": "empty"}.get(value, "number")
    return outcome, float(value) if outcome == "number" else None, mark or None


def test_every_cell_is_as_printed() -> None:
    rows = published.rows()
    assert [(str(row.table), row.row.replace(" ", "_")) for row in rows] == [
        (table, name) for table, name, *_ in _lines()
    ]
    for row, (_, _, psnr, ssim, gmacs, *cells) in zip(rows, _lines(), strict=True):
        assert (row.psnr_db, row.ssim, row.gmacs) == (float(psnr), float(ssim), int(gmacs))
        for phone, text in zip(PHONES, cells, strict=True):
            cell = row.cell(phone)
            mark = cell.footnote.mark if cell.footnote else None
            assert (cell.outcome, cell.latency_ms, mark) == _cell(text), (row.row, phone)


def test_sixty_nine_cells() -> None:
    outcomes = Counter(cell.outcome for cell in published.latencies())
    assert outcomes == {"number": 61, "failed": 4, "empty": 4}


def test_tables_1_and_5_and_figures() -> None:
    assert [(p.name, p.ai_score) for p in published.phones()] == [
        ("Huawei Mate30 Pro 5G", 76206),
        ("OPPO Reno3 5G", 58628),
        ("Google Pixel 4", 33289),
    ]
    assert published.phones()[1].nnapi_runtimes == ("nnapi-reference", "neuron-ann")
    errors = {(e.data_type, e.phone): e for e in published.output_errors()}
    assert len(errors) == 7
    one = errors["8-bit", "pixel-4"]
    assert (one.psnr_db, one.psnr_deviation_db, one.l2_error) == (41.95, 1.24, 1.57e-6)
    assert errors["16-bit", "reno3-5g"].psnr_db == 65.37
    points = published.trade_offs()
    assert Counter(point.step for point in points) == {1: 5, 2: 5, 3: 5, 4: 5}
    large = [p for p in published.sizes() if p.outcome == "ran" and p.width > 1280]
    assert [(p.width, p.height, p.phone) for p in large] == [(1600, 900, "reno3-5g")]


def test_footnotes_of_every_table() -> None:
    assert Counter(note.table for note in published.footnotes()) == {2: 7, 3: 5, 4: 6, 5: 2}
    texts = [note.text for note in published.footnotes() if note.kind == "failure"]
    assert texts == [f"ERROR: NN API returned error {published.OP_FAILED}."]


def test_unknown_names_are_told() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'edsr'"):
        networks.network("esdr")
    with pytest.raises(ConfigError, match="mate30-pro-5g, pixel-4, reno3-5g"):
        published.rows()[0].cell("pixel-9")
