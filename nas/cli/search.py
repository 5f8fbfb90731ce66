"""`nas search` and `nas studies`."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import os
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from nas.cli.console import emit_json, err, out, table
from nas.cli.inspect import named_architecture, parse_size
from nas.cli.options import ArtifactsOption, JsonOption, LimitOption, StorageOption
from nas.errors import ConfigError, unknown

if TYPE_CHECKING:
    from nas.study.study import Study


def search(
    study: Annotated[str, typer.Argument(help="A name (see `nas studies`) or a .py file.")],
    out_: Annotated[
        Path | None,
        typer.Option("--out", help="The run's folder; the same one resumes. [runs/STUDY]"),
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Different candidates in all.")] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(help="host, adb:SERIAL, npu:CHIP or paper:PHONE, required; repeatable."),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(help="Evaluate it first: edsr, rdn, unet-..., a JSON file; repeatable."),
    ] = None,
    optional_device: Annotated[
        list[str] | None, typer.Option(help="Measured where it can be; repeatable.")
    ] = None,
    on_lost_phone: Annotated[
        str, typer.Option(help="stop | continue, once a required phone is set aside.")
    ] = "stop",
    limit: LimitOption = None,
    data: Annotated[
        str | None,
        typer.Option(help="photos | reds:PATH | gopro:PATH,blur | pairs:BLURRED,SHARP"),
    ] = None,
    constraint: Annotated[
        list[str] | None, typer.Option(help="E.g. 'latency_ms[host]<=50'; repeatable.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Deployment size, WIDTHxHEIGHT.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; 1 stays in this one. [cores, at most 4]")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the candidates and trainings.")] = None,
    halving: Annotated[
        str | None,
        typer.Option(help="on: train most candidates for a part only | off. [as the study says]"),
    ] = None,
    replicates: Annotated[
        int | None,
        typer.Option(min=0, help="Networks to train again, to know the noise, at most. [3]"),
    ] = None,
    storage: StorageOption = None,
    artifacts: ArtifactsOption = None,
    supernet: Annotated[
        bool, typer.Option("--supernet", help="Rank by one elastic network, train the best only.")
    ] = False,
    supernet_from: Annotated[
        Path | None,
        typer.Option(help="The folder of one that was trained before; means --supernet."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:PORT]", help="On that Ray cluster; alone, on one started here for it."
        ),
    ] = None,
) -> None:
    """Search: train, convert and measure candidates, and keep the best trade-offs.

    The same --out goes on where it was stopped; Ctrl-C stops at any moment.
    """
    from nas.cli.live import watch
    from nas.execution.trial.task import OnLostPhone
    from nas.search.supernet_ranking import searching

    if on_lost_phone not in get_args(OnLostPhone):
        raise unknown("value of --on-lost-phone", on_lost_phone, get_args(OnLostPhone))
    if halving not in (None, "on", "off"):
        raise unknown("value of --halving", halving, ("on", "off"))
    chosen = load_study(study)
    given: dict[str, Any] = {"data": data, "seed": seed, "replicates": replicates}
    given["halving"] = None if halving is None else halving == "on"
    given["devices"] = tuple(device) if device else None
    given["optional_devices"] = tuple(optional_device) if optional_device else None
    given["constraints"] = tuple(constraint) if constraint else None
    given["size"] = parse_size(size) if size else None
    chosen = dataclasses.replace(
        chosen, **{name: value for name, value in given.items() if value is not None}
    )
    chosen = _with_baselines(chosen, baseline or [])
    chosen.check()
    folder = out_ or Path("runs") / chosen.name
    run_search = searching(supernet, supernet_from)
    processes = workers
    if ray is None:
        processes = workers or min(4, available_cores() // chosen.schedule.threads or 1)
    try:
        with watch(chosen, folder, not supernet and supernet_from is None) as watcher:
            lost = cast(OnLostPhone, on_lost_phone)
            run_search(
                chosen,
                folder,
                trials,
                processes,
                watcher,
                lost,
                ray,
                storage=storage,
                artifacts=artifacts,
            )
    except KeyboardInterrupt:
        err.print(f"stopped. Nothing finished is lost; the same command goes on in {folder}")
        raise typer.Exit(130) from None
    err.print(
        f"next: [bold]nas report {folder}[/]   [bold]nas export {folder} --out models[/]",
        soft_wrap=True,
        highlight=False,
    )


def _with_baselines(study: Study, names: list[str]) -> Study:
    """The study with further networks to evaluate first; its space holds them from then on."""
    from nas.networks.candidate import Candidate
    from search_spaces import with_networks

    if not names:
        return study
    found = {name: named_architecture(name) for name in names}
    networks = {one.label if name.endswith(".json") else name: one for name, one in found.items()}
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
            ]
        )
        return
    rows = [[study.name, str(study.trials), study.description] for study in STUDIES.values()]
    out.print(table("Studies", {"name": "left", "trials": "right", "what": "left"}, rows))
    out.print("\nA study of your own is a .py file with a value STUDY: nas search my_study.py")


def load_study(name: str) -> Study:
    """The study of that name, or the value STUDY of a user's own .py file.

    Raises ConfigError where there is none.
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
    study = _values(path).get("STUDY")
    if not isinstance(study, Study):
        raise ConfigError(f"{path} has no value STUDY of type nas.study.Study, but {study!r}")
    return study


def _values(path: Path) -> dict[str, Any]:
    """What a user's file defines; its classes are such that workers can import them, too.

    That needs a name which no other module has; where it has none, the file is run all the same.
    """
    name, folder = path.stem, str(path.parent.resolve())
    sys.path.append(folder)
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    try:
        if spec is None or Path(spec.origin or "").resolve() != path.resolve():
            sys.path.remove(folder)
            return runpy.run_path(str(path))
        return vars(importlib.import_module(name))
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"{path} can't be run: {type(error).__name__}: {error}") from error


def available_cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
