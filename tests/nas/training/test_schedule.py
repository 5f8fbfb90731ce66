import pytest

from nas.errors import ConfigError
from nas.training.schedule import PAPER, Schedule


def test_the_papers_rates() -> None:
    assert PAPER.rate(0) == pytest.approx(2e-4)
    assert PAPER.rate(5_000) == pytest.approx(2e-4 * 0.98)
    assert PAPER.rate(999_999) == pytest.approx(2e-4 * 0.98**199.9998)
    assert (PAPER.batch, PAPER.patch, PAPER.steps) == (16, 256, 1_000_000)


def test_warm_up_and_cosine() -> None:
    schedule = Schedule(steps=100, learning_rate=1.0, warmup_steps=10, decay="cosine")
    assert schedule.rate(0) == pytest.approx(0.1)
    assert schedule.rate(9) == pytest.approx(1.0)
    assert schedule.rate(55) == pytest.approx(0.5)
    assert schedule.rate(99) < 0.001


def test_bad_schedules_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"Schedule\.steps=0"):
        Schedule(steps=0)
    with pytest.raises(ConfigError, match="Did you mean 'cosine'"):
        Schedule(steps=1, decay="cosin")  # type: ignore[arg-type]
