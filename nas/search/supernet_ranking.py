"""A search by a supernet: many candidates ranked by slices, few trained and scored alone.

    RUN/supernet/              the supernet (see `nas.training.supernet.spec`)
    RUN/supernet/search/       a run of its own: the study's sampler over scores, nothing trained
    RUN/supernet/chosen.json   what it chose, in order, with the scores

Then RUN is an ordinary run whose candidates were chosen so, each trained on from its slice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np

from nas.data import Dataset, open_dataset
from nas.errors import ConfigError, RunError
from nas.execution.trial.task import OnLostPhone
from nas.networks.candidate import Candidate
from nas.search.driver import search
from nas.search.predicted_latency import PredictedLatency, predicted_latency
from nas.search.supernet_score import SCORE, SupernetScore
from nas.search.watcher import NobodyWatches, Watcher
from nas.storage.run_folder import RunFolder
from nas.study.evaluator import Evaluator
from nas.study.halving import best_addition
from nas.study.objectives import MARGIN, Objective
from nas.study.pareto import distinct
from nas.study.study import Study
from nas.study.trial_result import TrialResult
from nas.system.files import held, read_json, write_atomically, write_json
from nas.system.hashing import canonical_json
from nas.training.schedule import Schedule
from nas.training.supernet.elastic import Elastic
from nas.training.supernet.spec import (
    DESCRIPTION,
    FOLDER,
    WEIGHTS,
    SupernetSpec,
    gentle,
    start_of,
    supernet_of,
)

CHOSEN = "chosen.json"
RANKED, RANKED_MEASURED = 300, 48  # candidates: where figures are computed, where some are measured


@final
@dataclass(frozen=True)
class SupernetPlan:
    """How a supernet is used: `ranked` candidates are scored, each chosen one is trained on.

    `steps` of the supernet's training, by default those of one candidate's. `source` is the folder
    of one that was trained before.
    """

    steps: int | None = None
    ranked: int | None = None
    source: Path | None = None


def supernet_spec(study: Study, data: dict[str, Any], steps: int | None = None) -> SupernetSpec:
    """Return the spec of a study's own supernet, on the data set whose identity is `data`.

    It is trained for `steps`, or for as many as one of the study's candidates; its schedule is
    `gentle`. Raises ConfigError where the space is not one of U-Nets, or the study trains nothing.
    """
    if not study.trains:
        raise ConfigError(
            f"study {study.name!r} trains nothing, so there is nothing that a supernet could "
            "spare it; search it without --supernet"
        )
    Elastic.of(study.space.to_dict())
    schedule = gentle(study.schedule, steps or study.schedule.steps)
    return SupernetSpec(study.space.to_dict(), data, schedule, study.seed)


def search_by_supernet(
    study: Study,
    out: Path | str,
    trials: int | None = None,
    workers: int | None = 1,
    watcher: Watcher | None = None,
    on_lost_phone: OnLostPhone = "stop",
    ray: str | None = None,
    plan: SupernetPlan | None = None,
    storage: str | None = None,
    artifacts: str | None = None,
) -> RunFolder:
    """Train or reuse the study's supernet, rank by it, then train and score `trials` chosen ones.

    The study's baselines are trained and scored first and count as trials. May be stopped at any
    moment; the same call goes on. The other arguments are those of `nas.search.driver.search`;
    `storage` and `artifacts` get the chosen trials only. Raises as that does, and ConfigError for a
    study that no supernet can be made for, RunError where a supernet of another space, data or seed
    is in the way.
    """
    study.check()
    plan, watcher = plan or SupernetPlan(), watcher or NobodyWatches()
    dataset = open_dataset(study.data)
    spec = supernet_spec(study, dataset.identity(), plan.steps)
    count = study.trials if trials is None else trials
    tuned = replace(study, schedule=tuning_schedule(study.schedule, spec), halving=False)
    home = Path(out).absolute() / FOLDER
    ranking_study(study, spec, home, plan)  # raises before any work

    def chosen(run: RunFolder) -> list[Candidate]:
        _provide(spec, home, dataset, plan, watcher)
        wanted = max(0, count - len(study.baselines))
        if len(_known(home, spec)) < wanted:
            ranking = ranking_study(study, spec, home, plan, _latency(study, home, watcher))
            watcher.note(f"ranking {ranking.trials} candidates by supernet {spec.key}")
            found = search(
                ranking, home / "search", ranking.trials, workers, watcher, on_lost_phone, ray
            )
            _keep(home, spec, found.results(), ranking.expanded_objectives, study.baselines)
            _share_measurements(found, run)
        return [*study.baselines, *_candidates(study, _known(home, spec)[:wanted])][:count]

    return search(
        tuned, out, count, workers, watcher, on_lost_phone, ray, chosen, storage, artifacts
    )  # fmt: skip


def searching(supernet: bool = False, source: Path | None = None) -> Callable[..., RunFolder]:
    """Return `driver.search`, or with `supernet` or a `source` of one the search by a supernet."""
    from nas.search.driver import search as plain

    return (
        partial(search_by_supernet, plan=SupernetPlan(source=source))
        if supernet or source
        else plain
    )


def tuning_schedule(schedule: Schedule, spec: SupernetSpec) -> Schedule:
    """Return the schedule of a candidate that is trained on from its slice.

    The whole schedule: a slice is a start that can't be bad, not a training saved. After half of
    it networks of `quickstart` were 0.5 to 1.2 dB behind, after a quarter at half of the rate 1.2
    to 2.3 dB.
    """
    return replace(schedule, identity_start=False, start=start_of(spec.key))


def _latency(study: Study, home: Path, watcher: Watcher) -> PredictedLatency | None:
    """Return the evaluator that predicts latencies, where there is a predictor."""
    if all(evaluator.needs != "structure" for evaluator in study.evaluators):
        return None
    found = predicted_latency(study, home)
    if isinstance(found, str):
        watcher.note(f"latencies of the ranking are measured: {found}")
        return None
    return found


def ranking_study(
    study: Study,
    spec: SupernetSpec,
    home: Path,
    plan: SupernetPlan | None = None,
    latency: PredictedLatency | None = None,
) -> Study:
    """Return the study with the supernet's score as its quality, and no evaluator of weights.

    With `latency` nothing that wants a structure, either.

    Half of its candidates are drawn before the sampler learns: compressions don't change the score,
    and the sampler would leave out all but the fastest one. Raises ConfigError where no objective
    is a quality.
    """
    early = [evaluator for evaluator in study.evaluators if evaluator.needs != "weights"]
    if latency is not None:
        early = [*(one for one in early if one.needs == "architecture"), latency]
    evaluators: tuple[Evaluator, ...] = (*early, SupernetScore(home.absolute(), spec.key))
    known = {m for evaluator in evaluators for m in evaluator.metrics(study.devices)}
    names = [objective.metric for objective in study.expanded_objectives]
    if not {"psnr_db", "ssim"} & set(names):
        raise ConfigError(
            f"a supernet ranks by quality, but psnr_db is no objective of study {study.name!r}, "
            f"which has {', '.join(names)}"
        )
    measured = any(evaluator.needs == "structure" for evaluator in early)
    ranked = (plan.ranked if plan else None) or (RANKED_MEASURED if measured else RANKED)
    return replace(
        study,
        description=f"{study.description} Ranked by supernet {spec.key}.",
        evaluators=evaluators,
        objectives=(SCORE, *(name for name in names if name in known)),
        constraints=tuple(
            str(bound) for bound in study.parsed_constraints if bound.metric in known
        ),
        optional_devices=(),
        halving=False,
        trials=ranked,
        startup_trials=max(study.startup_trials, ranked // 2),
    )


def in_order(results: Sequence[TrialResult], objectives: Sequence[Objective]) -> list[TrialResult]:
    """Return the eligible trials, those first that add most hypervolume, groups in turn.

    Each compression has an order of its own, since the score says nothing of what it costs, and so
    has each activation: slices share kernels over activations, which evens out what sets these
    apart when they are trained alone (docs/notes/supernet.md has figures).
    """
    groups: dict[str, list[TrialResult]] = defaultdict(list)
    for result in distinct(results, objectives):
        group = [result.candidate["compression"], result.parameters.get("activation")]
        groups[canonical_json(group)].append(result)
    orders = [_greedy(group, objectives) for group in groups.values()]
    longest = max((len(order) for order in orders), default=0)
    return [order[place] for place in range(longest) for order in orders if place < len(order)]


def _greedy(results: list[TrialResult], objectives: Sequence[Objective]) -> list[TrialResult]:
    losses = np.array([[o.loss(r.value(o.metric)) for o in objectives] for r in results])
    spread = np.ptp(losses, axis=0)
    reference_point = losses.max(axis=0) + np.where(spread > 0, spread * (MARGIN - 1), 1.0)
    left, order = list(range(len(results))), list[int]()
    while left:
        place = best_addition(losses[left], losses[order], reference_point)
        if place is None:
            return [results[index] for index in (*order, *left)]
        order.append(left.pop(place))
    return [results[index] for index in order]


def _provide(
    spec: SupernetSpec, home: Path, dataset: Dataset, plan: SupernetPlan, watcher: Watcher
) -> None:
    """Have the finished supernet in `home`: found there, copied, or trained."""
    if plan.source is not None and plan.source.resolve() != home.resolve():
        supernet_of(plan.source)
        spec.check(plan.source)
        with held(home):
            for name in (DESCRIPTION, WEIGHTS):
                _copy(plan.source / name, home / name)
    spec.check(home)
    if (home / WEIGHTS).exists():
        return
    pack = dataset.prepare(
        spec.schedule.patch, lambda done, total, what: watcher.preparing(what, done, total)
    )
    from nas.training.tensorflow import prepare_tensorflow

    prepare_tensorflow(spec.schedule.threads)
    from nas.training.supernet.train import train_supernet

    train_supernet(spec, pack, home, _noted(watcher))


def _copy(source: Path, target: Path) -> None:
    content = source.read_bytes()
    write_atomically(target, lambda file: file.write(content))


def _noted(watcher: Watcher) -> Any:
    """Return a callback that notes a line for every tenth of the training."""
    told = [-1]

    def progress(step: int, steps: int, loss: float) -> None:
        if 10 * step // steps > told[0]:
            told[0] = 10 * step // steps
            watcher.note(f"supernet: step {step} of {steps}, L1 {loss:.4f}")

    return progress


def _keep(
    home: Path,
    spec: SupernetSpec,
    results: Sequence[TrialResult],
    objectives: Sequence[Objective],
    baselines: Sequence[Candidate],
) -> None:
    """Write down what was ranked, in order, and the baselines' scores."""
    by_hand = {candidate.key for candidate in baselines}
    rows = [
        {
            "key": result.key,
            "label": result.label,
            "parameters": dict(result.parameters),
            "baseline": result.key in by_hand,
            "figures": {o.metric: result.value(o.metric) for o in objectives},
        }
        for result in in_order(results, objectives)
    ]
    told = {"supernet": spec.key, "ranked": len(results), "candidates": rows}
    write_json(home / CHOSEN, told)


def _known(home: Path, spec: SupernetSpec) -> list[dict[str, Any]]:
    """Return the candidates that were chosen, best first, without baselines."""
    if not (home / CHOSEN).exists():
        return []
    told = read_json(home / CHOSEN)
    if told["supernet"] != spec.key:
        raise RunError(
            f"{home / CHOSEN} is of supernet {told['supernet']}, expected {spec.key}; remove it to "
            "have candidates ranked again"
        )
    return [row for row in told["candidates"] if not row["baseline"]]


def _candidates(study: Study, rows: Sequence[dict[str, Any]]) -> list[Candidate]:
    """Return the candidates of rows, made again from the study's parameters."""
    import optuna

    return [study.sample(optuna.trial.FixedTrial(row["parameters"])) for row in rows]


def _share_measurements(ranking: RunFolder, run: RunFolder) -> None:
    """Copy the ranking's measured latencies to the run, so that none is measured twice."""
    for path in (ranking.path / "measurements").glob("*.json"):
        target = run.path / "measurements" / path.name
        if not target.exists():
            _copy(path, target)
