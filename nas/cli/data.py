"""`nas data` tells what is in a data set and what is wrong with it, and packs its patches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from nas.cli.console import counted, emit_json, out
from nas.cli.options import JsonOption
from nas.errors import DataError

if TYPE_CHECKING:
    from nas.data.check import Check

app = typer.Typer(
    add_completion=False,
    help="Look at and prepare blurred and sharp pictures.",
    no_args_is_help=True,
)

_SHOWN = 20  # problems; --json lists all

Spec = Annotated[
    str,
    typer.Argument(
        metavar="SPEC",
        help="photos, photos:random, reds:PATH, gopro:PATH,blur, gopro:PATH,blur_gamma or "
        "pairs:BLURRED_DIR,SHARP_DIR",
    ),
]


Patch = Annotated[
    int | None,
    typer.Option(
        min=8,
        help="The least side of a patch, in pixels (photos: 48; others: 256, or what fits the "
        "smallest training picture). A search asks for its schedule's.",
    ),
]


@app.command()
def check(
    spec: Spec,
    patch: Patch = None,
    full: Annotated[
        bool, typer.Option("--full", help="Decode every picture, however many there are.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Tell what is there and everything that is wrong with it.

    Exits with 0 where networks can be trained and scored on it, else with 3: the verdict of
    `nas data prepare` with the same --patch.
    """
    from nas.cli.progress import progress_bar
    from nas.data.check import check_dataset

    with progress_bar("pairs checked") as report:
        verdict = check_dataset(spec, full, report, patch)
    if json:
        emit_json("data-check", verdict.to_dict())
    else:
        _print(verdict)
    if not verdict.usable:
        raise typer.Exit(DataError.exit_code)


@app.command()
def prepare(
    spec: Spec,
    patch: Patch = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every byte of the pack again and compare.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Pack training patches into the cache (NAS_CACHE_DIR), or finish or open the pack.

    A search does so by itself; for large data sets it takes long, and can be stopped and started.
    """
    from nas.cli.progress import progress_bar
    from nas.data import open_dataset

    dataset = open_dataset(spec)
    with progress_bar("packed") as report:
        pack = dataset.prepare(patch or dataset.default_patch, report)
    if verify and (damaged := pack.verify()):
        raise DataError(
            f"{pack.folder}: {', '.join(damaged)} changed on the disk; delete the folder and "
            "prepare again"
        )
    if json:
        emit_json(
            "data-prepare",
            {
                "spec": spec,
                "folder": str(pack.folder),
                "patches": len(pack),
                "patch": pack.side,
                "bytes": pack.size_bytes,
                "identity": dataset.identity(),
            },
        )
    else:
        pairs = counted(len(pack), "pair")
        out.print(f"{pairs} of patches, {pack.side}x{pack.side}, {_size(pack.size_bytes)}, in")
        out.print(escape(str(pack.folder)), highlight=False)


def _print(dataset: Check) -> None:
    from nas.data.image_quality import PSNR_ID

    sizes = [f"{size} ({count})" for size, count in dataset.sizes.items()]
    more = f" and {len(sizes) - 6} other sizes" if len(sizes) > 6 else ""
    rows = {
        "task": dataset.task or "-",
        "training": f"{counted(dataset.training_pairs, 'pair')} in "
        f"{counted(dataset.training_clips, 'shard')}",
        "held out": f"{counted(dataset.heldout_pairs, 'pair')} ({dataset.split})",
        "sizes": ", ".join(sizes[:6]) + more or "-",
        "decoded": counted(dataset.decoded_pairs, "pair"),
    }
    if dataset.blurred_psnr_db is not None:
        pairs = counted(dataset.psnr_pairs, "held-out pair")
        mean = f"{dataset.blurred_psnr_db:.2f} dB, mean of {pairs}"
        rows["PSNR before"] = f"{mean} ({PSNR_ID})"
    if dataset.pack_bytes is not None:
        packed = f"{dataset.patches:,} patches of {dataset.patch}x{dataset.patch}"
        rows["packed"] = f"{packed}, {_size(dataset.pack_bytes)}"
    if dataset.passed_over:
        passed = [f"{kind} ({count})" for kind, count in dataset.passed_over.items()]
        rows["passed over"] = ", ".join(passed)
    for name, value in {"data": dataset.spec, **rows}.items():
        out.print(f"[bold]{name:12}[/]{escape(value)}", highlight=False)
    worst_first = sorted(dataset.problems, key=lambda problem: problem.severity)
    for problem in worst_first[:_SHOWN]:
        colour = "red" if problem.severity == "error" else "yellow"
        out.print(f"[{colour}]{problem.severity}[/] {escape(problem.what)}", highlight=False)
    if len(dataset.problems) > _SHOWN:
        out.print(f"and {len(dataset.problems) - _SHOWN} more: --json lists all")
    out.print("[green]usable[/]" if dataset.usable else "[red]not usable[/]")


def _size(count: int) -> str:
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count / 1e3:.1f} kB"
