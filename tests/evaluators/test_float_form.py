import numpy as np
import pytest

from evaluators import float_form
from evaluators.quality import score_artifact
from nas.data import Pair
from nas.data.image_quality import to_uint8
from tests.helpers.artifacts import artifact, network, picture

ARCHITECTURE = network("resize-bilinear", "relu")


def pairs():
    for seed in range(2):
        sharp = to_uint8(picture(seed=seed))
        yield Pair(str(seed), np.roll(sharp, 1, 0), sharp)


@pytest.mark.parametrize("precision", ["float", "int8-ptq", "int8-qat", "int16-ptq"])
def test_what_is_quick_enough_is_run_itself(precision, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(artifact(ARCHITECTURE, precision))
    assert float_form.runnable(path, to_uint8(picture()))[1] == ""


def test_the_stand_in_scores_as_the_file_and_says_so(tmp_path, monkeypatch):
    path = tmp_path / "model.tflite"
    path.write_bytes(artifact(ARCHITECTURE, "int16-ptq"))
    itself = score_artifact(path, pairs())
    monkeypatch.setattr(float_form, "INT16_MACS", 0)
    monkeypatch.setattr(float_form, "CROP_SIDE", 16)
    other = score_artifact(path, pairs())
    assert other.psnr_db == pytest.approx(itself.psnr_db, abs=0.01)
    assert other.ssim == pytest.approx(itself.ssim, abs=0.001)
    assert "float32 form" not in itself.fitting
    assert "by the file's float32 form (" in other.fitting
    assert "dB from int16 on a crop of 16x16)" in other.fitting


def test_a_stand_in_that_differs_is_not_used(tmp_path, monkeypatch):
    path = tmp_path / "model.tflite"
    path.write_bytes(artifact(ARCHITECTURE, "int16-ptq"))
    monkeypatch.setattr(float_form, "INT16_MACS", 0)
    monkeypatch.setattr(float_form, "AGREEMENT_DB", 200)
    assert float_form.runnable(path, to_uint8(picture()))[1] == ""
