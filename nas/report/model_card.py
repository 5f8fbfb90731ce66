"""A model's texts for people and for hubs: the model card, `perf.yaml` and `numerics.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.study.metric import Metric
from nas.study.trial_result import TrialResult

_LOAD = """\
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps

model = Interpreter("model.tflite", num_threads=4)
model.allocate_tensors()
taken, given = model.get_input_details()[0], model.get_output_details()[0]
height, width = map(int, taken["shape"][1:3])
photo = ImageOps.fit(Image.open("photo.jpg").convert("RGB"), (width, height))
x = np.asarray(photo, np.float32)[None] / 255
"""
_SAVE = """\
Image.fromarray(np.rint(np.clip(y, 0, 1) * 255).astype(np.uint8)).save("restored.png")
"""
_FLOAT = """\
model.set_tensor(taken["index"], x)
model.invoke()
y = model.get_tensor(given["index"])[0]
"""
_INTEGER = """\
scale, zero = taken["quantization"]
model.set_tensor(taken["index"], np.rint(x / scale + zero).astype(taken["dtype"]))
model.invoke()
scale, zero = given["quantization"]
y = (model.get_tensor(given["index"])[0].astype(np.float32) - zero) * scale
"""


def usage(precision: str) -> str:
    """A program that restores `photo.jpg` with `model.tflite`, with LiteRT, NumPy and Pillow."""
    return _LOAD + (_INTEGER if precision.startswith("int") else _FLOAT) + _SAVE


def model_card(description: Mapping[str, Any], result: TrialResult) -> str:
    """The text of a model's README.md: front matter and sections of the Hugging Face Hub's card.

    The licence is left to whoever publishes the model: the front matter says "other".
    """
    from huggingface_hub import ModelCardData

    study = description["study"]
    front_matter = ModelCardData(
        license="other",
        license_name="to-be-chosen",
        library_name="litert",
        pipeline_tag="image-to-image",
        tags=["tflite", "litert", "image-restoration", "deblurring", "on-device", "portable-nas"],
        metrics=["psnr", "ssim"],
    )
    width, height = study["size"]
    sections = [
        f"---\n{front_matter.to_yaml().strip()}\n---",
        f"# {result.label}",
        f"A {_kind(result)} that restores blurred photographs of {width}x{height} pixels on phones "
        f"and other small machines, found by an architecture search. It reaches "
        f"{_headline(result)}.",
        "## Model details",
        _details(description, result),
        "## Uses",
        "### Direct use\n\nRemoving the kind of blur that it was trained on from photographs.",
        f"### Out-of-scope use\n\nThe training blur was: {study['data']['task']}. Other blur, "
        "noise or compression is restored badly or not at all. Restored detail is a guess: do not "
        "use it as evidence, nor for medical or forensic pictures.",
        "## How to get started with the model",
        "It needs `pip install ai-edge-litert numpy pillow` and nothing else. The model has a "
        f"fixed size of {width}x{height}: this program scales and crops `photo.jpg` to it; for "
        "full resolution, restore overlapping tiles.\n\n```python\n"
        f"{usage(_precision(result))}```",
        "## Training details",
        _training(study),
        "## Evaluation",
        _evaluation(study, result),
        "## Files",
        "- `model.tflite`: the artifact that every figure belongs to\n"
        "- `model.weights.h5`: its float weights (tf_keras), before any quantization\n"
        "- `card.json`: everything on this page for machines, with checksums\n"
        "- `perf.yaml`, `numerics.yaml`: speed by device, quality by runtime",
    ]
    return "\n\n".join(sections) + "\n"


def performance(description: Mapping[str, Any], result: TrialResult) -> str:
    """The text of perf.yaml: what the model needs on each device."""
    devices = {
        device: {
            "tflite": {
                "inference_time_milliseconds": latency.value,
                "inference_time_interval_milliseconds": _interval(latency),
                "source": latency.source,
                "definition": latency.definition,
                "conditions": latency.conditions,
                **({"taken_on_busy_processor": latency.disturbed} if latency.disturbed else {}),
                **_further(result, device),
            }
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


def numerics(description: Mapping[str, Any], result: TrialResult, rescored: float) -> str:
    """The text of numerics.yaml: the artifact's quality, as reported and as scored again."""
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
        said: result.value(f"{name}[{device}]")
        for name, said in names.items()
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


def _headline(result: TrialResult) -> str:
    """The quality, the gain and the latencies in half a sentence."""
    text = f"{result.value('psnr_db'):.2f} dB"
    if "psnr_db_input" in result.metrics:
        gain = result.value("psnr_db") - result.value("psnr_db_input")
        text += f" ({gain:+.2f} dB over the blurred pictures)"
    timed = [
        f"{metric.value:.3g} ms on {name.partition('[')[2].rstrip(']')} ({metric.source}"
        + (", taken on a busy processor)" if metric.disturbed else ")")
        for name, metric in result.metrics.items()
        if name.startswith("latency_ms[")
    ]
    return text + (f" at {', '.join(timed)}" if timed else "")


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


def _evaluation(study: Mapping[str, Any], result: TrialResult) -> str:
    """Every figure with its definition, source and conditions."""
    lines = ["| figure | value | interval | source | definition | conditions |", "|-|-|-|-|-|-|"]
    for name, metric in result.metrics.items():
        interval = (
            f"{metric.interval[0]:.6g} to {metric.interval[1]:.6g}" if metric.interval else ""
        )
        cells = (f"`{name}`", f"{metric.value:.6g}", interval, metric.source)
        busy = f"taken on a busy processor: {metric.disturbed}" if metric.disturbed else None
        more = (metric.definition or "", ", ".join(filter(None, (metric.conditions, busy))))
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in (*cells, *more)) + " |")
    return (
        f"On the held-out split `{study['data']['split']}`; the file itself was scored, by the "
        "LiteRT interpreter, and again when it was exported.\n\n" + "\n".join(lines)
    )
