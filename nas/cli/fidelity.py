"""`nas fidelity`: what a device makes of pictures, against the network as it was trained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.console import emit_json, err, out, table
from nas.cli.devices import phone_specs, print_table
from nas.cli.options import BinaryOption, DelegateOption, JsonOption, ProtocolOption, SizeOption
from nas.errors import ConfigError, DeviceError, RunError

if TYPE_CHECKING:
    from nas.data import Dataset, Pair
    from nas.devices.fidelity import Fidelity
    from nas.tflite.expected_output import ExpectedOutput


def fidelity(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A model's folder as `nas export` or `nas compress` writes it, or a .tflite file.",
        ),
    ],
    device: Annotated[
        list[str] | None, typer.Option(help="host or adb:SERIAL; repeat for several. [host]")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="photos | reds:PATH | gopro:PATH,blur | pairs:B,S [the folder's]"),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="A .tflite to compare with, run on this machine. [the Keras model]"),
    ] = None,
    pictures: Annotated[
        int | None, typer.Option(min=1, help="The first N held-out pictures. [all]")
    ] = None,
    size: SizeOption = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the interpreter.")] = 4,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds a picture may take.")] = 300.0,
    delegate: DelegateOption = None,
    protocol: ProtocolOption = None,
    benchmark_binary: BinaryOption = None,
    json_: JsonOption = False,
) -> None:
    """Compare a device's outputs with the model's: PSNR with its deviation, per-pixel L2 error."""
    from nas.cli.inspect import parse_size
    from nas.devices.fidelity import check_outputs_of, measure_fidelity
    from nas.tflite.size import at_given_size

    specs = phone_specs(device, delegate, protocol, benchmark_binary)
    for spec in specs:
        check_outputs_of(spec)
    folder = _model_folder(model)
    artifact = folder.artifact if folder else model
    dataset = _dataset(folder, data)
    pixels = parse_size(size) if size else None
    results: list[Fidelity] = []
    with ExitStack() as files:
        artifact = files.enter_context(at_given_size(artifact, pixels))
        if reference is not None:
            reference = files.enter_context(at_given_size(reference, pixels))
        compared = _reference(folder, artifact, reference, threads)
        err.print(f"{artifact} on {', '.join(specs)}, against {compared.name} ...", highlight=False)
        for spec in specs:
            told = _told(spec) if err.is_terminal else None
            try:
                found = measure_fidelity(
                    artifact, spec, _pairs(dataset, pictures), compared, threads, timeout, told
                )
            except DeviceError as error:
                if json_:
                    emit_json(_failed(spec, error))
                raise
            found.conditions["data"] = dataset.split
            results.append(found)
    if json_:
        documents = [result.to_dict() for result in results]
        emit_json(documents[0] if len(documents) == 1 else documents)
        return
    _show(results)


@dataclass(frozen=True)
class _ModelFolder:
    """A model with its card."""

    artifact: Path
    weights: Path
    card: dict[str, Any]


def _model_folder(model: Path) -> _ModelFolder | None:
    """The folder that was named, or None for a file; ConfigError where it is no model's."""
    if not model.is_dir():
        return None
    try:
        card = json.loads((model / "card.json").read_text())
        card["candidate"]["compression"]["precision"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{model} holds no model of `nas export` or `nas compress` ({error!r} in its "
            "card.json); give such a folder or a .tflite file"
        ) from error
    folder = _ModelFolder(model / "model.tflite", model / "model.weights.h5", card)
    for path in (folder.artifact, folder.weights):
        if not path.is_file():
            raise RunError(f"{path} is missing; export the model again")
    return folder


def _reference(
    folder: _ModelFolder | None, artifact: Path, given: Path | None, threads: int
) -> ExpectedOutput:
    from nas.compression.keras_reference import keras_reference
    from nas.tflite.expected_output import file_output
    from search_spaces import architecture_from_dict

    if given is not None or folder is None:
        return file_output(given or artifact, artifact, threads)
    candidate = folder.card["candidate"]
    network = folder.card.get("conditions", {}).get("network") or candidate["architecture"]
    precision = candidate["compression"]["precision"]
    return keras_reference(architecture_from_dict(network).graph(), folder.weights, precision)


def _dataset(folder: _ModelFolder | None, given: str | None) -> Dataset:
    """The pictures that were asked for, or those that the model was scored on."""
    from nas.data import open_dataset

    if given is not None:
        return open_dataset(given)
    conditions = folder.card.get("conditions", {}) if folder else {}
    spec = str(conditions.get("data", ""))
    if not spec.startswith("photos"):  # the paths of others are another machine's
        raise ConfigError(
            "which pictures? Give --data photos, reds:PATH, gopro:PATH,blur or pairs:BLURRED,SHARP"
        )
    return open_dataset(spec)


def _pairs(dataset: Dataset, count: int | None) -> Iterator[Pair]:
    return islice(dataset.heldout(), count)


def _told(spec: str) -> Any:
    return lambda done: err.print(f"{spec}: {done} pictures", highlight=False)


def _failed(device: str, error: DeviceError) -> dict[str, Any]:
    failure = getattr(error, "failure", None)
    return {
        "device": device,
        "psnr_db": None,
        "l2_error": None,
        "failure": failure.to_dict() if failure is not None else None,
        "message": str(error),
    }


def _show(results: list[Fidelity]) -> None:
    columns = {"device": "left", "PSNR dB": "right", "L2 error": "right", "largest": "right"}
    columns |= {"equal": "right", "model dB": "right", "device dB": "right"}
    columns |= {"accelerated": "right", "source": "left"}
    rows = []
    for found in results:
        share = found.conditions.get("accelerated_mac_share")
        rows.append(
            [
                found.device,
                _figure(found.psnr_db, found.psnr_db_std),
                f"{found.l2_error:.3g}",
                f"{found.largest_error:.3g}",
                f"{found.equal_pictures} of {len(found.pictures)}",
                _figure(found.reference_db),
                _figure(found.device_db),
                f"{share:.0%}" if share is not None else "",
                found.source,
            ]
        )
    print_table(table("", columns, rows))
    about = results[0].conditions
    out.print(
        f"\nagainst {results[0].reference}; {about['data']}, {about['pictures']} pictures, "
        f"{about['fitting']}. Values from 0 to 1, clipped, not rounded; ±: standard deviation over "
        "pictures.\nmodel dB, device dB: both against the sharp pictures.",
        highlight=False,
    )


def _figure(value: float | None, deviation: float | None = None) -> str:
    if value is None:
        return "equal"
    return f"{value:.2f}" + (f" ± {deviation:.2f}" if deviation is not None else "")
