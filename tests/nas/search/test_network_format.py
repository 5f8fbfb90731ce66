import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from nas.errors import RunError
from nas.networks.candidate import Candidate
from nas.search.network_format import check_network_format
from nas.storage.run_folder import RunFolder
from nas.study.evaluator import Needs
from nas.study.study import Study
from search_spaces import UNet
from tests.helpers.small_study import Formulas, result_of, small_study

RESIZED = Candidate(UNet("resize-bilinear", "relu", (4, 8), 1, 3))
TRANSPOSED = Candidate(UNet("transpose-conv", "relu", (4, 8), 1, 3))
TODAY = {"network_format": 2}


@dataclass(frozen=True)
class OfFiles:
    """The figures of `Formulas`, said to need a file."""

    needs: ClassVar[Needs] = "structure"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        return Formulas().metrics(devices)

    def evaluate(self, subject: Any) -> Any:
        return Formulas().evaluate(subject)

    def to_dict(self) -> dict[str, Any]:
        return {"name": "of files"}


STUDY = small_study(evaluators=(OfFiles(),))


@dataclass(frozen=True)
class _Asked:
    number: int
    candidate: Candidate
    parameters: dict[str, Any]


def run_of(folder: Path, *trials: tuple[Candidate, dict[str, Any]]) -> RunFolder:
    run = RunFolder(folder)
    for number, (candidate, conditions) in enumerate(trials):
        asked = _Asked(number, candidate, dict(STUDY.to_parameters(candidate)))
        run.write_result(result_of(asked, conditions=conditions))
    return run


def test_an_older_run_with_transposed_convolutions_is_refused_by_name(tmp_path: Path) -> None:
    run = run_of(tmp_path, (RESIZED, {}), (TRANSPOSED, {}))
    named = (
        r"other transposed convolutions \(network format 1, now 2: no padding where the kernel is "
        r"the stride.*those of unet-transposeconv-relu 4-8 x1 k3 float\. Start the search in"
    )
    with pytest.raises(RunError, match=named):
        check_network_format(run, STUDY)


def test_what_nothing_changed_for_goes_on(tmp_path: Path) -> None:
    check_network_format(run_of(tmp_path / "older", (RESIZED, {})), STUDY)
    check_network_format(run_of(tmp_path / "today", (RESIZED, {}), (TRANSPOSED, TODAY)), STUDY)
    modelled = small_study()  # all figures are formulas of the architecture: there are no files
    check_network_format(run_of(tmp_path / "modelled", (TRANSPOSED, {})), modelled)


def test_ratios_to_an_older_reference_are_not_mixed(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class WithRatio(OfFiles):
        def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
            return (*super().metrics(devices), "worst_latency_ratio")

    def study(reference: Candidate) -> Study:
        return replace(
            STUDY,
            evaluators=(WithRatio(),),
            objectives=("psnr_db", "worst_latency_ratio"),
            reference=reference,
        )

    older = run_of(tmp_path / "older", (RESIZED, {}))
    with pytest.raises(
        RunError, match=r"those of unet-transposeconv-.* which latency ratios refer"
    ):
        check_network_format(older, study(TRANSPOSED))
    check_network_format(older, study(RESIZED))
    check_network_format(run_of(tmp_path / "today", (RESIZED, TODAY)), study(TRANSPOSED))


def test_a_trial_that_waits_at_a_rung_counts(tmp_path: Path) -> None:
    run = run_of(tmp_path, (TRANSPOSED, {}))
    waiting = {"rung": 0, "structure": None, "notes": {}}
    waiting["result"] = json.loads(run.result(0).read_text())
    run.result(0).unlink()
    (run.trial(0) / "rung.json").write_text(json.dumps(waiting))
    with pytest.raises(RunError, match="network format 1"):
        check_network_format(run, STUDY)
