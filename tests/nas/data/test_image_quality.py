import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from nas.data.image_quality import psnr_db, ssim, to_uint8
from nas.report.numbers import short_number
from nas.study.metric import Metric


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    from skimage import data

    sharp = data.astronaut()[100:197, 120:251]
    noise = np.random.default_rng(0).normal(0, 12, sharp.shape)
    return np.clip(sharp + noise, 0, 255).astype(np.uint8), sharp


def test_psnr_and_ssim_are_scikit_images(pair: tuple[np.ndarray, np.ndarray]) -> None:
    image, sharp = pair
    expected = peak_signal_noise_ratio(sharp, image, data_range=255)
    assert psnr_db(image, sharp) == pytest.approx(expected, abs=1e-6)
    expected = structural_similarity(
        sharp,
        image,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=-1,
    )
    assert ssim(image, sharp) == pytest.approx(expected, abs=1e-6)


def test_ssim_against_a_twin_that_visits_every_window() -> None:
    rng = np.random.default_rng(1)
    a = rng.integers(0, 256, (14, 13, 3), dtype=np.uint8)
    b = rng.integers(0, 256, (14, 13, 3), dtype=np.uint8)
    line = np.exp(-((np.arange(11) - 5) ** 2) / 4.5)
    window = np.outer(line, line) / line.sum() ** 2
    values = []
    for channel in range(3):
        for y in range(4):
            for x in range(3):
                p = a[y : y + 11, x : x + 11, channel].astype(float)
                q = b[y : y + 11, x : x + 11, channel].astype(float)
                mp, mq = (window * p).sum(), (window * q).sum()
                vp = (window * (p - mp) ** 2).sum()
                vq = (window * (q - mq) ** 2).sum()
                cov = (window * (p - mp) * (q - mq)).sum()
                top = (2 * mp * mq + 6.5025) * (2 * cov + 58.5225)
                values.append(top / ((mp**2 + mq**2 + 6.5025) * (vp + vq + 58.5225)))
    assert ssim(a, b) == pytest.approx(np.mean(values), abs=1e-9)


def test_equal_images(pair: tuple[np.ndarray, np.ndarray]) -> None:
    assert psnr_db(pair[1], pair[1]) == math.inf
    assert ssim(pair[1], pair[1]) == pytest.approx(1.0)


def test_values_are_rounded_not_cut_off() -> None:
    assert to_uint8(np.array([-0.1, 0.4999 / 255, 0.51 / 255, 1.7])).tolist() == [0, 0, 1, 255]


def test_wrong_arrays_are_refused() -> None:
    good = np.zeros((16, 16, 3), np.uint8)
    with pytest.raises(ValueError, match="expected uint8"):
        psnr_db(good.astype(float), good)
    with pytest.raises(ValueError, match="shapes differ"):
        psnr_db(good, good[:8])
    with pytest.raises(ValueError, match="11 pixels"):
        ssim(good[:8], good[:8])


def test_a_metric_is_finite_and_survives_json() -> None:
    metric = Metric(1.5, "measured", "x", (1.0, 2.0), "at noon")
    assert Metric.from_dict(metric.to_dict()) == metric
    with pytest.raises(ValueError, match="finite"):
        Metric(math.nan, "measured")


@pytest.mark.parametrize(
    ("value", "text"),
    [(9770.4, "9,770"), (1000, "1,000"), (999.7, "1,000"), (62.25, "62.2"), (50, "50.0"),
     (0.04123, "0.0412"), (0.00001, "0.000010"), (0, "0.000000"), (-1234.5, "-1,234")],
)  # fmt: skip
def test_short_figures_are_never_in_powers_of_ten(value: float, text: str) -> None:
    assert short_number(value) == text
