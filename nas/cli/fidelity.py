"""`nas fidelity` compares a device's pictures with those of the network as it was trained."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, final

import typer

from nas.cli import complete
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
from nas.errors import ConfigError, RunError

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
    list[str] | None,
    typer.Option(
        help="host, adb:SERIAL, gpu, gpu:fp32 or npu:CHIP; repeatable.",
        show_default="host",
        autocompletion=complete.devices,
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        help="photos | reds:PATH | gopro:PATH,blur | pairs:B,S",
        show_default="the folder's",
        autocompletion=complete.data_sets,
    ),
]
ReferenceOption = Annotated[
    Path | None,
    typer.Option(
        help="A .tflite to compare with, run on this machine.", show_default="the Keras model"
    ),
]
PicturesOption = Annotated[
    int | None, typer.Option(min=1, help="The first N held-out pictures.", show_default="all")
]
CropOption = Annotated[
    str | None,
    typer.Option(
        metavar="WxH",
        help="Size of the pictures to compute.",
        show_default="the model's; 128x128 on npu:CHIP",
    ),
]
PictureSecondsOption = Annotated[float, typer.Option(min=1, help="Seconds a picture may take.")]


def fidelity(
    model: ModelArgument,
    device: DeviceOption = None,
    data: DataOption = None,
    reference: ReferenceOption = None,
    pictures: PicturesOption = None,
    size: SizeOption = None,
    crop: CropOption = None,
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
    from nas.cli.options import parse_size
    from nas.devices.output_devices import open_output_device
    from nas.tflite.size import at_given_size

    specs = phone_specs(
        device, delegate, protocol, benchmark_binary, precision, strict, npu_libraries
    )
    for spec in specs:
        open_output_device(spec).check_outputs()
    folder = _model_folder(model)
    dataset = _dataset(folder, data)
    pixels = parse_size(size) if size else None
    with ExitStack() as files:
        artifact = files.enter_context(at_given_size(folder.artifact if folder else model, pixels))
        if reference is not None:
            reference = files.enter_context(at_given_size(reference, pixels))
        compared = _Comparison(folder, artifact, reference, dataset, pictures, threads, timeout)
        results = [compared.on(spec, parse_size(crop) if crop else None) for spec in specs]
    if json_:
        emit_json("fidelity", [result.to_dict() for result in results])
    else:
        _show(results)


@final
@dataclass(frozen=True)
class _Comparison:
    """A file and what its outputs are compared with; `pictures` None means all held-out ones."""

    folder: _ModelFolder | None
    artifact: Path
    reference: Path | None
    dataset: Dataset
    pictures: int | None
    threads: int
    timeout_seconds: float

    def on(self, spec: str, crop: tuple[int, int] | None) -> Fidelity:
        """Compare on one device, on pictures of the size `crop` or what the device can."""
        from nas.devices.output_devices import open_output_device
        from nas.tflite.file import read_tflite
        from nas.tflite.size import at_other_size

        own = read_tflite(self.artifact).size
        size = crop or (own and open_output_device(spec).crop(own))
        with ExitStack() as files:
            artifact, reference = self.artifact, self.reference
            if size is not None and size != own:
                artifact = files.enter_context(at_other_size(artifact, size))
                if reference is not None and read_tflite(reference).size == own:
                    reference = files.enter_context(at_other_size(reference, size))
            result = self._compared(spec, artifact, reference)
        result.conditions["data"] = self.dataset.split
        return result

    def _compared(self, spec: str, artifact: Path, reference: Path | None) -> Fidelity:
        from nas.devices.fidelity import measure_fidelity
        from nas.devices.output_devices import open_output_device

        expected = _reference(self.folder, artifact, reference, self.threads)
        err.print(f"{self.artifact} on {spec}, against {expected.name} ...", highlight=False)
        pairs = list(islice(self.dataset.heldout(), self.pictures))
        seconds = open_output_device(spec).seconds_a_picture(artifact)
        return measure_fidelity(
            artifact,
            spec,
            pairs,
            expected,
            self.threads,
            self.timeout_seconds,
            _reporter(spec, len(pairs), seconds),
        )


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


def _reporter(spec: str, count: int, seconds: float | None) -> Callable[[int], None] | None:
    """Tell how far a comparison is: on a terminal always, elsewhere where it takes long.

    `seconds` is what a picture is expected to take, None where that is soon.
    """
    from nas.report.numbers import duration

    if seconds is not None:
        err.print(
            f"{spec}: about {duration(seconds)} a picture, {duration(count * seconds)} in all; "
            "Ctrl-C stops at any moment, --pictures and --crop make it shorter",
            highlight=False,
        )
    elif not err.is_terminal:
        return None
    started = time.monotonic()

    def report(done: int) -> None:
        left = (time.monotonic() - started) / done * (count - done)
        rest = f", about {duration(left)} left" if seconds is not None and done < count else ""
        err.print(f"{spec}: {done} of {count} pictures{rest}", highlight=False)

    return report


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
