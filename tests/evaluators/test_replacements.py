import math
from pathlib import Path

import pytest

from benchmarks import replacement_cost
from evaluators.published_quality import estimate
from evaluators.replacements import MEASURED, Replacement, replacements, together
from nas.devices.paper_phones.published import SIZE
from nas.errors import ConfigError
from nas.tflite.operations import of_graph
from search_spaces import EDSR, UNet

TABLE = Path(replacement_cost.__file__).with_suffix(".csv")
ADDED = MEASURED["skip", "addition"]
STRIDED = MEASURED["downsampling", "strided-conv"]


def test_what_a_network_replaces() -> None:
    assert replacements(UNet()) == replacements(EDSR()) == ()
    assert replacements(UNet(skip="addition")) == (ADDED,)
    both = replacements(UNet(skip="addition", downsampling="strided-conv"))
    assert set(both) == {ADDED, STRIDED}
    shift, reach = together(both)
    assert shift == pytest.approx(ADDED.shift_db + STRIDED.shift_db)
    assert reach == pytest.approx(math.sqrt(ADDED.reach_db**2 + STRIDED.reach_db**2))
    assert together(()) == (0, 0)


@pytest.mark.parametrize(
    ("row", "measured"),
    [
        ("skip: addition", ADDED),
        ("down: strided convolution", STRIDED),
        ("down: space-to-depth", MEASURED["downsampling", "space-to-depth"]),
    ],
)
def test_what_is_carried_over_is_what_the_trainings_say(row: str, measured: Replacement) -> None:
    lines = [line for line in replacement_cost.read(TABLE) if line["task"] == "photos"]
    told = replacement_cost.difference(replacement_cost.figures_of(lines, "float"), row)
    assert round(told.mean_db, 2) == measured.difference_db
    assert round(told.reach_db, 2) == measured.reach_db
    assert measured.shift_db == 0


def test_a_difference_that_can_not_be_told_from_0_is_not_carried_over() -> None:
    assert Replacement("x", -0.3, 0.2).shift_db == -0.3
    assert Replacement("x", 0.3, 0.35).shift_db == 0
    assert together((Replacement("x", -0.3, 0.2), Replacement("y", 0.1, 0.2)))[0] == -0.3


@pytest.mark.parametrize(
    "network", [UNet(stem=2), UNet(block="residual"), UNet(activation="leaky-relu")]
)
def test_what_is_not_carried_over_has_no_psnr(network: UNet) -> None:
    with pytest.raises(ConfigError, match=r"(stem|block|activation)=.*: what it costs .* train it"):
        replacements(network)


def test_a_replacement_shifts_the_curve_and_widens_its_interval() -> None:
    operations = of_graph(UNet("resize-bilinear", "prelu", skip="addition").graph(), SIZE)
    plain, told = estimate(operations, "float"), estimate(operations, "float", (ADDED,))
    assert told.psnr_db == pytest.approx(plain.psnr_db + ADDED.shift_db)
    half = [(one.interval_db[1] - one.interval_db[0]) / 2 for one in (plain, told)]
    assert half[1] == pytest.approx(math.hypot(half[0], ADDED.reach_db))
    assert "addition cost in short trainings" in told.about
