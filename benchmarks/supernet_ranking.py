"""Does a supernet put networks in the order in which trainings of their own put them?

    python -m benchmarks.supernet_ranking --out FOLDER                 (benchmarks/unet_table.csv)
    python -m benchmarks.supernet_ranking --out FOLDER --raw quality.jsonl   (an unfinished table)

Trains one supernet of the table's space, in as many steps as one of its networks, scores every
network by its slice, and compares with the PSNR of really trained networks by Kendall's tau: with
the mean over seeds, and, beside it, how far two seeds of the same trainings agree. What a training
costs is taken here, in processor seconds like the supernet's, of networks along the table's range.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import unet_table as table
from nas.data import open_dataset
from nas.study.rank_agreement import Agreement, agreement
from nas.system.environment import processor
from nas.system.hashing import canonical_json
from nas.training.schedule import short_schedule
from nas.training.supernet.elastic import FAMILY
from nas.training.supernet.spec import SupernetSpec, gentle, supernet_of
from search_spaces.unet import ACTIVATIONS, UPSAMPLINGS, UNet

SPACE = {
    "family": FAMILY,
    "upsampling": list(UPSAMPLINGS),
    "activation": list(ACTIVATIONS),
    "levels": [3],
    "widths": [list(row) for row in table.WIDTHS],
    "convolutions": [1],
    "first_kernel": [5],
    "global_residual": [True],
}
TRIALS = 50  # of the search that the supernet's cost is set against
COSTED = 5  # networks whose training is timed


def truth(raw: Path | None) -> dict[str, dict[int, float]]:
    """PSNR in dB by network (canonical JSON) and seed, of the networks in float."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    if raw is None:
        for row in table.read():
            if row.precision == "float":
                values = map(float, row.psnr_db_by_seed.split())
                found[canonical_json(row.network.to_dict())] = dict(enumerate(values))
        return found
    for line in raw.read_text().splitlines():
        if line.endswith("}"):
            row = json.loads(line)
            value = row["psnr_db"][str(table.STEPS)]
            found[canonical_json(row["network"])][row["seed"]] = value
    return found


def training_seconds(dataset: Any, schedule: Any) -> float:
    """Processor seconds of one training, the mean over networks along the range of MACs."""
    import tf_keras as keras

    from nas.training.train import step_function, untrained

    pack = dataset.prepare(schedule.patch)
    ordered = sorted(table.networks(), key=lambda net: net.graph().macs(64, 64).conv)
    places = (np.arange(COSTED) + 0.5) / COSTED * len(ordered)
    spent = []
    for place in places:
        began = time.process_time()
        model = untrained(ordered[int(place)].graph(), schedule, 0)
        step_of = step_function(model, keras.optimizers.legacy.Adam(0.0), schedule)
        for step in range(schedule.steps):
            blurred, sharp = pack.batch(step, schedule.batch, schedule.patch, 0)
            step_of(blurred, sharp, np.float32(schedule.rate(step)))
        spent.append(time.process_time() - began)
    return float(np.mean(spent))


def scores(spec: SupernetSpec, folder: Path, dataset: Any, nets: Sequence[UNet]) -> Any:
    """Every network's score in dB, and how many were scored a second."""
    from nas.training.supernet.score import Scorer, heldout_crops
    from nas.training.supernet.train import load_supernet

    crops = heldout_crops(dataset.heldout(), spec.elastic.reduction)
    scorer = Scorer(load_supernet(folder, spec.elastic), crops)
    scorer.psnr_db(spec.elastic.encode(nets[0].to_dict()))
    began = time.perf_counter()
    found = [scorer.psnr_db(spec.elastic.encode(net.to_dict())) for net in nets]
    return found, len(nets) / (time.perf_counter() - began)


