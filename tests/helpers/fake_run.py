"""Runs made of made-up numbers, for tests of what reads a run. Every figure is "synthetic"."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nas.data.image_quality import PSNR_ID, SSIM_ID
from nas.networks.candidate import Candidate, Compression
from nas.storage.run_folder import RunFolder
from nas.study.metric import Metric
from nas.study.trial_result import Failure, TrialResult
from nas.system.files import write_json
from search_spaces.unet import ACTIVATIONS, UPSAMPLINGS, UNet

SIZE = (320, 192)
INPUT_PSNR, INPUT_SSIM = 23.6, 0.71
BOUND_MS = 60.0
ON = "made-up pictures, 4 pictures, whole frames"


def describe(devices: tuple[str, ...] = ("host",), bound_ms: float | None = BOUND_MS) -> Any:
    """What run.json of a made-up run holds."""
    constraints = [] if bound_ms is None else [f"latency_ms[{devices[0]}]<={bound_ms:g}"]
    return {
        "format": 1,
        "created": "2026-01-02T03:04:05+0000",
        "version": "0.1.0",
        "study": {
            "name": "made-up",
            "description": "A made-up study of U-Nets, for tests",
            "space": {"family": "unet"},
            "compression": {"precision": ["float", "int8-ptq"]},
            "data": {
                "spec": "photos",
                "split": "photos-heldout",
                "task": "one known shake of 9 pixels",
                "identity": {"seed": 0},
            },
            "schedule": {"steps": 300, "batch": 8, "patch": 48, "learning_rate": 0.002},
            "evaluators": [
                {"name": "cost"},
                {"name": "latency", "protocol": {"launches": 5, "warmup": 2, "threads": 2}},
                {"name": "quality", "psnr": PSNR_ID, "ssim": SSIM_ID},
            ],
            "objectives": ["psnr_db", *(f"latency_ms[{device}]" for device in devices)],
            "constraints": constraints,
            "devices": list(devices),
            "size": list(SIZE),
            "sampler": "tpe",
            "seed": 7,
        },
        "conditions": {
            "processor": "a made-up processor",
            "versions": {"python": "3.11.7", "portable-nas": "0.1.0"},
        },
        "input": {"psnr_db": INPUT_PSNR, "ssim": INPUT_SSIM},
    }


def make_run(
    path: Path,
    trials: int = 60,
    devices: tuple[str, ...] = ("host",),
    bound_ms: float | None = BOUND_MS,
    files: bool = True,
) -> RunFolder:
    """A run's folder of `trials` made-up trials; `files` also writes stand-ins for the models."""
    run = RunFolder(path)
    write_json(path / "run.json", describe(devices, bound_ms))
    for result in make_results(trials, devices, bound_ms):
        run.write_result(result)
        if files and result.artifact and result.weights:
            (path / result.artifact).write_bytes(f"not a real model: {result.key}".encode())
            weights = path / result.weights
            weights.parent.mkdir(parents=True, exist_ok=True)
            weights.write_bytes(f"not real weights: {result.key}".encode())
    return run


def replicate(run: RunFolder, count: int = 3, apart_db: float = 0.4) -> None:
    """Train the first `count` complete trials again, in make-believe: each is so much better."""
    complete = [result for result in run.results() if result.state == "complete"]
    for result in complete[:count]:
        psnr = replace(result.metrics["psnr_db"], value=result.value("psnr_db") + apart_db)
        again = replace(result, metrics={**result.metrics, "psnr_db": psnr})
        run.replicates.write_result(again)


def make_results(
    trials: int, devices: tuple[str, ...] = ("host",), bound_ms: float | None = BOUND_MS
) -> list[TrialResult]:
    """Made-up results: complete, infeasible and failed ones, the first of them a baseline."""
    random = np.random.default_rng(20)
    return [_result(number, random, devices, bound_ms) for number in range(trials)]


def _candidate(random: np.random.Generator) -> Candidate:
    levels = int(random.integers(3, 5))
    network = UNet(
        upsampling=UPSAMPLINGS[random.integers(3)],
        activation=ACTIVATIONS[random.integers(2)],
        widths=tuple(int(random.choice([8, 12, 16, 24, 32])) for _ in range(levels)),
        convolutions=int(random.integers(1, 4)),
        first_kernel=int(random.choice([3, 5, 7])),
        global_residual=bool(random.integers(2)),
    )
    return Candidate(network, Compression("int8-ptq" if random.random() < 0.4 else "float"))


