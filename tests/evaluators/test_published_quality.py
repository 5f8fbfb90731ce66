import numpy as np
import pytest

from evaluators.published_quality import estimate, leave_one_out
from nas.devices.paper_phones.published import SIZE, rows
from nas.errors import ConfigError
from nas.tflite.operations import of_graph
from search_spaces import UNet
from search_spaces.sgn import SGN


def operations(network, precision="float"):
    return of_graph(network.graph(), SIZE, precision)


@pytest.mark.parametrize(
    ("row", "network", "precision"),
    [
        ("UNet-ResizeBilinear-PRelu", UNet("resize-bilinear", "prelu"), "float"),
        ("UNet-DepthToSpace-Relu", UNet("depth-to-space", "relu"), "float"),
        ("8-bit QAT", UNet("resize-bilinear", "prelu"), "int8-qat"),
        ("SGN", SGN(), "float"),
    ],
)
def test_the_papers_networks_have_their_published_psnr(row, network, precision):
    found = estimate(operations(network, precision), precision)
    assert found.source == "published"
    assert found.interval_db is None
    assert found.psnr_db == next(r.psnr_db for r in rows() if r.row == row)


def test_rows_left_out_are_told_within_a_tenth_of_a_db():
    errors = np.array([told - published for _, published, told in leave_one_out()])
    assert len(errors) == 11
    assert np.median(np.abs(errors)) < 0.05
    assert np.abs(errors).max() < 0.12


def test_more_macs_give_more_and_narrow_levels_are_not_made_up_for():
    def psnr_db(*widths, activation="prelu", precision="float"):
        network = UNet("depth-to-space", activation, widths)
        return estimate(operations(network, precision), precision)

    whole = psnr_db(32, 64, 128, 144, 128)
    assert whole.source == "modelled"
    assert whole.interval_db is not None
    assert whole.interval_db[0] < whole.psnr_db < whole.interval_db[1]
    assert psnr_db(32, 64, 96, 128, 128).psnr_db < whole.psnr_db
    assert psnr_db(32, 64, 128, 144, 128, activation="relu").psnr_db < whole.psnr_db
    thin_top, even = psnr_db(16, 96, 192, 192, 192), psnr_db(32, 64, 128, 144, 144)
    assert thin_top.psnr_db < even.psnr_db
    int8 = psnr_db(32, 64, 128, 144, 128, precision="int8-qat")
    assert whole.psnr_db - int8.psnr_db == pytest.approx(31.87 - 31.03)
    assert int8.interval_db[1] - int8.interval_db[0] > whole.interval_db[1] - whole.interval_db[0]


def test_gains_end_where_the_rows_end():
    wide, wider = ((w, 96, 192, 192, 192) for w in (48, 64))
    values = [
        estimate(operations(UNet("resize-bilinear", "prelu", widths)), "float")
        for widths in (wide, wider)
    ]
    assert values[0].psnr_db == values[1].psnr_db
    assert values[1].interval_db[1] > values[0].interval_db[1]


def test_other_families_and_levels_are_refused():
    with pytest.raises(ConfigError, match=r"U-Nets of five levels .* works at 1280x720"):
        estimate(operations(UNet("resize-bilinear", "relu", (32, 64, 128))), "float")
