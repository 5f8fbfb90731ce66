"""Makes what an exported model needs to be shipped: its title, crops, layer counts, results."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from nas.devices.measurement import Placement
from nas.devices.names import DeviceName
from nas.devices.placement import is_cpu
from nas.report.crops import CropComparison
from nas.report.numbers import short_number
from nas.study.trial_result import TrialResult

FAMILIES = {"unet": "U-Net", "edsr": "EDSR", "rdn": "RDN", "dbpn": "DBPN", "fpn": "FPN"}
PRECISIONS = {
    "float": "32-bit float",
    "int8-ptq": "8-bit",
    "int8-qat": "8-bit",
    "int16-ptq": "16-bit",
}
DATASETS = {"reds": "REDS", "gopro": "GoPro", "hide": "HIDE", "realblur": "RealBlur"}
"""The names of public data sets, by how their specs begin."""
GAP = 6  # pixels between the pictures of a row of crops
NPU_NAMES = ("npu", "dsp", "edgetpu", "hta", "apu", "neuron", "neuropilot")
Unit = str


def readable_title(
    result: TrialResult, devices: Sequence[str], names: Mapping[str, DeviceName]
) -> str:
    """Return a model's title for people: "Deblurring U-Net, 8-bit, 17.2 ms on Pixel 8"."""
    candidate = result.candidate
    family = str(candidate.get("architecture", {}).get("family", "network"))
    compression = candidate.get("compression", {})
    precision = str(compression.get("precision", "float"))
    parts = [f"Deblurring {FAMILIES.get(family, family)}", PRECISIONS.get(precision, precision)]
    share = compression.get("pruned_share", 0.0)
    if share:
        parts.append(f"{100 * share:.3g} % pruned")
    for device in devices:
        latency = result.metrics.get(f"latency_ms[{device}]")
        if latency is not None:
            name = names[device].name if device in names else device
            parts.append(f"{short_number(latency.value)} ms on {name}")
            break
    return ", ".join(parts)


def compute_unit(accelerator: str | None) -> Unit:
    """Return the unit that an accelerator's name stands for: npu, gpu, cpu, or accelerator.

    A driver that does not say what it is counts as "accelerator", and "unknown" is what nothing
    tells of.
    """
    if accelerator is None:
        return "unknown"
    name = accelerator.lower()
    if is_cpu(accelerator) or name == "xnnpack":
        return "cpu"
    if "gpu" in name:
        return "gpu"
    return "npu" if any(word in name for word in NPU_NAMES) else "accelerator"


def layer_counts(placement: Iterable[Placement]) -> dict[str, int]:
    """Count operations in all and by the unit that ran them; empty where nothing is known."""
    counts = Counter(compute_unit(row.accelerator) for row in placement)
    if not counts:
        return {}
    units = {unit: counts.pop(unit, 0) for unit in ("npu", "gpu", "cpu")}
    return {"total": sum(units.values()) + sum(counts.values()), **units, **counts}


def primary_unit(counts: Mapping[str, int]) -> str:
    """Return the unit that ran most of the operations."""
    return max((unit for unit in counts if unit != "total"), key=lambda unit: counts[unit])


def datasets(study: Mapping[str, Any]) -> list[str]:
    """Return the names of the public data sets that a study trained on."""
    kind = str(study["data"]["spec"]).partition(":")[0].lower()
    return [DATASETS[kind]] if kind in DATASETS else []


def eval_results(study: Mapping[str, Any], result: TrialResult, created: str) -> str:
    """Return the text of `.eval_results/restoration.yaml`, as the Hugging Face Hub reads it.

    A result names a data set; one of the user's own pictures is named by the kind of its folder.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml
    from huggingface_hub.utils import yaml_dump

    data = study["data"]
    named = [*datasets(study), str(data["spec"]).partition(":")[0]]
    entries = [
        EvalResultEntry(
            dataset_id=named[0],
            task_id=f"{data['split']}-{name.removesuffix('_db')}",
            value=round(result.value(name), 6),
            date=created[:10] or None,
            notes=", ".join(
                filter(None, (result.metrics[name].definition, result.metrics[name].conditions))
            ),
        )
        for name in ("psnr_db", "ssim")
        if name in result.metrics
    ]
    return str(yaml_dump(eval_result_entries_to_yaml(entries)))


def crops_picture(comparisons: Sequence[CropComparison]) -> bytes:
    """Return a PNG: a row for each crop, blurred, restored and sharp side by side."""
    from PIL import Image

    rows = []
    width = max(3 * one.sharp.shape[1] for one in comparisons) + 2 * GAP
    for one in comparisons:
        images = (one.blurred, one.restored[0].crop, one.sharp)
        row = np.full((one.sharp.shape[0] + GAP, width, 3), 255, np.uint8)
        left = 0
        for image in images:
            row[: image.shape[0], left : left + image.shape[1]] = image
            left += image.shape[1] + GAP
        rows.append(row)
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(rows)[:-GAP]).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
