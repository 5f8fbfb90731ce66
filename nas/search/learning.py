"""Where a search's sampler begins to learn, in words: before that, candidates are drawn by chance.

One text for the report, which marks the place, and for the terminal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

POPULATION = 20  # of NSGA-II: see `nas.search.sampler_choice`


@dataclass(frozen=True)
class Learning:
    """`first` is the number of the first trial that may have been learned for; None: none was."""

    first: int | None
    said: str


def learning_of(study: Mapping[str, Any], trials: int) -> Learning | None:
    """Return where a run of so many trials began to learn; `study` is its fingerprint.

    None where no candidate was drawn, because all were listed, and where nothing tells.
    """
    sampler, startup = study.get("sampler"), study.get("startup_trials")
    if startup is None or not trials or study.get("space", {}).get("family") == "listed":
        return None
    if sampler == "nsga2" or (sampler == "ehvi" and _too_many(study)):
        sampler, startup = "nsga2", POPULATION
    given = len(study.get("baselines", ()))
    startup = max(startup, given, 1)
    if sampler == "random":
        return Learning(None, f"{_first(trials, given)}: the sampler 'random' never learns.")
    if trials <= startup:
        told = (
            f"{_first(trials, given)}: the sampler '{sampler}' learns from the "
            f"{ordinal(startup + 1)} on, so nothing was learned here."
        )
        return Learning(None, told)
    return Learning(
        startup,
        f"{_first(startup, given, 'first ')}; from the {ordinal(startup + 1)} (trial {startup}) on "
        f"the sampler '{sampler}' learns from those that have ended.",
    )


def _first(trials: int, given: int, which: str = "") -> str:
    """ "The first 20 trials are 15 baselines and 5 drawn at random"."""
    subject = f"The {which}{trials} trials are" if which else f"All {trials} trials are"
    if trials == 1:
        subject = f"The {which}trial is"
    baselines = min(given, trials)
    drawn = trials - baselines
    if not baselines:
        return f"{subject} drawn at random"
    named = "1 baseline" if baselines == 1 else f"{baselines} baselines"
    return f"{subject} {named} and {drawn} drawn at random" if drawn else f"{subject} {named}"


def ordinal(number: int) -> str:
    """ "1st", "2nd", "3rd", "11th"."""
    tail = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10)
    return f"{number}{tail or 'th'}"


def _too_many(study: Mapping[str, Any]) -> bool:
    from nas.sampling.options import MOST_OBJECTIVES

    return len(study.get("objectives", ())) > MOST_OBJECTIVES
