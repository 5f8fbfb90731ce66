"""Makes Table 5 again: what devices make of pictures, against the network as TensorFlow runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, final

from nas.data import Pair
from nas.devices.paper_phones.published import OutputError, output_errors
from nas.errors import NasError, RunError
from nas.networks.candidate import Architecture
from nas.paper.compare import Comparison, RowKey
from nas.report.crops import heldout_pairs
from nas.storage.object_store import fetched
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult
from nas.system.files import read_json, write_json
from nas.system.hashing import content_key, file_sha256

PICTURES = 8  # of the held-out ones; the paper's 300 would take hours in TensorFlow
ReadArchitecture = Callable[[dict[str, Any]], Architecture]


@final
@dataclass(frozen=True)
class OwnOutput:
    """A device of ours at one data type; figures are those of `nas.devices.fidelity.Fidelity`.

    `psnr_db` is None where all outputs are equal, `l2_error` where `failure` tells why.
    """

    device: str
    psnr_db: float | None
    deviation_db: float | None
    l2_error: float | None
    pictures: int
    source: str
    about: str
    failure: str | None = None


@final
@dataclass(frozen=True)
class OutputRow:
    """A row of Table 5: the published cells by phone, and ours by device.

    `trial` is the one that ours are of, None where it has no files yet; `network_psnr_db` is
    published.
    """

    data_type: str
    published: Mapping[str, OutputError]
    network_psnr_db: float
    trial: TrialResult | None
    here: tuple[OwnOutput, ...]


def output_rows(
    comparison: Comparison, run: RunFolder, read: ReadArchitecture, measure: bool = True
) -> tuple[OutputRow, ...]:
    """Return Table 5; with `measure`, what is not kept yet is taken on the run's own devices.

    `read` makes an architecture of its JSON. A device that gives no outputs, or fails, has its
    reason in its cell. Raises RunError where the run's folder can't be written.
    """
    rows = []
    for data_type, key in _candidates(comparison).items():
        published = {
            output.phone: output for output in output_errors() if output.data_type == data_type
        }
        trial = comparison.trials.get(key)
        usable = trial if trial is not None and trial.artifact and trial.weights else None
        here = [
            _here(run, usable, device, read, measure)
            for device in comparison.devices
            if usable is not None and not device.startswith("paper:")
        ]
        network = next(iter(published.values())).network_psnr_db
        outputs = tuple(output for output in here if output is not None)
        rows.append(OutputRow(data_type, published, network, usable, outputs))
    return tuple(rows)


def _candidates(comparison: Comparison) -> dict[str, RowKey]:
    """Return each data type's trial: float is the ReLU network's, integers the chosen one's."""
    chosen = comparison.compressed or ""
    return {
        "float": ("unet-resizebilinear-relu", "float", None),
        "16-bit": (chosen, "int16-ptq", None),
        "8-bit": (chosen, "int8-qat", None),
    }


def _here(
    run: RunFolder, trial: TrialResult | None, device: str, read: ReadArchitecture, measure: bool
) -> OwnOutput | None:
    if trial is None or trial.artifact is None:
        return None
    artifact = fetched(run, trial.number, trial.artifact)
    if not artifact.is_file():
        raise RunError(f"{artifact} is missing; remove its folder and start `nas paper` again")
    key = content_key([file_sha256(artifact), device, PICTURES])
    path = run.path / "paper" / "outputs" / f"{key}.json"
    if path.exists():
        return OwnOutput(**read_json(path))
    if not measure:
        return None
    try:
        output = _measure(run, trial, artifact, device, read)
    except RunError:
        raise
    except NasError as error:
        return OwnOutput(device, None, None, None, 0, "measured", trial.label, str(error))
    write_json(path, vars(output))
    return output


def _measure(
    run: RunFolder, trial: TrialResult, artifact: Path, device: str, read: ReadArchitecture
) -> OwnOutput:
    from nas.compression.keras_reference import keras_reference
    from nas.devices.fidelity import measure_fidelity
    from nas.devices.output_devices import open_output_device
    from nas.tflite.file import read_tflite
    from nas.tflite.size import at_other_size

    network = trial.conditions.get("network") or trial.candidate["architecture"]
    precision = trial.candidate["compression"]["precision"]
    weights = fetched(run, trial.number, str(trial.weights))
    reference = keras_reference(read(network).graph(), weights, precision)
    own = read_tflite(artifact).size or (0, 0)
    with at_other_size(artifact, open_output_device(device).crop(own)) as path:
        fidelity = measure_fidelity(path, device, _pairs(run), reference)
    about = f"{trial.label}, against {fidelity.reference}; {fidelity.conditions['fitting']}"
    return OwnOutput(
        device, fidelity.psnr_db, fidelity.psnr_db_std, fidelity.l2_error, len(fidelity.pictures),
        fidelity.source, about,
    )  # fmt: skip


def _pairs(run: RunFolder) -> Sequence[Pair]:
    return list(islice(heldout_pairs(run.description()["study"]), PICTURES))
