"""What compression costs in quality: pruned shares against precisions, over seeds.

    python -m benchmarks.compression [--seeds 3] [--steps 600] [--out DIR] [--only KIND]
                                     [--small] [--show] [--json] [--plan]

One U-Net of about 1 GMAC at 128x128 is trained on `photos` with the short schedule, once a seed;
every compression starts from there. Each piece of work leaves its result in DIR under a key of all
that it depends on: a benchmark that was killed goes on, `--show` prints what there is so far.

Quantization-aware training goes on for a quarter of the steps. Against the float network as it was
that is unfair to the others, so there are two comparisons: "as trained", and "as long", in which
the float network (of which the float, int16 and int8-ptq files are made) goes on for as many steps
at the same rates. A pruned network, too, is trained on, and is compared with the whole one trained
on for as many steps. What is expected, and checked by `benchmarks.compression_summary`:

- float >= int16 > int8-qat >= int8-ptq in held-out PSNR, as long trained;
- adaptive pruning no worse than uniform pruning, at 30 and 50 %, beyond the spread over seeds;
- every pruning at or below its target of MACs and within 1.5 % of it;
- outputs against the model's: float 90 dB, int8-qat 38 dB against its fake-quantized model, int16
  40 dB against float and 80 dB against float with 8-bit weights, for all six kinds of U-Net;
- a QAT step at most 1.3 times a float step, a pruning round's bookkeeping under 2 s.

About half an hour of one core; `--small` takes minutes. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.compression_summary import markdown, summary
from benchmarks.compression_work import Bench, What
from nas.system.environment import processor, versions
from nas.system.files import held, read_json, write_json
from nas.system.hashing import content_key
from nas.training.tensorflow import prepare_tensorflow

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
QUANTIZED = (0.0, 0.05, 0.3, 0.5)  # the pruned shares that every precision is made of
UNIFORM = (0.3, 0.5)
UPSAMPLINGS = ("transpose-conv", "depth-to-space", "resize-bilinear")
ACTIVATIONS = ("relu", "prelu")
Row = dict[str, Any]


def main() -> None:
    arguments = parsed()
    work = plan(arguments)
    out: Path = arguments.out
    if not arguments.show:
        counts = Counter(what["kind"] for what in work)
        done = sum(place(out, what, arguments).exists() for what in work)
        tell(f"{len(work)} pieces of work, {done} done: {dict(counts)}; kept in {out}")
        if arguments.plan:
            for what in work:
                tell(f"{'done' if place(out, what, arguments).exists() else 'open'} {said(what)}")
            return
        run(arguments, work)
    rows = [read_json(path) for what in work if (path := place(out, what, arguments)).exists()]
    document = {
        "processor": processor(),
        "versions": versions(),
        "steps": arguments.steps,
        "seeds": arguments.seeds,
        "done": len(rows),
        "of": len(work),
        "summary": summary(rows),
        "rows": rows,
    }
    write_json(out / "results.json", document)
    print(json.dumps(document) if arguments.json else markdown(document))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compression")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-compression"))
    parser.add_argument("--only", choices=("score", "agreement", "step", "bookkeeping"))
    parser.add_argument("--small", action="store_true", help="0.2 GMAC")
    parser.add_argument("--plan", action="store_true", help="print what there is to do")
    parser.add_argument("--show", action="store_true", help="do nothing, print what is there")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def plan(arguments: argparse.Namespace) -> list[What]:
    """Everything there is to do, seed by seed, what is needed by others first."""
    work: list[What] = [{"kind": "step", "seed": 0, "steps": 40}]
    for seed in range(arguments.seeds):
        work += scores(seed)
        work += agreements(seed, arguments.steps // 2)
    work += [{"kind": "bookkeeping", "network": n, "share": 0.03} for n in paper_networks()]
    return [what for what in work if arguments.only in (None, what["kind"])]


def scores(seed: int) -> list[What]:
    def row(share: float, precision: str, longer: bool, method: str = "adaptive") -> What:
        how = {"share": share, "precision": precision, "longer": longer, "method": method}
        return {"kind": "score", "seed": seed, **how}

    work = []
    for share in (0.0, *SHARES):
        work.append(row(share, "float", False))
        if share in UNIFORM:
            work += [row(share, "float", False, method) for method in ("uniform-l1", "none")]
        if share in QUANTIZED:
            work += [row(share, p, True) for p in ("float", "int16-ptq")]
            work += [row(share, "int8-qat", False), row(share, "int8-ptq", True)]
        if share == 0:
            work += [row(share, p, False) for p in ("int16-ptq", "int8-ptq")]
    return work


def agreements(seed: int, steps: int) -> list[What]:
    return [
        {
            "kind": "agreement",
            "seed": seed,
            "steps": steps,
            "upsampling": upsampling,
            "activation": activation,
        }
        for upsampling in UPSAMPLINGS
        for activation in ACTIVATIONS
    ]


def paper_networks() -> list[str]:
    from search_spaces.named import ARCHITECTURES

    return [name for name in ARCHITECTURES if not name.endswith("-prelu")]


def run(arguments: argparse.Namespace, work: list[What]) -> None:
    prepare_tensorflow(1)
    bench = Bench(arguments.out, arguments.steps, arguments.small)
    with held(arguments.out):
        for index, what in enumerate(work):
            path = place(arguments.out, what, arguments)
            if path.exists():
                continue
            cpu, wall = time.process_time(), time.monotonic()
            found = bench.do(what)
            spent = {
                "cpu_s": round(time.process_time() - cpu, 2),
                "wall_s": round(time.monotonic() - wall, 2),
                "load": round(os.getloadavg()[0], 2),
            }
            write_json(path, {**what, **found, **spent})
            shown = {n: round(v, 3) for n, v in found.items() if isinstance(v, float)}
            tell(f"{index + 1}/{len(work)} {said(what)}: {found.get('error') or shown}, {spent}")


def place(out: Path, what: What, arguments: argparse.Namespace) -> Path:
    """Where a piece's result is kept: by all that it depends on."""
    from nas.compression.pruning import Pruning
    from nas.training.schedule import short_schedule

    depends = {
        "what": dict(what),
        "schedule": short_schedule(arguments.steps).to_dict(),
        "small": arguments.small,
        "pruning": Pruning().to_dict(),
        "versions": versions(),
        "processor": processor(),
    }
    return out / "results" / f"{content_key(depends)}.json"


def said(what: What) -> str:
    return " ".join(str(value) for value in what.values())


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
