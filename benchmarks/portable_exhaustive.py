"""Can any network of the `portable` space beat the paper's final one on all three phones?

    python -m benchmarks.portable_exhaustive [--skip addition] [--few]

Every width of every level but the first (which is tried at 24, 32 and 48), all three up-samplings,
PReLU, float, not pruned: ReLU and integers lose PSNR by the published cells, pruning loses MACs,
which is what the PSNR is modelled by. All figures are modelled; minutes. With `--few` only widths
near the paper's are tried, and bilinear up-sampling alone: seconds.
"""

from __future__ import annotations

import argparse
import itertools
import time

from evaluators.published_quality import estimate
from evaluators.replacements import replacements
from nas.devices.paper_phones.device import PREFIX, tell
from nas.devices.paper_phones.published import SIZE
from nas.errors import ConfigError
from nas.tflite.operations import of_graph
from search_spaces import UNet
from search_spaces.unet_axes import SKIPS, UPSAMPLINGS
from studies.portable import AS_THE_PAPER, CHOSEN, PHONES

FEW = (
    (24, 32, 48),
    (48, 64, 96),
    (96, 128, 144, 160),
    (128, 144, 160, 192),
    (96, 128, 144, 160, 192),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.portable_exhaustive")
    parser.add_argument("--skip", choices=SKIPS, default="concatenation")
    parser.add_argument("--few", action="store_true")
    parser.add_argument("--below", type=float, default=0.1, help="dB that a network may lose")
    arguments = parser.parse_args()
    chosen = of_graph(CHOSEN.architecture.graph(), SIZE)
    goal_db = estimate(chosen, "float").psnr_db
    names = [phone.removeprefix(PREFIX) for phone in PHONES]
    limits = {name: tell(name, chosen).latency_ms for name in names}
    print(f"to beat: {goal_db} dB at {limits} ms (published)")
    started, tried, faster = time.perf_counter(), 0, []
    widths = FEW if arguments.few else ((24, 32, 48), *[AS_THE_PAPER.widths] * 4)
    ups = ("resize-bilinear",) if arguments.few else UPSAMPLINGS
    for upsampling, level_widths in itertools.product(ups, itertools.product(*widths)):
        network = UNet(upsampling, "prelu", level_widths, skip=arguments.skip)
        operations = of_graph(network.graph(), SIZE)
        tried += 1
        try:
            told_db = estimate(operations, "float", replacements(network))
        except ConfigError:
            continue
        if told_db.psnr_db < goal_db - arguments.below:
            continue
        told = {name: tell(name, operations) for name in names}
        times = {name: told[name].latency_ms for name in names}
        if all((ms := times[n]) is not None and ms < limits[n] for n in names):
            faster.append((told_db.psnr_db, network.label, times))
    faster.sort(key=lambda row: -row[0])
    print(f"{tried} networks in {time.perf_counter() - started:.0f} s")
    print(f"{len(faster)} are faster on every phone, at most {arguments.below} dB below; the best:")
    for psnr_db, label, told_ms in faster[:8]:
        figures = ", ".join(f"{name} {ms:.0f}" for name, ms in told_ms.items())
        print(f"  {psnr_db:.3f} dB  {label}  ({figures} ms)")
    print(f"at no lower PSNR: {sum(row[0] >= goal_db for row in faster)}")


if __name__ == "__main__":
    main()
