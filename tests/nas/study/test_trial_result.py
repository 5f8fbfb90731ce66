"""Results as JSON: what is written is read back, and what older runs wrote as well."""

import pytest

from nas.study.metric import Metric
from nas.study.trial_result import STOPPED, Failure, TrialResult


def result(**changes: object) -> TrialResult:
    values = {"number": 4, "key": "key", "label": "label", "candidate": {}, "state": "complete"}
    return TrialResult(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "written",
    [
        result(metrics={"psnr_db": Metric(31.5, "measured", interval=(31.0, 32.0))}),
        result(state="failed", failure=Failure("DataError", "no picture")),
        result(state=STOPPED, violations={"bytes<=9": -0.5}, baseline=True),
    ],
)
def test_what_is_written_is_read_back(written: TrialResult) -> None:
    assert TrialResult.from_dict(written.to_dict()) == written


def test_a_trial_that_an_older_run_calls_pruned_was_stopped() -> None:
    older = {**result(state=STOPPED).to_dict(), "state": "pruned"}
    assert TrialResult.from_dict(older).state == "stopped"


def test_a_missing_figure_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="psnr_db"):
        result().value("psnr_db")
