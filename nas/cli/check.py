"""`nas check` times exported models again and compares them with a baseline, for CI."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli import complete
from nas.cli.console import emit_json, err, note, out
from nas.cli.options import (
    BinaryOption,
    DelegateOption,
    JsonOption,
    LimitOption,
    ProtocolOption,
)
from nas.errors import BusyMachineError, ConfigError, SlowerError

if TYPE_CHECKING:
    from nas.devices import Measurement
    from nas.devices.measurement import TimingProtocol
    from nas.devices.speed_baseline import SpeedBaseline


def check(
    models: Annotated[
        list[Path],
        typer.Argument(metavar="MODELS", help="Folders of `nas export`, or .tflite files."),
    ],
    baseline: Annotated[Path, typer.Option(help="A JSON file of latencies that --write wrote.")],
    device: Annotated[
        str, typer.Option(help="The device that runs them.", autocompletion=complete.devices)
    ] = "host",
    write: Annotated[
        bool, typer.Option("--write", help="Keep the new latencies as the baseline.")
    ] = False,
    tolerance: Annotated[
        float, typer.Option(min=0, max=1, help="How much slower is no failure: 0.05 is 5 %.")
    ] = 0.05,
    launches: Annotated[
        int | None,
        typer.Option(min=1, help="Fresh processes.", show_default="the baseline's, or 5"),
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Timed inferences a launch.", show_default="the baseline's, or 10"
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="Threads of the interpreter.", show_default="the baseline's, or 2"
        ),
    ] = None,
    delegate: DelegateOption = None,
    protocol: ProtocolOption = None,
    benchmark_binary: BinaryOption = None,
    limit: LimitOption = None,
    json_: JsonOption = False,
) -> None:
    """Time exported models again, and fail where one is slower than its baseline.

    Slower is a model whose whole interval lies above the baseline's, by more than the tolerance.
    Exits with 9 then, and with 8 where others had the machine meanwhile.
    """
    from nas.cli.devices import phone_spec
    from nas.devices.speed_baseline import models_in

    spec = phone_spec(device, delegate, protocol, benchmark_binary)
    files = models_in(models)
    kept, timing = _kept(
        baseline, spec, write, {"launches": launches, "runs": runs, "threads": threads}
    )
    measured = {}
    for name, file in files.items():
        err.print(f"measuring {name} on {spec} ...", highlight=False, markup=False)
        measured[name] = _measure(spec, file, timing)
    document = _document(spec, baseline, kept, files, measured, tolerance)
    if write:
        _write(baseline, spec, timing, kept, files, measured)
        document["written"] = True
    _show(document, json_)
    _judge(document, write)


def _kept(
    path: Path, device: str, write: bool, given: dict[str, int | None]
) -> tuple[SpeedBaseline, TimingProtocol]:
    """Return the baseline, an empty one where it is to be written, and the protocol to time by.

    Raises ConfigError where there is no baseline, and where it is another device's.
    """
    from nas.devices.measurement import TimingProtocol
    from nas.devices.speed_baseline import SpeedBaseline

    changes = {name: value for name, value in given.items() if value is not None}
    if not path.exists():
        if not write:
            raise ConfigError(f"{path} is no file: there is no baseline yet; keep one with --write")
        timing = replace(TimingProtocol(runs=10), **changes)
        return SpeedBaseline(device, timing, {}), timing
    kept = SpeedBaseline.read(path)
    if kept.device != device:
        raise ConfigError(f"{path} is the baseline of {kept.device}, not of {device}")
    timing = replace(kept.protocol, **changes)
    if timing.threads != kept.protocol.threads and not write:
        raise ConfigError(
            f"{path} was timed with {kept.protocol.threads} threads, not {timing.threads}"
        )
    return kept, timing


def _measure(device: str, file: Path, timing: TimingProtocol) -> Measurement:
    from nas.devices import open_device

    return open_device(device).measure(file, timing)


def _document(
    device: str,
    baseline: Path,
    kept: SpeedBaseline,
    files: dict[str, Path],
    measured: dict[str, Measurement],
    tolerance: float,
) -> dict[str, Any]:
    """Return the comparison as `CheckedDocument` has it."""
    from nas.devices.names import device_name
    from nas.devices.speed_baseline import KeptLatency, as_document
    from nas.system.hashing import file_sha256

    rows = []
    for name, found in measured.items():
        now = KeptLatency.of(found, file_sha256(files[name]))
        rows.append(as_document(name, now, kept.models.get(name), tolerance, found.disturbed))
    first = next(iter(measured.values()))
    return {
        "device": device,
        "device_name": device_name(device, first.conditions).full,
        "baseline": str(baseline),
        "passed": all(row["verdict"] != "slower" for row in rows),
        "written": False,
        "models": rows,
        "missing": [name for name in kept.models if name not in measured],
    }


def _write(
    path: Path,
    device: str,
    timing: TimingProtocol,
    kept: SpeedBaseline,
    files: dict[str, Path],
    measured: dict[str, Measurement],
) -> None:
    """Keep the new latencies, and those of models that were not measured now."""
    from nas.devices.speed_baseline import KeptLatency, SpeedBaseline
    from nas.system.hashing import file_sha256

    new = {name: KeptLatency.of(m, file_sha256(files[name])) for name, m in measured.items()}
    SpeedBaseline(device, timing, {**kept.models, **new}).write(path)


def _show(document: dict[str, Any], json_: bool) -> None:
    if json_:
        emit_json("check", document)
        return
    marks = {"slower": "[red]slower[/]", "faster": "[green]faster[/]", "same": "same", "new": "new"}
    for row in document["models"]:
        low, high = row["interval_ms"]
        said = row["said"].replace("[", r"\[")
        text = f"{marks[row['verdict']]}  {said} ({row['source']}, {low:.4g} to {high:.4g})"
        out.print(text, highlight=False, soft_wrap=not out.is_terminal)
    if document["missing"]:
        note(f"in the baseline, but not measured: {', '.join(document['missing'])}")
    if document["written"]:
        note(f"kept in {document['baseline']}")


def _judge(document: dict[str, Any], write: bool) -> None:
    """Raise where a model is slower: BusyMachineError where others had the machine meanwhile."""
    slower = [row for row in document["models"] if row["verdict"] == "slower"]
    if write or not slower:
        return
    disturbed = [row for row in slower if row["disturbed"]]
    if disturbed:
        raise BusyMachineError(
            f"no verdict on {', '.join(row['model'] for row in disturbed)}: slower, but others had "
            f"the machine ({disturbed[0]['disturbed']}); check again on a quiet one"
        )
    said = "; ".join(row["said"] for row in slower)
    raise SlowerError(f"slower on {document['device_name']} than {document['baseline']}: {said}")
