"""How figures were taken, told in as few lines as possible."""

from __future__ import annotations

from nas.report.definitions import definitions
from nas.study.metric import Metric
from nas.study.trial_result import TrialResult


def test_trials_scored_by_a_form_that_agrees_are_one_line_with_the_agreements() -> None:
    def scored(number: int, agreement: int) -> TrialResult:
        on = f"heldout, by its float32 form ({agreement} dB from int16 on a crop of 128x128)"
        metrics = {"psnr_db": Metric(30.0, "measured", conditions=on)}
        return TrialResult(number, "k", "", {}, "complete", {}, metrics)

    (line,) = definitions([scored(0, 98), scored(1, 71), scored(2, 83)])
    assert line.trials == 3
    assert line.conditions == (
        "heldout, by its float32 form (71 to 98 dB from int16 on a crop of 128x128)"
    )