def _result(
    number: int,
    random: np.random.Generator,
    devices: tuple[str, ...],
    bound_ms: float | None,
) -> TrialResult:
    candidate = _candidate(random)
    network = candidate.architecture
    assert isinstance(network, UNet)
    macs = network.graph().macs(SIZE[1], SIZE[0])
    at = f"{SIZE[0]}x{SIZE[1]}, 5 launches, 25 runs, 2 threads"
    figures = {
        "gmacs_conv": Metric(macs.conv / 1e9, "computed", "conv", conditions=at),
        "gmacs_profiler": Metric(macs.profiler / 1e9, "computed", "profiler", conditions=at),
        "parameters": Metric(network.graph().parameters(), "computed"),
    }
    for index, device in enumerate(devices):
        figures |= _latency(candidate, device, index, macs.conv / 1e9, random, at)
    latency = figures[f"latency_ms[{devices[0]}]"].value
    violations = {}
    if bound_ms is not None:
        violations[f"latency_ms[{devices[0]}]<={bound_ms:g}"] = (latency - bound_ms) / bound_ms
    feasible = all(amount <= 0 for amount in violations.values())
    died = feasible and random.random() < 0.08
    common: dict[str, Any] = {
        "number": number,
        "key": candidate.key,
        "label": candidate.label,
        "candidate": candidate.to_dict(),
        "parameters": _parameters(candidate),
        "baseline": number == 0,
        "conditions": {"versions": {"python": "3.11.7"}, "seed": 7},
    }
    timings = {"cost": 0.01, "convert": 1.4, "latency": 2.0 + latency / 25}
    if not feasible:
        return TrialResult(
            **common, state="infeasible", metrics=figures, violations=violations, timings_s=timings
        )
    timings |= {"train": float(6 + random.gamma(3, 2)), "quality": 1.1}
    if died:
        message = f"the training died: the network only repeats its input ({INPUT_PSNR:.2f} dB)"
        return TrialResult(
            **common,
            state="failed",
            metrics=figures,
            violations=violations,
            failure=Failure("TrainingError", message),
            timings_s=timings,
        )
    return TrialResult(
        **common,
        state="complete",
        metrics=figures | _quality(candidate, macs.conv / 1e9, random),
        violations=violations,
        artifact=f"trials/{number:05d}/model.tflite",
        weights=f"weights/{candidate.key}/final.weights.h5",
        timings_s=timings,
    )


def _parameters(candidate: Candidate) -> dict[str, Any]:
    network = candidate.architecture.to_dict()
    widths = network.pop("widths")
    del network["family"]
    return {
        "levels": len(widths),
        **network,
        **{f"width_{level}": width for level, width in enumerate(widths)},
        "precision": candidate.compression.precision,
    }


def _latency(
    candidate: Candidate,
    device: str,
    index: int,
    gmacs: float,
    random: np.random.Generator,
    at: str,
) -> dict[str, Metric]:
    faster = 0.6 if candidate.compression.precision == "int8-ptq" else 1.0
    value = float((4 + 22 * gmacs**0.9) * faster * (1 + 0.7 * index) * random.lognormal(0, 0.15))
    low, high = value * (1 - 0.06 * random.random()), value * (1 + 0.12 * random.random())
    return {
        f"latency_ms[{device}]": Metric(
            value, "synthetic", "median-of-launch-medians", (low, high), at
        ),
        f"init_ms[{device}]": Metric(value / 3, "synthetic", conditions=at),
    }


def _quality(candidate: Candidate, gmacs: float, random: np.random.Generator) -> dict[str, Metric]:
    loss = 0.35 if candidate.compression.precision == "int8-ptq" else 0.0
    gain = 1.7 + 0.5 * math.log(gmacs + 0.1) - loss + random.normal(0, 0.2)
    return {
        "psnr_db": Metric(INPUT_PSNR + gain, "synthetic", PSNR_ID, conditions=ON),
        "ssim": Metric(min(0.99, INPUT_SSIM + 0.05 * gain), "synthetic", SSIM_ID, conditions=ON),
        "psnr_db_input": Metric(INPUT_PSNR, "synthetic", PSNR_ID, conditions=ON),
    }
