import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from evaluators import Cost
from nas.errors import ConfigError, RunError
from nas.networks.candidate import Candidate
from nas.report.supernet import supernet_ranking
from nas.report.write import write_report
from nas.search.driver import search
from nas.search.supernet_ranking import (
    SupernetPlan,
    in_order,
    ranking_study,
    search_by_supernet,
    supernet_spec,
)
from nas.search.watcher import NobodyWatches
from nas.storage.run_folder import RunFolder
from nas.study.evaluator import Needs, Subject
from nas.study.metric import Metric
from nas.study.objectives import Objective
from nas.study.pareto import Front, reference_point
from nas.study.study import Study
from nas.study.trial_result import TrialResult
from nas.tflite.interpreter import Artifact
from nas.training.schedule import Schedule
from search_spaces import UNet, UNetSpace
from tests.helpers.small_study import small_study

BASELINE = Candidate(UNet("resize-bilinear", "relu", (4, 4), 1, 3, True))
PLAN = SupernetPlan(steps=8, ranked=6)


@dataclass(frozen=True)
class OneCrop:
    """How near a file's output is to a constant: a figure that depends on its weights."""

    needs: ClassVar[Needs] = "weights"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        return ("psnr_db",)

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        assert subject.artifact is not None
        picture = np.random.default_rng(0).integers(0, 256, (16, 32, 3), np.uint8)
        output = Artifact(subject.artifact).restore(picture)
        return {"psnr_db": Metric(20 + float(output.std()) / 10, "measured")}

    def to_dict(self) -> dict[str, Any]:
        return {"name": "one-crop"}


def _study(**changes: Any) -> Study:
    values: dict[str, Any] = {
        "space": UNetSpace(
            levels=(2,),
            widths=(4, 8),
            convolutions=(1,),
            first_kernel=(3,),
            activation=("relu",),
            global_residual=(True,),
        ),
        "evaluators": (Cost(), OneCrop()),
        "objectives": ("psnr_db", "gmacs_conv"),
        "constraints": ("gmacs_conv<=1000", "psnr_db>=1"),
        "schedule": Schedule(steps=16, batch=2, patch=16, learning_rate=1e-3, warmup_steps=2),
        "size": (32, 16),
        "baselines": (BASELINE,),
        "trials": 3,
    }
    return small_study(**(values | changes))


class Stops(NobodyWatches):
    """Ctrl-C where the supernet is trained, where candidates are ranked, and between trials."""

    def __init__(self, where: str, count: int) -> None:
        self.where, self.count = where, count

    def note(self, text: str) -> None:
        self._seen("supernet" if text.startswith("supernet") else "")

    def finished(self, result: TrialResult) -> None:
        self._seen("ranking" if "supernet_psnr_db" in result.metrics else "trial")

    def _seen(self, what: str) -> None:
        self.count -= what == self.where
        if self.count == 0:
            self.count = -1
            raise KeyboardInterrupt


def _whole(folder: Path) -> list[dict[str, Any]]:
    """What does not depend on when and how often it was run."""
    results = [json.loads(p.read_text()) for p in sorted(folder.glob("trials/*/result.json"))]
    return [{k: v for k, v in r.items() if k not in ("timings_s", "conditions")} for r in results]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    search_by_supernet(_study(), folder, plan=PLAN)
    return folder


def test_chosen_candidates_are_ordinary_trials_of_the_run(undisturbed: Path) -> None:
    run = RunFolder(undisturbed)
    results = run.results()
    assert [r.state for r in results] == ["complete"] * 3
    assert [r.baseline for r in results] == [True, False, False]
    chosen = json.loads((undisturbed / "supernet" / "chosen.json").read_text())
    by_hand = [row["key"] for row in chosen["candidates"] if row["baseline"]]
    others = [row["key"] for row in chosen["candidates"] if not row["baseline"]]
    assert by_hand == [BASELINE.key]
    assert [r.key for r in results] == [BASELINE.key, *others[:2]]
    assert {"supernet_psnr_db"} & set(results[0].metrics) == set()  # no figure of a model
    ranked = RunFolder(undisturbed / "supernet" / "search").results()
    assert len(ranked) == PLAN.ranked
    assert {r.metrics["supernet_psnr_db"].source for r in ranked} == {"modelled"}
    assert run.description()["study"]["schedule"]["steps"] == 16
    assert run.description()["study"]["schedule"]["start"] == f"supernet:{chosen['supernet']}"


