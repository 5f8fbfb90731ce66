"""The quality of a real artifact on pictures."""

from pathlib import Path

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from evaluators import Quality
from evaluators.quality import score_artifact
from nas.data import Dataset, Pair, open_dataset
from nas.data.image_quality import psnr_db
from nas.errors import TrainingError
from nas.networks.candidate import Candidate
from nas.networks.graph import Add, Conv, Graph, Input
from nas.study.evaluator import Subject
from nas.tflite.interpreter import Artifact
from nas.tflite.tiling import restore_any_size
from search_spaces import UNet

NETWORK = UNet("resize-bilinear", "prelu", (4, 8), 1, 3, False)


def _converted(height: int, width: int) -> bytes:
    from nas.compression.convert import convert_untrained
    from nas.training.schedule import Schedule

    schedule = Schedule(steps=1, identity_start=True)
    return convert_untrained(NETWORK.graph(), height, width, "float", schedule)


def _subject(artifact: Path | None, cache: Path, dataset: Dataset | None = None) -> Subject:
    dataset = dataset or open_dataset("photos")
    return Subject(Candidate(NETWORK), (320, 256), artifact, dataset, ("host",), cache)


def test_quality_is_what_scikit_image_says_of_the_artifacts_pictures(
    artifact: Path, tmp_path: Path
) -> None:
    figures = Quality().evaluate(_subject(artifact, tmp_path))
    rows = []
    for pair in open_dataset("photos").heldout():  # each larger than 320x256, and run whole
        restored = Artifact(_converted(*pair.blurred.shape[:2])).restore(pair.blurred)
        rows.append(
            (
                peak_signal_noise_ratio(pair.sharp, restored, data_range=255),
                structural_similarity(
                    pair.sharp,
                    restored,
                    gaussian_weights=True,
                    use_sample_covariance=False,
                    data_range=255,
                    channel_axis=-1,
                ),
                peak_signal_noise_ratio(pair.sharp, pair.blurred, data_range=255),
            )
        )
    psnr, ssim, before = np.mean(rows, axis=0)
    assert figures["psnr_db"].value == pytest.approx(psnr, abs=1e-6)
    assert figures["ssim"].value == pytest.approx(ssim, abs=1e-6)
    assert figures["psnr_db_input"].value == pytest.approx(before, abs=1e-6)
    assert figures["psnr_db"].definition == "psnr-rgb-u8-b0-imgmean"
    conditions = figures["psnr_db"].conditions
    assert conditions is not None
    assert conditions.startswith("photos-heldout, 5 pictures, ")
    assert "larger ones whole, by the same file at their size" in conditions


def test_a_picture_that_the_poolings_dont_divide_is_tiled(artifact: Path) -> None:
    pair = next(iter(open_dataset("photos").heldout()))
    odd = Pair("odd", pair.blurred[:299, :401], pair.sharp[:299, :401])
    score = score_artifact(artifact, [odd])
    restored, _ = restore_any_size(Artifact(artifact), odd.blurred)
    assert score.fitting == "tiled by 320x256"
    assert score.psnr_db == psnr_db(restored, odd.sharp)


def test_a_network_that_repeats_its_input_is_a_dead_training(tmp_path: Path) -> None:
    from nas.compression.convert import convert
    from nas.networks.keras_model import build_model

    graph = Graph(
        (Input("input"), Conv("output", ("input",), 3), Add("residual", ("output", "input")))
    )
    model = build_model(graph)
    model.get_layer("output").set_weights([np.zeros((3, 3, 3, 3)), np.full(3, 0.004)])
    path = tmp_path / "dead.tflite"
    path.write_bytes(convert(model, 256, 320, "float"))
    with pytest.raises(TrainingError, match="the training died: the network only repeats its"):
        Quality().evaluate(_subject(path, tmp_path))


def test_no_pictures_are_no_score(artifact: Path) -> None:
    nothing: list[Pair] = []
    with pytest.raises(ValueError, match="no held-out pictures"):
        score_artifact(artifact, nothing)
