"""`nas paper` and `nas paper report`: the paper's search again, and its tables beside ours."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from nas.cli.console import err, note, out
from nas.cli.options import ArtifactsOption, DataOption, LimitOption, StorageOption
from nas.errors import unknown

if TYPE_CHECKING:
    from nas.execution.trial.task import OnLostPhone
    from nas.paper import PaperScale

app = typer.Typer(
    add_completion=False,
    help="The paper's manual search, step by step, and its tables and figures beside ours.",
    invoke_without_command=True,
    rich_markup_mode="rich",
)


FolderOption = Annotated[
    Path | None,
    typer.Option("--out", help="The run's folder.", show_default="runs/paper-SCALE, and -measured"),
]
ScaleOption = Annotated[
    str, typer.Option(help="smoke (minutes), short (a workstation's hours), paper (REDS).")
]
SelectOption = Annotated[
    str, typer.Option(help="Whose results decide what goes on: paper | measured.")
]
StepOption = Annotated[
    int | None, typer.Option(min=1, max=4, help="One step alone; those before must be there.")
]
DeviceOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Timed beside this host where they can be: adb:SERIAL, npu:CHIP, paper:PHONE."
    ),
]
KeepGoingOption = Annotated[
    bool,
    typer.Option(
        "--keep-going/--no-keep-going", help="Go on without a phone once it is set aside."
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(min=1, help="Processes; 1 stays in this one.", show_default="as many as fit"),
]


@app.callback()
def paper(
    context: typer.Context,
    out_: FolderOption = None,
    scale: ScaleOption = "smoke",
    select: SelectOption = "paper",
    step: StepOption = None,
    data: DataOption = None,
    device: DeviceOption = None,
    limit: LimitOption = None,
    keep_going: KeepGoingOption = True,
    workers: WorkersOption = None,
    storage: StorageOption = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """Run the paper's search again: six networks, up-sampling, pruning, quantization.

    The same --out goes on where it was stopped; Ctrl-C stops at any moment.
    """
    if context.invoked_subcommand is not None:
        return
    from nas.cli.live import watch
    from nas.cli.search import resumable, say_next
    from nas.paper.run import Select, run_name, run_steps, study_of

    if select not in get_args(Select):
        raise unknown("value of --select", select, get_args(Select))
    whose = cast("Select", select)
    lost: OnLostPhone = "continue" if keep_going else "stop"
    chosen = _scale(scale, data, tuple(device or ()))
    folder = out_ or Path("runs") / run_name(scale, select)
    processes = workers or _processes(chosen)
    with resumable(folder), watch(study_of(chosen, whose), folder) as watcher:
        run_steps(chosen, folder, whose, step, processes, watcher, lost, storage, artifacts)
    say_next("paper report", folder)


def _processes(scale: PaperScale) -> int:
    """Return how many trials fit on this machine's cores and into its memory, at most 4."""
    from nas.cli.search import available_cores
    from nas.paper.memory_needs import workers_that_fit

    threads = scale.study.schedule.threads
    return workers_that_fit(scale, max(1, min(4, available_cores() // threads)))


@app.command()
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder of `nas paper`.")],
    measure: Annotated[
        bool,
        typer.Option(
            "--measure/--no-measure",
            help="Take what Table 5 and Figure 4 need of this run's devices.",
        ),
    ] = True,
) -> None:
    """Write RUN/paper: the paper's tables and figures beside ours, one page and CSV files."""
    from nas.paper.page import write_comparison
    from nas.storage.run_folder import RunFolder
    from nas.training.tensorflow import quiet_tensorflow
    from search_spaces import ARCHITECTURES, architecture_from_dict
    from studies.paper import SCALES

    quiet_tensorflow()
    with err.status("putting the paper beside the run"):
        written = write_comparison(
            RunFolder(run), SCALES, ARCHITECTURES, architecture_from_dict, measure, _compiling
        )
    out.print(str(written.html), highlight=False)
    note(f"CSV beside it: {', '.join(path.name for path in written.csvs)}")


def _compiling(what: str) -> None:
    err.print(f"compiling {what} ...", highlight=False, markup=False)


def _scale(name: str, data: str | None, devices: tuple[str, ...]) -> PaperScale:
    """Return the scale of that name, with the data and the further devices that are given."""
    from studies.paper import SCALES

    if name not in SCALES:
        raise unknown("scale", name, SCALES)
    scale = SCALES[name]
    others = tuple(dict.fromkeys(spec for spec in devices if spec not in scale.study.devices))
    study = dataclasses.replace(scale.study, data=data or scale.study.data, optional_devices=others)
    return dataclasses.replace(scale, study=study)