@pytest.mark.parametrize(("where", "count"), [("supernet", 1), ("ranking", 4), ("trial", 2)])
def test_stopped_anywhere_it_ends_as_undisturbed(
    tmp_path: Path, undisturbed: Path, where: str, count: int
) -> None:
    for name in ("supernet.json", "supernet.npz") if where != "supernet" else ():
        (tmp_path / "supernet").mkdir(exist_ok=True)
        (tmp_path / "supernet" / name).write_bytes((undisturbed / "supernet" / name).read_bytes())
    with pytest.raises(KeyboardInterrupt):
        search_by_supernet(_study(), tmp_path, watcher=Stops(where, count), plan=PLAN)
    search_by_supernet(_study(), tmp_path, plan=PLAN)
    assert _whole(tmp_path) == _whole(undisturbed)
    assert _whole(tmp_path / "supernet" / "search") == _whole(undisturbed / "supernet" / "search")


def test_other_options_are_refused_before_any_work(tmp_path: Path, undisturbed: Path) -> None:
    with pytest.raises(RunError, match=r"another study.*schedule"):
        search(_study(), undisturbed)
    with pytest.raises(RunError, match=r"another study.*schedule\.start"):
        search_by_supernet(_study(), undisturbed, plan=replace(PLAN, steps=9))
    source = undisturbed / "supernet"
    with pytest.raises(RunError, match="trained for another seed"):
        search_by_supernet(_study(seed=5), tmp_path / "a", plan=SupernetPlan(8, 6, source))
    with pytest.raises(ConfigError, match="psnr_db is no objective"):
        search_by_supernet(_study(objectives=("gmacs_conv",)), tmp_path / "b", plan=PLAN)
    with pytest.raises(ConfigError, match="trains nothing"):
        search_by_supernet(_study(evaluators=(Cost(),), objectives=("gmacs_conv",), constraints=()),
                           tmp_path / "c", plan=PLAN)  # fmt: skip


def test_the_ranking_study_wants_no_weights(tmp_path: Path) -> None:
    study = _study()
    spec = supernet_spec(study, {})
    ranking = ranking_study(study, spec, tmp_path)
    assert not ranking.trains
    assert [o.metric for o in ranking.expanded_objectives] == ["supernet_psnr_db", "gmacs_conv"]
    assert ranking.expanded_objectives[0].direction == "maximize"
    assert ranking.constraints == ("gmacs_conv<=1000",)


def test_the_order_is_greedy_and_groups_take_turns() -> None:
    objectives = (Objective.of("supernet_psnr_db"), Objective.of("gmacs_conv"))
    rng = np.random.default_rng(0)
    results = []
    for number in range(30):
        precision = "float" if number % 3 else "int8-ptq"
        figures = {"supernet_psnr_db": 20 + rng.random(), "gmacs_conv": 0.1 + rng.random()}
        candidate = {"architecture": number, "compression": {"precision": precision}}
        results.append(
            TrialResult(
                number, str(number), "", candidate, "complete",
                metrics={name: Metric(value, "computed") for name, value in figures.items()},
            )
        )  # fmt: skip
    found = in_order(results, objectives)
    assert sorted(r.number for r in found) == list(range(30))
    precisions = [r.candidate["compression"]["precision"] for r in found]
    assert precisions[:20] == ["int8-ptq", "float"] * 10
    own = [r for r in found if r.candidate["compression"]["precision"] == "float"]
    point = reference_point(own, objectives)

    def volume(members: list[TrialResult]) -> float:
        growing = Front(objectives, point)
        for member in members:
            growing.add(member)
        return growing.hypervolume

    assert volume(own[:4]) >= 0.75 * volume(own)
    assert volume(own[:4]) > volume(own[10:14])


def test_activations_take_turns() -> None:
    objectives = (Objective.of("supernet_psnr_db"), Objective.of("gmacs_conv"))
    results = [
        TrialResult(
            number, str(number), "", {"compression": {}}, "complete", {"activation": activation},
            {o.metric: Metric(20 + number, "computed") for o in objectives},
        )
        for number, activation in enumerate(["relu"] * 3 + ["prelu"] * 3)
    ]  # fmt: skip
    found = [result.parameters["activation"] for result in in_order(results, objectives)]
    assert found == ["relu", "prelu"] * 3


def test_the_report_tells_how_the_ranks_held(undisturbed: Path) -> None:
    run = RunFolder(undisturbed)
    ranking = supernet_ranking(run, run.results())
    assert ranking is not None
    assert ranking.ranked == 6
    assert sum(len(rows) for _, rows, _ in ranking.groups) == 3
    page = write_report(run, pictures=0).read_text()
    assert "How the supernet's ranks held" in page
    assert ranking.supernet in page
    assert "too few to tell" in page