def comparisons(
    scored: dict[str, float], known: dict[str, dict[int, float]]
) -> Iterator[tuple[str, Agreement | None]]:
    """What is compared with what, on all networks and on those that have several seeds."""
    several = {net: seeds for net, seeds in known.items() if len(seeds) > 1}
    seeds = sorted({seed for found in several.values() for seed in found})
    whole = {net: found for net, found in several.items() if len(found) == len(seeds)}
    means = {net: float(np.mean(list(found.values()))) for net, found in known.items()}

    yield "score: all networks, mean of their seeds", _agree(scored, means, list(known))
    if len(whole) < 4:
        return
    nets = list(whole)
    yield "score: networks of several seeds, mean", _agree(scored, means, nets)
    for one in seeds:
        single = {net: whole[net][one] for net in nets}
        yield f"score: the same, seed {one}", _agree(scored, single, nets)
        rest = {net: float(np.mean([whole[net][s] for s in seeds if s != one])) for net in nets}
        yield f"seed {one} to the mean of the others", _agree(single, rest, nets)
    for one, two in permutations(seeds, 2):
        if one < two:
            first = {net: whole[net][one] for net in nets}
            second = {net: whole[net][two] for net in nets}
            yield f"seed {one} to seed {two}", _agree(first, second, nets)


def within(
    kind: str, scored: dict[str, float], known: dict[str, dict[int, float]]
) -> Iterator[tuple[str, Agreement | None]]:
    """The same for the networks of one activation."""
    own = {net: seeds for net, seeds in known.items() if json.loads(net)["activation"] == kind}
    for name, found in comparisons(scored, own):
        yield f"{kind} only; {name}", found


def _agree(a: dict[str, float], b: dict[str, float], nets: Sequence[str]) -> Agreement | None:
    return agreement([a[net] for net in nets], [b[net] for net in nets])


def main() -> None:
    """Train, score, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--raw", type=Path, help="lines of benchmarks.unet_table quality")
    parser.add_argument("--steps", type=int, default=table.STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--costs", action=argparse.BooleanOptionalAction, default=True)
    asked = parser.parse_args()
    from nas.training.tensorflow import prepare_tensorflow

    prepare_tensorflow(threads=1)
    from nas.training.supernet.train import train_supernet

    dataset = open_dataset("photos")
    schedule = gentle(short_schedule(asked.steps), asked.steps)
    spec = SupernetSpec(SPACE, dataset.identity(), schedule, asked.seed)
    train_supernet(spec, dataset.prepare(schedule.patch), asked.out)
    spent = supernet_of(asked.out)["cost"]["cpu_seconds"]
    known = truth(asked.raw)
    nets = [UNet.from_dict(json.loads(net)) for net in known]
    found, rate = scores(spec, asked.out, dataset, nets)
    scored = dict(zip(known, found, strict=True))
    rows = dict(comparisons(scored, known))
    print(f"{processor()}; load {os.getloadavg()[0]:.1f}; {len(known)} networks")
    print(f"supernet: {asked.steps} steps, {spent:.1f} s of processor; {rate:.0f} scores a second")
    if asked.costs:
        one = training_seconds(dataset, short_schedule(table.STEPS))
        share = spent / (TRIALS * one)
        print(f"one training: {one:.1f} s; the supernet costs {share:.3f} of {TRIALS} trainings")
    print("\n| compared | networks | tau | 95 % |\n|---|---|---|---|")
    inside = {kind: dict(within(kind, scored, known)) for kind in ACTIVATIONS}
    for name, one in (rows | inside["relu"] | inside["prelu"]).items():
        if one is not None:
            low, high = one.interval
            print(f"| {name} | {one.count} | {one.tau:.3f} | {low:.3f} to {high:.3f} |")
    _ratios(rows, "")
    for kind, own in inside.items():
        _ratios(own, f"{kind} only; ")


def _ratios(rows: dict[str, Agreement | None], where: str) -> None:
    """The supernet's tau over that between seeds."""
    between = [one.tau for name, one in rows.items() if one and " to seed " in name]
    to_mean = [one.tau for name, one in rows.items() if one and "mean of the others" in name]
    own = rows.get(f"{where}score: networks of several seeds, mean")
    if own is None or not between:
        return
    everything = rows[f"{where}score: all networks, mean of their seeds"]
    seeds = float(np.mean(between))
    print(f"\n{where}tau over that between two seeds ({seeds:.3f}): {own.tau / seeds:.2f}")
    if everything is not None:
        print(f"the same, of all networks: {everything.tau / seeds:.2f}")
    print(f"over that of one seed to the mean of the others: {own.tau / np.mean(to_mean):.2f}")


if __name__ == "__main__":
    main()
