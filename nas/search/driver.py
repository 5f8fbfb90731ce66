"""A search: what is opened and checked before the loop, and who works for it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from nas import __version__
from nas.data import Dataset, open_dataset
from nas.data.image_quality import psnr_db, ssim
from nas.devices.fleet import check_answers
from nas.errors import ConfigError, RunError
from nas.execution.executor import Executor
from nas.execution.in_process import InProcessExecutor
from nas.execution.processes import process_executor
from nas.execution.run_log import RunLog
from nas.execution.trial.task import OnLostPhone, TrialTask
from nas.networks.candidate import Candidate
from nas.networks.graph import check_size
from nas.search.ask_tell import OptunaStudy
from nas.search.earlier_run import keep_weights, kept_earlier
from nas.search.halving_loop import HalvingLoop
from nas.search.loop import OpenSearch, OrderedLoop
from nas.search.network_format import check_network_format
from nas.search.replicate import replicate
from nas.search.sampler_choice import check_can_converge
from nas.search.study_looks import SHARE, StudyLooks, looks_are_useful
from nas.search.uploads import restored, sending
from nas.search.watcher import NobodyWatches, Watcher
from nas.storage.postgres import SharedStudy, public, shared_study
from nas.storage.run_folder import RunFolder
from nas.study.evaluator import ChecksFirst
from nas.study.study import Study
from nas.study.trial_result import FORMAT
from nas.system.environment import processor, versions
from nas.system.files import held, write_json
from nas.system.hashing import content_key


def search(
    study: Study,
    out: Path | str,
    trials: int | None = None,
    workers: int | None = 1,
    watcher: Watcher | None = None,
    on_lost_phone: OnLostPhone = "stop",
    ray: str | None = None,
    candidates: Sequence[Candidate] | Callable[[RunFolder], Sequence[Candidate]] | None = None,
    storage: str | None = None,
    artifacts: str | None = None,
    looks: int = 0,
    look_share: float = SHARE,
    learn_from: Path | None = None,
    until_converged: bool = False,
) -> RunFolder:
    """Search until the run in `out` has `trials` different candidates; goes on where it stopped.

    With `candidates` these are evaluated, as far as the run has not yet, and no others are drawn; a
    function of the run's folder is called for them once the folder is held and known to fit.

    With one worker everything happens in this process; with more, trials run in processes of
    their own; with `ray`, on the cluster of that address, or on one of this machine that is
    started for it ("local"), where `workers=None` takes all that it has room for. Ctrl-C, or a
    kill, at any moment loses at most what was not checkpointed.

    `storage` is the URL of a PostgreSQL database that keeps the study, instead of a file in the
    run's folder, under the folder's name.

    `artifacts` is the URL of an object store that gets copies of finished trials, below the
    folder's name, and from which a folder that has lost them gets them back.

    `looks` is how many candidates the sampler "ehvi" may look at before each trial: it has the
    untrained network measured, which tells its costs. They take at most `look_share` of the time
    that trials take. On a cluster none are taken.

    `learn_from` is the folder of an earlier run of the same space, on whatever device, data set or
    schedule: its trials inform the sampler as far as this run's bear them out. They are kept in
    this run's folder.

    With `until_converged` the search ends before it has all trials once its sampler, "ehvi", hardly
    expects further ones to add to the hypervolume (`nas.sampling.convergence`). What runs then is
    finished; the run's folder keeps why it ended.

    A phone that is away is waited for until it is set aside (it failed with a network that runs
    everywhere, too, again and again). If it is a required one the search then ends with a
    RunError, or, with `on_lost_phone="continue"`, goes on with it as an optional one.

    Raises ConfigError, or DeviceError for a required phone that can't be used, before any work
    starts, DataError on unusable pictures, RunError where the
    folder is held by another search, belongs to another study or can't be written.
    """
    watcher = watcher or NobodyWatches()
    run = RunFolder(Path(out).absolute() if ray else Path(out))
    trials = study.trials if trials is None else trials
    if looks < 0 or not 0 <= look_share < math.inf:
        raise ConfigError(
            f"looks={looks}, look_share={look_share}: expected 0 or more looks, and a share of 0 "
            "or more"
        )
    if trials < 1 or (workers is not None and workers < 1):
        raise ConfigError(f"trials={trials}, workers={workers}: expected at least 1 of each")
    study.check()
    if until_converged:
        check_can_converge(study)
    _check(study, watcher, here=ray in (None, "local"))
    dataset = open_dataset(study.data)
    with held(run.path), ExitStack() as database:
        store = restored(run, artifacts, watcher.note)
        description = _open_run(run, study, dataset)
        watcher = database.enter_context(sending(run, store, watcher))
        input_quality = description["input"]
        shared = _storage(run, storage, description, database)
        earlier = kept_earlier(run, study, learn_from)
        if earlier is not None:
            watcher.note(f"the sampler learns from {earlier}")
        seen = None
        if ray is None and candidates is None and looks_are_useful(study) and looks:
            data = description["study"]["data"]["identity"]

            def task(candidate: Candidate, parameters: Mapping[str, Any]) -> TrialTask:
                return TrialTask(
                    0, candidate, parameters, study, dataset, data, run, False, on_lost_phone
                )

            seen = StudyLooks(study, run.path, task, watcher.note, looks, look_share)
            database.callback(seen.close)
        optuna_study = OptunaStudy(study, run.journal, shared, input_quality, seen, earlier)
        _reconcile(run, optuna_study, input_quality)
        if candidates is not None:
            trials = optuna_study.enqueue(candidates(run) if callable(candidates) else candidates)
        log = RunLog(run.path, trials)
        executor, workers = _executor(study, workers, ray, run, dataset, watcher, log)
        opened = OpenSearch(
            study,
            dataset,
            description,
            run,
            optuna_study,
            executor,
            watcher,
            input_quality,
            on_lost_phone,
            until_converged,
        )
        _drive(opened, trials, workers)
        _say_convergence(opened, trials)
        if earlier is not None:
            keep_weights(run, study, earlier, optuna_study.trials())
    return run


def _drive(search: OpenSearch, trials: int, workers: int) -> None:
    """Prepare the pictures, run the loop to its end, and train a few candidates again."""
    study, watcher = search.study, search.watcher
    try:
        if study.trains:
            search.dataset.prepare(
                study.schedule.patch,
                lambda done, total, what: watcher.preparing(what, done, total),
            )
        watcher.started(search.run, search.run.results(), trials)
        search.run.readmit_devices()
        loop = HalvingLoop(search) if study.halving else OrderedLoop(search)
        loop.drive(trials, _ahead(study, workers))
        replicate(search)
    finally:
        search.executor.close()


def _say_convergence(search: OpenSearch, trials: int) -> None:
    """Say what further trials are expected to add, and keep it where the search ended for it."""
    found = search.optuna_study.convergence()
    if found is None:
        return
    count = search.optuna_study.candidates()
    if search.until_converged and found.reached and count < trials:
        search.run.keep_ending(len(search.run.finished_numbers()), str(found))
        search.watcher.note(f"converged after {count} of {trials} trials: {found}")
    else:
        search.watcher.note(str(found))


def _storage(
    run: RunFolder, url: str | None, description: Mapping[str, Any], held_with: ExitStack
) -> SharedStudy | None:
    """Open and hold the database of the run's study; None where a file of the run keeps it.

    Raises RunError where the study is elsewhere than where it is looked for.
    """
    known = run.storage()
    move = "`nas study copy` moves a study"
    if url is None:
        if known is not None:
            raise RunError(f"the study of {run.path} is in {known}: give --storage. {move}")
        return None
    if run.journal.exists() or known not in (None, public(url)):
        where = known or run.journal
        raise RunError(f"the study of {run.path} is in {where}, not in {public(url)}. {move}")
    fingerprint = content_key(dict(description["study"]))
    shared = held_with.enter_context(shared_study(url, run.path.resolve().name, fingerprint))
    run.keep_storage(public(url))
    return shared


def _ahead(study: Study, workers: int) -> int:
    """How many trials may be out at a time.

    One worker: 1, so that each trial is sampled from all results before it. Several: two for each
    worker, and one more for each device where there are several, so that none waits for its next
    trial. With halving: one for each worker, so that promotion sees as many readings as possible.
    """
    devices = len(study.devices + study.optional_devices)
    if study.halving and workers > 1:
        return workers + (devices if devices > 1 else 0)
    return 1 if workers == 1 else 2 * workers + (devices if devices > 1 else 0)


def _executor(
    study: Study,
    workers: int | None,
    ray: str | None,
    run: RunFolder,
    dataset: Dataset,
    watcher: Watcher,
    log: RunLog,
) -> tuple[Executor, int]:
    """Return who runs the trials, and how many at a time."""
    threads, report = study.schedule.threads, watcher.progress
    if ray is not None:
        from nas.execution.ray.crew import ray_executor

        return ray_executor(ray, study, workers, run, dataset, report, watcher.note, log)
    if workers is None or workers == 1:
        return InProcessExecutor(report, threads, log), 1
    phones = any(d.startswith("adb:") for d in study.devices + study.optional_devices)
    networks = study.trains or any(e.needs == "structure" for e in study.evaluators)
    pool = process_executor(workers, report, threads, log, int(phones), networks)
    return pool, workers


def _check(study: Study, watcher: Watcher, here: bool) -> None:
    """Raise for what would only fail in the middle of the search; DeviceError for a phone's.

    `here`: phones hang on this machine, not on some node of a cluster.
    """
    width, height = study.size
    check_size(study.space.reduction, height, width)
    patch = study.schedule.patch
    if patch % study.space.reduction:
        raise ConfigError(
            f"patches of {patch}x{patch} don't divide by {study.space.reduction}, as the space's "
            "deepest networks need; change schedule.patch or space.levels"
        )
    if here:
        check_answers(study.devices, study.optional_devices, watcher.note)
        for evaluator in study.evaluators:
            if isinstance(evaluator, ChecksFirst):
                evaluator.check()


def _open_run(run: RunFolder, study: Study, dataset: Dataset) -> dict[str, Any]:
    """Make run.json, or check that the one there is of the same study; returns what it holds."""
    data: dict[str, Any] = {
        "spec": dataset.spec,
        "split": dataset.split,
        "task": dataset.task,
        "identity": dataset.identity(),
    }
    fingerprint = study.fingerprint(data)
    path = run.path / "run.json"
    if not path.exists():
        others = (e for e in run.path.iterdir() if e.name != "supernet")  # may be trained before
        if any(not entry.name.startswith(".") for entry in others):
            raise RunError(f"{run.path} is not empty and holds no run; choose an empty folder")
        description: dict[str, Any] = {
            "format": FORMAT,
            "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "version": __version__,
            "study": fingerprint,
            "conditions": {"processor": processor(), "versions": versions()},
            "input": _input_quality(dataset) if study.trains else {},
        }
        write_json(path, description)
        return description
    description = run.description()
    differences = list(
        _differences(_what_decides(description["study"]), _what_decides(fingerprint))
    )
    if differences:
        raise RunError(
            f"{run.path} holds a run of another study. These differ: {'; '.join(differences[:6])}. "
            "Give the same options to resume it, or choose another folder"
        )
    check_network_format(run, study)
    return description


def _what_decides(fingerprint: dict[str, Any]) -> dict[str, Any]:
    """Return a fingerprint without the words that decide no figure: where pictures lie, a title."""
    return {**fingerprint, "description": "", "data": {**fingerprint["data"], "spec": ""}}


def _differences(run: Any, asked: Any, path: str = "") -> Iterator[str]:
    """Say where two JSON values differ."""
    if isinstance(run, dict) and isinstance(asked, dict):
        for name in sorted(run.keys() | asked.keys()):
            yield from _differences(
                run.get(name), asked.get(name), f"{path}.{name}" if path else name
            )
    elif run != asked:
        yield f"{path}: the run has {run!r}, asked for is {asked!r}"


def _input_quality(dataset: Dataset) -> dict[str, float]:
    """Return the blurred held-out pictures' own quality against the sharp ones."""
    pairs = [(psnr_db(p.blurred, p.sharp), ssim(p.blurred, p.sharp)) for p in dataset.heldout()]
    means = np.mean(pairs, axis=0)
    return {"psnr_db": float(means[0]), "ssim": float(means[1])}


def _reconcile(
    run: RunFolder, optuna_study: OptunaStudy, input_quality: Mapping[str, float]
) -> None:
    """Fill an empty journal from the run's results, where the journal was lost."""
    if not optuna_study.trials():
        optuna_study.adopt(run.results(), input_quality)
