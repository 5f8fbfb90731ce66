"""`nas search` and `nas studies`: a search from its options, and the studies it can be given."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli import complete
from nas.cli.console import emit_json, err, note, out, print_table, table
from nas.cli.inspect import named_architecture
from nas.cli.options import (
    ArtifactsOption,
    DataOption,
    JsonOption,
    LimitOption,
    StorageOption,
    StudyArgument,
    parse_size,
)
from nas.cli.own_file import own_values
from nas.errors import ConfigError, unknown

if TYPE_CHECKING:
    from nas.execution.trial.task import OnLostPhone
    from nas.study.study import Study


TrialsOption = Annotated[
    int | None, typer.Option(min=1, help="Different candidates in all.", show_default="the study's")
]
FolderOption = Annotated[
    Path | None,
    typer.Option(
        "--out", help="The run's folder; the same one resumes.", show_default="runs/STUDY"
    ),
]
DeviceOption = Annotated[
    list[str] | None,
    typer.Option(
        help="host, adb:SERIAL, npu:CHIP or paper:PHONE, required; repeatable.",
        show_default="the study's",
        autocompletion=complete.devices,
    ),
]
BaselineOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Evaluate it first: edsr, a label, a .json or a .py file; repeatable.",
        autocompletion=complete.networks,
    ),
]
OptionalDeviceOption = Annotated[
    list[str] | None,
    typer.Option(help="Measured where it can be; repeatable.", autocompletion=complete.devices),
]
KeepGoingOption = Annotated[
    bool,
    typer.Option("--keep-going", help="Go on without a required phone once it is set aside."),
]
ConstraintOption = Annotated[
    list[str] | None, typer.Option(help="E.g. 'latency_ms\\[host]<=50'; repeatable.")
]
SizeOption = Annotated[
    str | None, typer.Option(help="Deployment size, WIDTHxHEIGHT.", show_default="the study's")
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        min=1, help="Processes; 1 stays in this one.", show_default="as many as cores, at most 4"
    ),
]
SeedOption = Annotated[
    int | None, typer.Option(help="Of the candidates and trainings.", show_default="the study's")
]
HalvingOption = Annotated[
    bool | None,
    typer.Option(
        "--halving/--no-halving",
        help="Train most candidates for a part of the schedule only.",
        show_default="as the study says",
    ),
]
ReplicatesOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Networks to train again, to know the noise, at most.",
        show_default="the study's",
    ),
]
SupernetOption = Annotated[
    bool, typer.Option("--supernet", help="Rank by one elastic network, train the best only.")
]
SupernetFromOption = Annotated[
    Path | None,
    typer.Option(help="The folder of one that was trained before; means --supernet."),
]
LooksOption = Annotated[
    int, typer.Option(min=0, help="Untrained candidates to measure before each trial, at most.")
]
LookShareOption = Annotated[
    float,
    typer.Option(
        min=0.0, help="Share of the trials' time that looks may take; above 1: more than trials."
    ),
]
LearnFromOption = Annotated[
    Path | None,
    typer.Option(metavar="RUN", help="An earlier run of the same space to learn from."),
]
UntilConvergedOption = Annotated[
    bool,
    typer.Option(
        "--until-converged", help="End once further trials are not expected to add anything."
    ),
]
ShowOption = Annotated[
    bool,
    typer.Option("--show", help="Only show what each field of the study is, and who said so."),
]
RayOption = Annotated[
    str | None,
    typer.Option(
        metavar="[HOST:PORT]", help="On that Ray cluster; alone, on one started here for it."
    ),
]


def search(
    study: StudyArgument,
    out_: FolderOption = None,
    trials: TrialsOption = None,
    device: DeviceOption = None,
    baseline: BaselineOption = None,
    optional_device: OptionalDeviceOption = None,
    keep_going: KeepGoingOption = False,
    limit: LimitOption = None,
    data: DataOption = None,
    constraint: ConstraintOption = None,
    size: SizeOption = None,
    workers: WorkersOption = None,
    seed: SeedOption = None,
    halving: HalvingOption = None,
    replicates: ReplicatesOption = None,
    storage: StorageOption = None,
    artifacts: ArtifactsOption = None,
    supernet: SupernetOption = False,
    supernet_from: SupernetFromOption = None,
    ray: RayOption = None,
    looks: LooksOption = 0,
    look_share: LookShareOption = 0.2,
    learn_from: LearnFromOption = None,
    until_converged: UntilConvergedOption = False,
    show: ShowOption = False,
) -> None:
    """Search: train, convert and measure candidates, and keep the best trade-offs.

    The same --out goes on where it was stopped; Ctrl-C stops at any moment.
    """
    began = time.monotonic()
    changes: dict[str, Any] = {"data": data, "seed": seed, "replicates": replicates}
    changes |= {"halving": halving, "size": parse_size(size) if size else None}
    changes |= {"devices": device, "optional_devices": optional_device, "constraints": constraint}
    chosen = with_baselines(with_changes(load_study(study), changes), baseline or [])
    chosen.check()
    ranked = supernet or supernet_from is not None
    only_sampled = {"looks": looks, "learn_from": learn_from, "until_converged": until_converged}
    if ranked:
        refuse_beside_supernet(only_sampled)
    if show:
        from nas.cli.settled import show_settled

        show_settled(chosen, changes | {"baselines": baseline, "trials": trials})
        return
    with err.status("loading"):
        from nas.cli.live import watch
        from nas.search.supernet_ranking import searching

    lost: OnLostPhone = "continue" if keep_going else "stop"
    folder = out_ or Path("runs") / chosen.name
    processes = workers if ray is not None else workers or _processes(chosen)
    with resumable(folder), watch(chosen, folder, not ranked) as watcher:
        run_search = searching(supernet, supernet_from)
        places: dict[str, Any] = {"storage": storage, "artifacts": artifacts}
        if not ranked:
            places |= {**only_sampled, "look_share": look_share}
        run_search(chosen, folder, trials, processes, watcher, lost, ray, **places)
    say_finished(folder, time.monotonic() - began)
    say_next("report", folder)


def with_changes(study: Study, changes: dict[str, Any]) -> Study:
    """Return the study with the options that were given; lists become tuples.

    A value of None or an empty list leaves the study's own. Raises ConfigError as `Study` does.
    """
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in changes.items()
        if value is not None and value != []
    }
    return dataclasses.replace(study, **given)


def refuse_beside_supernet(options: dict[str, Any]) -> None:
    """Raise ConfigError for an option that only a sampler can follow, as a supernet chooses."""
    for name, value in options.items():
        if value:
            option = f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}")
            raise ConfigError(
                f"{option}: a supernet chooses the candidates, and no sampler, which this option "
                "is for; leave out one of the two"
            )


@contextmanager
def resumable(folder: Path) -> Iterator[None]:
    """End the program with code 130 on Ctrl-C, and say how the run in `folder` goes on."""
    try:
        yield
    except KeyboardInterrupt:
        note(f"stopped. Nothing finished is lost; the same command goes on in {folder}")
        raise typer.Exit(130) from None


def say_finished(folder: Path, seconds: float) -> None:
    """Print how long a search took, and its result in sentences."""
    from nas.report.choice import open_front
    from nas.report.explanation import explain_run
    from nas.report.numbers import duration
    from nas.storage.run_devices import run_names
    from nas.storage.run_folder import RunFolder

    run = RunFolder(folder)
    found = open_front(run)
    names = {device: name.name for device, name in run_names(run, found.results).items()}
    done = "1 trial" if len(found.results) == 1 else f"{len(found.results)} trials"
    note(f"finished in {duration(seconds)}: {done}, {len(found.front)} on the front")
    for sentence in explain_run(found, lambda device: names.get(device, device)):
        note(sentence)


def say_next(report: str, folder: Path) -> None:
    """Print the two commands that follow a search: `report`, for example "report", and export."""
    note(f"next:  nas {report} {folder}", style="bold")
    note(f"       nas export {folder} --out models", style="bold")


def _processes(study: Study) -> int:
    """Return how many trials fit on this machine's cores at a time, at most 4."""
    return min(4, available_cores() // study.schedule.threads or 1)


def with_baselines(study: Study, names: list[str]) -> Study:
    """Return the study with further networks to evaluate first, also in its space."""
    from nas.networks.candidate import Candidate
    from search_spaces import with_networks

    if not names:
        return study
    architectures = {name: named_architecture(name) for name in names}
    networks = {
        network.label if name.endswith(".json") or " " in name else name: network
        for name, network in architectures.items()
    }
    baselines = (*study.baselines, *(Candidate(network) for network in networks.values()))
    space = with_networks(study.space, networks)
    return dataclasses.replace(study, space=space, baselines=tuple(dict.fromkeys(baselines)))


def studies(
    json_: JsonOption = False,
) -> None:
    """List the studies that come with the project."""
    from studies import STUDIES

    if json_:
        emit_json(
            "studies",
            [
                {
                    "name": study.name,
                    "description": study.description,
                    "trials": study.trials,
                    "objectives": [o.metric for o in study.expanded_objectives],
                    "size": list(study.size),
                    "data": study.data,
                }
                for study in STUDIES.values()
            ],
        )
        return
    rows = [[study.name, str(study.trials), study.description] for study in STUDIES.values()]
    print_table(table("Studies", {"name": "left", "trials": "right", "what": "left"}, rows))
    out.print("\nA study of your own is a .py file with a value STUDY: nas search my_study.py")


def load_study(name: str) -> Study:
    """Return the study of that name, or the value STUDY of a user's own .py file.

    Raises ConfigError where there is no such study.
    """
    from nas.study.study import Study
    from studies import STUDIES

    if name in STUDIES:
        return STUDIES[name]
    path = Path(name)
    if path.suffix != ".py":
        raise unknown("study", name, STUDIES)
    if not path.is_file():
        raise ConfigError(f"{path} is no file; give a study's name or a .py file with STUDY")
    study = own_values(path).get("STUDY")
    if not isinstance(study, Study):
        raise ConfigError(f"{path} has no value STUDY of type nas.study.Study, but {study!r}")
    return study


def available_cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
