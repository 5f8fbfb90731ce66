"""`nas fidelity` compares a device's pictures with those of the network as it was trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, final

import typer

from nas.cli.console import emit_json, err, out, print_table, table
from nas.cli.devices import phone_specs
from nas.cli.options import (
    BinaryOption,
    DelegateOption,
    JsonOption,
    LibrariesOption,
    PrecisionOption,
    ProtocolOption,
    SizeOption,
    StrictOption,
    ThreadsOption,
)
from nas.errors import ConfigError, DeviceError, RunError

if TYPE_CHECKING:
    from nas.data import Dataset
    from nas.devices.fidelity import Fidelity
    from nas.tflite.expected_output import ExpectedOutput


ModelArgument = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="A model's folder as `nas export` or `nas compress` writes it, or a .tflite file.",
    ),
]
DeviceOption = Annotated[
    list[str] | None, typer.Option(help="host or adb:SERIAL; repeat for several. [host]")
]
DataOption = Annotated[
    str | None,
    typer.Option(help="photos | reds:PATH | gopro:PATH,blur | pairs:B,S [the folder's]"),
]
ReferenceOption = Annotated[
    Path | None,
    typer.Option(help="A .tflite to compare with, run on this machine. [the Keras model]"),
]
PicturesOption = Annotated[
    int | None, typer.Option(min=1, help="The first N held-out pictures. [all]")
]
PictureSecondsOption = Annotated[float, typer.Option(min=1, help="Seconds a picture may take.")]


def fidelity(
    model: ModelArgument,
    device: DeviceOption = None,
    data: DataOption = None,
    reference: ReferenceOption = None,
    pictures: PicturesOption = None,
    size: SizeOption = None,
    threads: ThreadsOption = 4,
    timeout: PictureSecondsOption = 300.0,
    delegate: DelegateOption = None,
    protocol: ProtocolOption = None,
    benchmark_binary: BinaryOption = None,
    precision: PrecisionOption = None,
    strict: StrictOption = False,
    npu_libraries: LibrariesOption = None,
    json_: JsonOption = False,
) -> None:
    """Compare a device's outputs with the model's: PSNR with its deviation, per-pixel L2 error."""
    from nas.cli.inspect import parse_size
    from nas.devices.fidelity import check_outputs_of
    from nas.tflite.size import at_given_size

    specs = phone_specs(
        device, delegate, protocol, benchmark_binary, precision, strict, npu_libraries
    )
    for spec in specs:
        check_outputs_of(spec)
    folder = _model_folder(model)
    dataset = _dataset(folder, data)
    pixels = parse_size(size) if size else None
    with ExitStack() as files:
        original = folder.artifact if folder else model
        artifact = files.enter_context(at_given_size(original, pixels))
        if reference is not None:
            reference = files.enter_context(at_given_size(reference, pixels))
        expected = _reference(folder, artifact, reference, threads)
        err.print(f"{artifact} on {', '.join(specs)}, against {expected.name} ...", highlight=False)
        comparison = _Comparison(artifact, expected, dataset, pictures, threads, timeout)
        results = [comparison.on(spec, json_) for spec in specs]
    if json_:
        documents = [result.to_dict() for result in results]
        emit_json(documents[0] if len(documents) == 1 else documents)
    else:
        _show(results)


@final
@dataclass(frozen=True)
class _Comparison:
    """A file and what its outputs are compared with; `pictures` None means all held-out ones."""

    artifact: Path
    expected: ExpectedOutput
    dataset: Dataset
    pictures: int | None
    threads: int
    timeout_seconds: float

    def on(self, spec: str, as_json: bool) -> Fidelity:
        """Compare on one device; where that fails, print the failure as JSON and raise it."""
        from nas.devices.fidelity import measure_fidelity

        report = _reporter(spec) if err.is_terminal else None
        pairs = islice(self.dataset.heldout(), self.pictures)
        try:
            result = measure_fidelity(
                self.artifact,
                spec,
                pairs,
                self.expected,
                self.threads,
                self.timeout_seconds,
                report,
            )
        except DeviceError as error:
            if as_json:
                emit_json(_failed(spec, error))
            raise
        result.conditions["data"] = self.dataset.split
        return result


@final
@dataclass(frozen=True)
class _ModelFolder:
    """An exported model: its .tflite file, its weights, and the document of its card.json."""

    artifact: Path
    weights: Path
    card: dict[str, Any]


def _model_folder(model: Path) -> _ModelFolder | None:
    """Open the named folder; None for a file, ConfigError for a folder without a model."""
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
    """Open the pictures that were given, or those that the model was scored on."""
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


def _reporter(spec: str) -> Callable[[int], None]:
    return lambda count: err.print(f"{spec}: {count} pictures", highlight=False)


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
    for result in results:
        share = result.conditions.get("accelerated_mac_share")
        rows.append(
            [
                result.device,
                _figure(result.psnr_db, result.psnr_db_std),
                f"{result.l2_error:.3g}",
                f"{result.largest_error:.3g}",
                f"{result.equal_pictures} of {len(result.pictures)}",
                _figure(result.reference_db),
                _figure(result.device_db),
                f"{share:.0%}" if share is not None else "",
                result.source,
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
