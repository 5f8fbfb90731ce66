from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.errors import ConfigError
from nas.report.comparison import attained_by_half, compare_runs, save_comparison
from nas.study.objectives import MARGIN
from tests.helpers.fake_run import make_run


def test_hypervolumes_share_one_corner(tmp_path: Path) -> None:
    one, other = (make_run(tmp_path / name, trials) for name, trials in (("a", 60), ("b", 20)))
    comparison = compare_runs([one, other])
    assert [front.name for front in comparison.fronts] == ["a", "b"]
    assert (comparison.quality, comparison.cost) == ("psnr_db", "latency_ms[host]")
    members = [m for front in comparison.fronts for m in front.found.front]
    corner = (
        min(m.value("psnr_db") for m in members),
        np.log10(MARGIN * max(m.value("latency_ms[host]") for m in members)),
    )
    for front, volume in zip(comparison.fronts, comparison.hypervolumes, strict=True):
        points = [(m.value("psnr_db"), m.value("latency_ms[host]")) for m in front.found.front]
        stairs = 0.0
        best = corner[0]
        for psnr, ms in sorted(points, key=lambda point: point[1]):
            if psnr > best:
                stairs += (psnr - best) * (corner[1] - np.log10(ms))
                best = psnr
        assert volume == pytest.approx(stairs)
    assert comparison.hypervolumes[0] is not None
    assert comparison.hypervolumes[1] is not None
    assert comparison.hypervolumes[0] >= comparison.hypervolumes[1]
    assert comparison.said == ()


def test_what_differs_is_said_and_what_can_t_be_compared_refused(tmp_path: Path) -> None:
    one = make_run(tmp_path / "x" / "run", 30)
    other = make_run(tmp_path / "y" / "run", 30, ("host", "phone"))
    description = json.loads((other.path / "run.json").read_text())
    description["study"]["size"] = [640, 360]
    (other.path / "run.json").write_text(json.dumps(description))
    comparison = compare_runs([one, other])
    assert [front.name for front in comparison.fronts] == [str(one.path), str(other.path)]
    assert comparison.hypervolumes == (None, None)
    assert "the runs differ in their picture sizes" in comparison.said[0]
    assert "640x360" in comparison.said[0]
    with pytest.raises(ConfigError, match=r"has no latency_ms\[phone\]; its figures: "):
        compare_runs([one, other], "latency_ms[phone]")
    empty = make_run(tmp_path / "none", 10, bound_ms=1.0)
    with pytest.raises(ConfigError, match="share no cost"):
        compare_runs([one, empty])


def test_the_picture_shows_each_front(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, 30) for name in ("a", "b")]
    comparison = compare_runs(runs)
    save_comparison(comparison, tmp_path / "fronts.svg")
    text = (tmp_path / "fronts.svg").read_text()
    assert text.count("<svg") == 1
    save_comparison(comparison, tmp_path / "fronts.png")
    assert np.asarray(Image.open(tmp_path / "fronts.png")).std() > 5
    with pytest.raises(ConfigError, match=r"expected a name that ends with \.png, \.svg, \.pdf"):
        save_comparison(comparison, tmp_path / "fronts.jpg")


def test_half_of_the_runs_reach_what_a_brute_force_says(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"seed-{count}", count) for count in (14, 22, 40)]
    comparison = compare_runs(runs)
    half = attained_by_half(comparison)
    fronts = [
        [(m.value(comparison.cost), m.value(comparison.quality)) for m in front.found.front]
        for front in comparison.fronts
    ]

    def reach(cost: float, quality: float) -> int:
        return sum(any(c <= cost and q >= quality for c, q in front) for front in fronts)

    assert len(half) > 1
    for cost, quality in half:
        assert reach(cost, quality) >= 2
        assert reach(cost, quality + 1e-9) < 2
        assert reach(cost - 1e-9, quality) < 2
    assert attained_by_half(compare_runs(runs[:2])) == []
