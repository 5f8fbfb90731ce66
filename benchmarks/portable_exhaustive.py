"""Can any network of the `portable` space beat the paper's final one on all three phones?

    python -m benchmarks.portable_exhaustive

Every width of every level but the first (which is tried at 24, 32 and 48), all three up-samplings,
PReLU, float, not pruned: ReLU and integers lose PSNR by the published cells, pruning loses MACs,
which is what the PSNR is modelled by. All figures are modelled; minutes.
"""

from __future__ import annotations

import itertools
import time

from evaluators.published_quality import estimate
from nas.devices.paper_phones.device import PREFIX, tell
from nas.devices.paper_phones.published import SIZE
from nas.errors import ConfigError
from nas.tflite.operations import of_graph
from search_spaces import UNet
from search_spaces.unet import UPSAMPLINGS
from studies.portable import CHOSEN, PHONES, STUDY


def main() -> None:
    chosen = of_graph(CHOSEN.architecture.graph(), SIZE)
    goal_db = estimate(chosen, "float").psnr_db
    names = [phone.removeprefix(PREFIX) for phone in PHONES]
    limits = {name: tell(name, chosen).latency_ms for name in names}
    print(f"to beat: {goal_db} dB at {limits} ms (published)")
    started, tried, faster = time.perf_counter(), 0, []
    widths = STUDY.space.widths
    for upsampling in UPSAMPLINGS:
        for level_widths in itertools.product((24, 32, 48), *[widths] * 4):
            network = UNet(upsampling, "prelu", level_widths)
            operations = of_graph(network.graph(), SIZE)
            tried += 1
            try:
                psnr_db = estimate(operations, "float").psnr_db
            except ConfigError:
                continue
            if psnr_db < goal_db - 0.1:
                continue
            told = {name: tell(name, operations).latency_ms for name in names}
            if all(told[n] is not None and told[n] < limits[n] for n in names):
                faster.append((psnr_db, network.label, told))
    faster.sort(key=lambda row: -row[0])
    print(f"{tried} networks in {time.perf_counter() - started:.0f} s")
    print(f"{len(faster)} are faster on every phone and at most 0.1 dB below; the best:")
    for psnr_db, label, told in faster[:8]:
        figures = ", ".join(f"{name} {ms:.0f}" for name, ms in told.items())
        print(f"  {psnr_db:.3f} dB  {label}  ({figures} ms)")
    print(f"at no lower PSNR: {sum(row[0] >= goal_db for row in faster)}")


if __name__ == "__main__":
    main()
