"""Writes a model's texts for people and for hubs: model card, `perf.yaml` and `numerics.yaml`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from nas.data.degradations import degraded_word
from nas.devices.measurement import Placement
from nas.devices.names import DeviceName
from nas.report.busy import source_said
from nas.report.ship_kit import datasets, layer_counts, primary_unit, readable_title
from nas.report.titles import UNITS
from nas.study.metric import Metric
from nas.study.trial_result import TrialResult

USAGE = """\
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps

MARGIN = 32  # pixels at a tile's inner edge that are thrown away: a seam can't be seen then

model = Interpreter(sys.argv[1], num_threads=4)
model.allocate_tensors()
source, target = model.get_input_details()[0], model.get_output_details()[0]
tall, wide = map(int, source["shape"][1:3])


def restored(tile):
    scale, zero = source["quantization"]
    if scale:
        limits = np.iinfo(source["dtype"])
        tile = np.clip(np.rint(tile / np.float32(scale)) + zero, limits.min, limits.max)
    model.set_tensor(source["index"], tile[None].astype(source["dtype"]))
    model.invoke()
    result = model.get_tensor(target["index"])[0].astype(np.float32)
    scale, zero = target["quantization"]
    return (result - zero) * scale if scale else result


def spans(length, tile):  # where tiles start, and the part (from, to) that each gives
    if length <= tile:
        return [(0, 0, length)]
    step = tile - 2 * min(MARGIN, tile // 4)
    step -= step % 16 if step > 16 else 0  # poolings halve the same pixels in every tile
    starts = [min(start, length - tile) for start in range(0, length - tile + step, step)]
    cuts = [0, *((a + tile + b) // 2 for a, b in zip(starts, starts[1:])), length]
    return list(zip(starts, cuts, cuts[1:]))


photo = ImageOps.exif_transpose(Image.open(sys.argv[2]))
if photo.mode[0] in "IF":
    sys.exit(f"{sys.argv[2]} has more than 8 bits a channel: make it an 8-bit picture first")
picture = np.asarray(photo.convert("RGB"), np.float32) / np.float32(255)
height, width = picture.shape[:2]
below, right = max(0, tall - height), max(0, wide - width)  # a small photo's edges are mirrored
picture = np.pad(picture, ((0, below), (0, right), (0, 0)), "symmetric")
result = np.empty_like(picture)
for top, first, last in spans(picture.shape[0], tall):
    for left, begin, end in spans(picture.shape[1], wide):
        tile = restored(picture[top : top + tall, left : left + wide])
        part = tile[first - top : last - top, begin - left : end - left]
        result[first:last, begin:end] = part
eight_bit = np.uint8(np.rint(np.clip(result[:height, :width], 0, 1) * 255))
colours = photo.info.get("icc_profile") if photo.mode[:3] == "RGB" else None
Image.fromarray(eight_bit).save("restored.png", exif=photo.getexif(), icc_profile=colours)
"""
"""A program that restores a photo of any size, with LiteRT, NumPy and Pillow alone.

Every model card and docs/tutorials/ship.md have this very text. It cuts a photo as
`nas.tflite.tiling` does.
"""


CROPS, KOTLIN, CPP, USAGE_FILE = "crops.png", "Restorer.kt", "restore.cpp", "restore.py"
ALWAYS = ("model.tflite", "model.weights.h5", "card.json", "perf.yaml")
FILES = (
    ("model.tflite", "the artifact that every figure belongs to"),
    ("model.weights.h5", "its float weights (tf_keras), before any quantization"),
    ("card.json", "everything on this page for machines, with checksums"),
    ("perf.yaml", "speed by device; `numerics.yaml`: quality by runtime"),
    (USAGE_FILE, "the program above"),
    (KOTLIN, "a class for Android"),
    (CPP, "a program for TensorFlow Lite's C++ interface"),
    (CROPS, "the pictures above: as they come, restored, sharp"),
)
"""The files of an exported model, each with what it is."""
_CROPS = (
    f"![Held-out photographs: {{degraded}}, restored by this model, sharp]({CROPS})\n\n"
    "*Held-out photographs, never seen in training: {degraded}, restored, sharp. Pictures and "
    "crops were chosen by their detail alone.*"
)
_PROGRAMS = (
    f"In an app: [`{KOTLIN}`]({KOTLIN}) for Android and [`{CPP}`]({CPP}) for C++ have this model's "
    "size, types and scales in them."
)


def model_card(
    description: Mapping[str, Any],
    result: TrialResult,
    names: Mapping[str, DeviceName] | None = None,
    files: Collection[str] = (),
) -> str:
    """Return the text of a model's README.md, laid out as a card of the Hugging Face Hub.

    `description` is what run.json holds, `names` are people's names for the study's devices, and
    `files` are the names of the files beside it. The licence is left to whoever publishes the
    model: the front matter says "other".
    """
    study, names = description["study"], names or {}
    width, height = study["size"]
    degraded = degraded_word(study["data"]["spec"])
    sections = [
        f"---\n{_front_matter(study)}\n---",
        f"# {readable_title(result, study['devices'], names)}",
        *([_CROPS.format(degraded=degraded)] if CROPS in files else []),
        f"A {_kind(result)} that restores {degraded} photographs of {width}x{height} pixels on "
        f"phones and other small machines, found by an architecture search. It reaches "
        f"{_headline(result, names, degraded)}.",
        "## Model details",
        _details(description, result),
        "## Uses",
        "### Direct use\n\nPhotographs that are degraded as those were that it was trained on: "
        f"{study['data']['task']}.",
        "### Out-of-scope use\n\nAny other degradation, be it another blur, noise or compression, "
        "is restored badly or not at all. Restored detail is a guess: "
        "do not use it as evidence, nor for medical or forensic pictures.",
        "## How to get started with the model",
        "It needs `pip install ai-edge-litert numpy pillow` and nothing else. "
        "`python restore.py model.tflite photo.jpg` writes `restored.png`, of the photo's own size "
        f"and the right way up: the model takes {width}x{height}, so the photo goes through it in "
        f"tiles that overlap.\n\n```python\n{USAGE}```",
        *([_PROGRAMS] if KOTLIN in files else []),
        "## Training details",
        _training(study),
        "## Evaluation",
        _evaluation(study, result, names),
        "## Files",
        "\n".join(f"- `{name}`: {what}" for name, what in FILES if name in (*ALWAYS, *files)),
    ]
    return "\n\n".join(sections) + "\n"


def _task(study: Mapping[str, Any]) -> list[str]:
    """Return the hub's tag of the task; none where the pictures don't tell it."""
    tags = {
        "blurred": "deblurring",
        "noisy": "denoising",
        "compressed": "jpeg-artifact-removal",
        "dark": "low-light-enhancement",
    }
    word = degraded_word(study["data"]["spec"])
    return [tags[word]] if word in tags else []


def _front_matter(study: Mapping[str, Any]) -> str:
    """Return the YAML by which the Hugging Face Hub files a model."""
    from huggingface_hub import ModelCardData

    values = ModelCardData(
        license="other",
        license_name="to-be-chosen",
        library_name="litert",
        pipeline_tag="image-to-image",
        tags=["tflite", "litert", "image-restoration", *_task(study), "on-device", "portable-nas"],
        metrics=["psnr", "ssim"],
        datasets=datasets(study) or None,
    )
    return str(values.to_yaml()).strip()


def performance(
    description: Mapping[str, Any],
    result: TrialResult,
    names: Mapping[str, DeviceName] | None = None,
    placements: Mapping[str, Sequence[Placement]] | None = None,
) -> str:
    """Return the text of perf.yaml: what the model needs on each device.

    `placements` say by device where each operation ran, as far as that is known.
    """
    placements = placements or {}
    called = {device: _called(name) for device, name in (names or {}).items()}
    devices = {
        device: {
            **called.get(device, {}),
            "tflite": {
                "inference_time_milliseconds": latency.value,
                "inference_time_interval_milliseconds": _interval(latency),
                "source": latency.source,
                "definition": latency.definition,
                "conditions": latency.conditions,
                **({"taken_on_busy_processor": latency.disturbed} if latency.disturbed else {}),
                **_further(result, device),
                **_units(placements.get(device, ())),
            },
        }
        for device in description["study"]["devices"]
        if (latency := result.metrics.get(f"latency_ms[{device}]")) is not None
    }
    return _yaml(
        {
            "supported_devices": list(devices),
            "precisions": {
                _precision(result): {"components": {result.label: {"performance_metrics": devices}}}
            },
            "tool_versions": dict(description.get("conditions", {}).get("versions", {})),
        }
    )


def _units(placement: Sequence[Placement]) -> dict[str, Any]:
    counts = layer_counts(placement)
    if not counts:
        return {}
    return {"primary_compute_unit": primary_unit(counts).upper(), "layer_counts": counts}


def _called(name: DeviceName) -> dict[str, str]:
    values = name.to_dict()
    fields = {"name": "full_name", "chip": "processor", "android": "android"}
    fields["benchmark_tool_sha256"] = "tool_sha256"
    return {key: values[field] for key, field in fields.items() if field in values}


def numerics(description: Mapping[str, Any], result: TrialResult, rescored: float) -> str:
    """Return the text of numerics.yaml: the artifact's quality, as reported and as scored again."""
    named = ("psnr_db", "ssim", "psnr_db_input")
    metrics = {
        name: {
            "value": metric.value,
            "interval": _interval(metric),
            "definition": metric.definition,
            "conditions": metric.conditions,
            "source": metric.source,
        }
        for name in named
        if (metric := result.metrics.get(name)) is not None
    }
    if "psnr_db" in metrics:
        metrics["psnr_db"]["scored_again_at_export"] = rescored
    return _yaml(
        {
            "dataset": description["study"]["data"]["split"],
            "precision": _precision(result),
            "runtime": "LiteRT interpreter on the host",
            "metrics": metrics,
        }
    )


def _yaml(values: dict[str, Any]) -> str:
    from huggingface_hub.utils import yaml_dump

    return str(yaml_dump(values))


def _further(result: TrialResult, device: str) -> dict[str, float]:
    names = {"init_ms": "first_load_milliseconds", "peak_memory_mb": "estimated_peak_memory_mb"}
    return {
        field: result.value(f"{name}[{device}]")
        for name, field in names.items()
        if f"{name}[{device}]" in result.metrics
    }


def _interval(metric: Metric) -> list[float] | None:
    return list(metric.interval) if metric.interval else None


def _precision(result: TrialResult) -> str:
    return str(result.candidate.get("compression", {}).get("precision", "float"))


def _kind(result: TrialResult) -> str:
    family = str(result.candidate.get("architecture", {}).get("family", "network"))
    name = {"unet": "U-Net"}.get(family, family)
    words = {
        "float": "32-bit float",
        "int8-ptq": "fully quantized 8-bit",
        "int8-qat": "fully quantized 8-bit (quantization-aware)",
        "int16-ptq": "16-bit integer (8-bit weights)",
    }
    return f"{words.get(_precision(result), _precision(result))} {name}"


def _headline(result: TrialResult, names: Mapping[str, DeviceName], degraded: str) -> str:
    """Say the quality, the gain and the latencies in half a sentence."""
    text = f"{result.value('psnr_db'):.2f} dB"
    if "psnr_db_input" in result.metrics:
        gain = result.value("psnr_db") - result.value("psnr_db_input")
        text += f" ({gain:+.2f} dB over the {degraded} pictures)"
    timed = [
        f"{metric.value:.3g} ms on {_name(name, names)} ({metric.source}"
        + (", taken on a busy processor)" if metric.disturbed else ")")
        for name, metric in result.metrics.items()
        if name.startswith("latency_ms[")
    ]
    return text + (f" at {', '.join(timed)}" if timed else "")


def _name(metric: str, names: Mapping[str, DeviceName]) -> str:
    """Return the short name of the device that a metric names."""
    device = metric.partition("[")[2].removesuffix("]")
    return names[device].name if device in names else device


def _details(description: Mapping[str, Any], result: TrialResult) -> str:
    rows = [
        ("Architecture", f"`{result.label}`"),
        ("Key", f"`{result.key}`"),
        ("Precision", _precision(result)),
        ("Format", "LiteRT (`.tflite`), one picture in, one picture out, RGB from 0 to 1"),
        ("Found by", f"portable-nas {description.get('version', '')}, trial {result.number}"),
        ("Licence", "left to whoever publishes this model: edit the front matter"),
    ]
    for name, what, scale in (
        ("parameters", "Parameters", 1.0),
        ("gmacs_conv", "MACs (convolutions), 10^9", 1.0),
    ):
        if name in result.metrics:
            rows.append((what, f"{result.value(name) * scale:.6g}"))
    return "\n".join(f"- **{name}:** {value}" for name, value in rows)


def _training(study: Mapping[str, Any]) -> str:
    data = study["data"]
    schedule = ", ".join(
        f"{name.replace('_', ' ')} {value}"
        for name, value in study["schedule"].items()
        if value is not None
    )
    return (
        f"### Training data\n\n`{data['spec'].partition(':')[0]}`: {data['task']}. Held out: "
        f"`{data['split']}`.\n\n### Training procedure\n\nL1 loss, Adam; {schedule}; seed "
        f"{study['seed']}."
    )


def _evaluation(
    study: Mapping[str, Any], result: TrialResult, names: Mapping[str, DeviceName]
) -> str:
    """List every figure with its definition, source and conditions, and describe the devices."""
    lines = ["| figure | value | interval | source | definition | conditions |", "|-|-|-|-|-|-|"]
    for name, metric in result.metrics.items():
        interval = (
            f"{metric.interval[0]:.6g} to {metric.interval[1]:.6g}" if metric.interval else ""
        )
        phone = _name(name, names) if "[adb:" in name or "[paper:" in name else ""
        figure = f"`{name}`, {phone}" if phone else f"`{name}`"
        unit = UNITS.get(name.partition("[")[0], "")
        cells = (figure, f"{metric.value:.6g} {unit}".strip(), interval, metric.source)
        more = (metric.definition or "", source_said(metric, metric.conditions))
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in (*cells, *more)) + " |")
    devices = "".join(f"\n- {_described(name)}" for name in names.values())
    return (
        f"On the held-out split `{study['data']['split']}`; the file itself was scored, by the "
        "LiteRT interpreter, and again when it was exported."
        + (f" Timed on:\n{devices}" if devices else "")
        + "\n\n"
        + "\n".join(lines)
    )


def _described(name: DeviceName) -> str:
    tool = f"; benchmark tool of SHA-256 `{name.tool_sha256}`" if name.tool_sha256 else ""
    return f"{name.full}{tool}"
