from __future__ import annotations

import re
from pathlib import Path

import pytest

from nas.report import gather, write_report
from nas.report.charts import history_chart
from nas.search.learning import learning_of, ordinal
from nas.system.files import write_json
from studies import STUDIES
from tests.helpers.fake_run import describe, make_run
from tests.helpers.report_pages import Page


def study(sampler: str = "ehvi", startup: int = 8, **more: object) -> dict[str, object]:
    return {"sampler": sampler, "startup_trials": startup, "objectives": ["a", "b"], **more}


@pytest.mark.parametrize(
    ("values", "trials", "first", "said"),
    [
        (study(), 14, 8, r"The first 8 trials .* at random; from the 9th \(trial 8\) on"),
        (study(), 8, None, "All 8 trials are drawn at random: the sampler 'ehvi' learns from the"),
        (study("random"), 40, None, "All 40 trials are drawn at random: .* 'random' never learns"),
        (study("nsga2"), 40, 20, "The first 20 trials are drawn at random; .* 'nsga2' learns"),
        (study(objectives=list("abcde")), 21, 20, "'nsga2' learns from those that have ended"),
        (study(baselines=[1, 2]), 9, 8, "The first 8 trials are 2 baselines and 6 drawn at random"),
        (study(startup=1, baselines=[1, 2]), 9, 2, "The first 2 trials are 2 baselines; from the"),
        (study(startup=0), 3, 1, "The first trial is drawn at random; from the 2nd"),
    ],
)
def test_where_a_sampler_learns(
    values: dict[str, object], trials: int, first: int | None, said: str
) -> None:
    learning = learning_of(values, trials)
    assert learning is not None
    assert learning.first == first
    assert re.search(said, learning.said)


def test_nothing_is_said_where_nothing_was_drawn_or_known() -> None:
    assert learning_of(study(space={"family": "listed"}), 21) is None
    assert learning_of({"sampler": "tpe"}, 21) is None
    assert learning_of(study(), 0) is None


def test_ordinals() -> None:
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th",
    ]  # fmt: skip


def test_quickstart_learns_from_the_eleventh_trial_on() -> None:
    chosen = STUDIES["quickstart"]
    values = study(chosen.sampler, chosen.startup_trials)
    learning = learning_of(values, chosen.trials)
    assert learning is not None
    assert (learning.first, chosen.trials) == (10, 24)
    assert learning.said == (
        "The first 10 trials are drawn at random; from the 11th (trial 10) on the sampler 'ehvi' "
        "learns from those that have ended."
    )


def test_the_report_marks_where_learning_began_or_says_that_it_did_not(tmp_path: Path) -> None:
    for startup, line in ((10, 9.5), (30, None)):
        run = make_run(tmp_path / str(startup), 30)
        description = describe()
        description["study"]["startup_trials"] = startup
        write_json(run.path / "run.json", description)
        page = Page(write_report(run, 0).read_text())
        layout = history_chart(gather(run))["layout"]
        if line is None:
            assert "All 30 trials are drawn at random" in page.text
            assert "shapes" not in layout
        else:
            assert "from the 11th (trial 10) on the sampler 'tpe' learns" in page.text
            assert layout["shapes"][0]["x0"] == line
            assert layout["annotations"][0]["text"].startswith("the sampler learns from here")
