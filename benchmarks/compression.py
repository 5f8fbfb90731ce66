"""What compression costs in quality: pruned shares against precisions, over seeds.

One U-Net of about 1 GMAC at 128x128 is trained on `photos` with the short schedule, once a seed;
everything else starts from there. Prints the mean and the spread (least to greatest) of the
held-out PSNR over the seeds, as scored on the files, and the differences that were promised:

- float >= int16 > int8 QAT >= int8 PTQ;
- pruned by the adaptive method at least as good as by the uniform one, at 30 and 50 %;
- every pruning at or below its target, and within 1.5 % of it;
- a QAT step at most 1.3 times a float step.

    python benchmarks/compression.py [--seeds 3] [--steps 600] [--small] [--out DIR] [--json]

What is in DIR is used, so a killed benchmark goes on. An hour on two cores; --small takes minutes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from nas.quietlogs import prepare_tensorflow

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
SIZE = (128, 128)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--small", action="store_true", help="0.2 GMAC, shares of 30 and 50 % only")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-compression"))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    prepare_tensorflow(1)
    rows: list[dict[str, Any]] = []
    for seed in range(arguments.seeds):
        rows += one_seed(seed, arguments)
    checks = {"qat_step_ratio": step_ratio(arguments)} | differences(rows)
    if arguments.json:
        print(json.dumps({"size": SIZE, "rows": rows, "checks": checks}))
        return
    show(rows, checks)


def network(small: bool) -> Any:
    from search_spaces import UNet

    widths, convolutions = ((12, 16, 24), 2) if small else ((24, 48, 72), 2)
    return UNet("resize-bilinear", "relu", widths, convolutions, 5, True)


def wanted(small: bool) -> list[tuple[str, float, str]]:
    """(precision, pruned share, pruning method), shallow first."""
    from nas.candidate import PRECISIONS

    shares = (0.3, 0.5) if small else SHARES
    rows = [(precision, 0.0, "adaptive") for precision in PRECISIONS]
    for share in shares:
        rows += [(precision, share, "adaptive") for precision in PRECISIONS]
        rows.append(("float", share, "uniform-l1"))
    return rows


def one_seed(seed: int, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    from nas.candidate import Compression
    from nas.compress import Workshop, compressed, float_training
    from nas.data import open_dataset
    from nas.prune import Pruning
    from nas.schedule import short_schedule

    dataset = open_dataset("photos")
    base, plan = network(arguments.small), short_schedule(arguments.steps)
    pack = dataset.prepare(plan.patch)
    rows = []
    for precision, share, method in wanted(arguments.small):
        started = time.monotonic()
        folder = arguments.out / "weights"
        shop = Workshop(pack, plan, seed, folder, lambda *_: None, Pruning(method))
        source = float_training(base, dataset.identity(), shop)
        made = compressed(source, Compression(precision, share), shop)
        row = {"seed": seed, "precision": precision, "share": share, "method": method}
        rows.append(row | measured(made, precision, base, dataset, pack, arguments.out))
        if arguments.json:
            continue
        print(
            f"seed {seed} {precision:9} {share:4.0%} {method:10} {rows[-1]['psnr_db']:.3f} dB, "
            f"{time.monotonic() - started:.0f} s",
            flush=True,
        )
    return rows


def measured(
    made: Any, precision: str, base: Any, dataset: Any, pack: Any, out: Path
) -> dict[str, Any]:
    from evaluators.quality import score_artifact
    from nas.convert import convert_trained
    from nas.pruned import pruned_share

    graph = made.architecture.graph()
    content = convert_trained(graph, made.weights, *SIZE, precision, pack)  # type: ignore[arg-type]
    path = out / "scored.tflite"
    path.write_bytes(content)
    score = score_artifact(path, dataset.heldout())
    return {
        "psnr_db": score.psnr_db,
        "ssim": score.ssim,
        "pruned_share": pruned_share(base.graph(), graph),
        "bytes": len(content),
    }


def step_ratio(arguments: argparse.Namespace, steps: int = 40) -> float:
    """Time of a QAT step over that of a float step, interleaved; medians."""
    import tf_keras as keras

    from nas.data import open_dataset
    from nas.model import build_model
    from nas.quantize import fake_quantized
    from nas.schedule import short_schedule
    from nas.train import step_function

    plan = short_schedule(arguments.steps)
    pack = open_dataset("photos").prepare(plan.patch)
    blurred, sharp = pack.batch(0, plan.batch, plan.patch, 0)
    model = build_model(network(arguments.small).graph())
    frames = [blurred[:1].astype(np.float32) / np.float32(255)]
    spent: list[list[float]] = [[], []]
    steppers = []
    for one in (model, fake_quantized(model, frames)):
        optimizer = keras.optimizers.legacy.Adam(1e-4)
        optimizer._create_all_weights(one.trainable_variables)
        steppers.append(step_function(one, optimizer, plan))
    for _ in range(steps):
        for which, stepper in enumerate(steppers):
            started = time.perf_counter()
            float(stepper(blurred, sharp, np.float32(1e-4)))
            spent[which].append(time.perf_counter() - started)
    return statistics.median(spent[1][3:]) / statistics.median(spent[0][3:])


def differences(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean differences over seeds, each with its least and greatest."""
    found: dict[str, Any] = {}

    def values(precision: str, share: float, method: str = "adaptive") -> list[float]:
        key = (precision, share, method)
        return [r["psnr_db"] for r in rows if (r["precision"], r["share"], r["method"]) == key]

    def difference(name: str, one: list[float], other: list[float]) -> None:
        apart = [a - b for a, b in zip(one, other, strict=True)]
        found[name] = {
            "mean_db": round(statistics.mean(apart), 3),
            "least_db": round(min(apart), 3),
            "greatest_db": round(max(apart), 3),
        }

    for share in sorted({row["share"] for row in rows}):
        base = values("float", share)
        for precision in ("int16-ptq", "int8-qat", "int8-ptq"):
            difference(f"{precision} less float, {share:.0%}", values(precision, share), base)
        qat, ptq = values("int8-qat", share), values("int8-ptq", share)
        difference(f"int8-qat less int8-ptq, {share:.0%}", qat, ptq)
        if share:
            plain = values("float", share, "uniform-l1")
            difference(f"adaptive less uniform, {share:.0%}", base, plain)
            difference(f"pruned less whole, {share:.0%}", base, values("float", 0.0))
    over = [(1 - row["pruned_share"]) / (1 - row["share"]) for row in rows if row["share"]]
    found["macs_of_target"] = {"least": round(min(over), 4), "greatest": round(max(over), 4)}
    return found


def show(rows: list[dict[str, Any]], checks: dict[str, Any]) -> None:
    keys = dict.fromkeys((row["precision"], row["share"], row["method"]) for row in rows)
    print("precision  pruned  method      PSNR dB (least to greatest)   SSIM")
    for key in keys:
        found = [row for row in rows if (row["precision"], row["share"], row["method"]) == key]
        psnr = [row["psnr_db"] for row in found]
        similar = statistics.mean(row["ssim"] for row in found)
        print(
            f"{key[0]:9}  {key[1]:5.0%}   {key[2]:10}  {statistics.mean(psnr):.2f} "
            f"({min(psnr):.2f} to {max(psnr):.2f})   {similar:.4f}"
        )
    for name, value in checks.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
