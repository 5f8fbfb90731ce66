"""Crops of held-out pictures, restored by a stand-in for a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.data.image_quality import psnr_db
from nas.report import gather
from nas.report.crops import busiest_window, compare_crops, evenly_spaced
from nas.storage.run_folder import RunFolder
from tests.helpers.fake_run import make_run
from tests.helpers.report_pages import open_model, pairs


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return make_run(tmp_path_factory.mktemp("run"), 40, ("host", "phone <1>"))


def test_crops_are_the_models_own(run: RunFolder) -> None:
    data = gather(run)
    made = pairs(4)
    comparisons = compare_crops(run, data.front, made, 2, open_model)
    assert len(comparisons) == 2
    by_name = {pair.name: pair for pair in made}
    for comparison in comparisons:
        pair = by_name[comparison.name]
        restored = open_model(Path())(pair.blurred)
        assert [one.trial for one in comparison.restored] == [m.number for m in data.front]
        for one in comparison.restored:
            assert one.psnr_db == psnr_db(restored, pair.sharp)
            np.testing.assert_array_equal(one.crop, restored)  # smaller than a crop: whole
        assert comparison.blurred_psnr_db == psnr_db(pair.blurred, pair.sharp)


def test_the_busiest_window_by_brute_force() -> None:
    image = np.zeros((30, 40, 3), np.uint8)
    image[12:20:2, 21:33] = 255
    top, left = busiest_window(image, 12, 16)
    assert 8 <= top <= 13
    assert 17 <= left <= 21
    assert busiest_window(image, 30, 40) == (0, 0)


def test_evenly_spaced_keeps_both_ends() -> None:
    assert evenly_spaced(list(range(10)), 4) == [0, 3, 6, 9]
    assert evenly_spaced([1, 2], 4) == [1, 2]
