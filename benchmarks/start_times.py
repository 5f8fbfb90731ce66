"""How much processor time the pages of help take, as ratios taken in one run.

    python benchmarks/start_times.py [--against CHECKOUT] [--rounds 11] [COMMAND ...]

COMMAND is a command's name, "" for `nas` itself. Each round starts `python -c pass`, then every
page of this checkout and of the other one, so that what else the machine does hits all alike. A
figure is the median over the rounds of user and system time of the process; where CHECKOUT has a
`.venv`, its Python runs it. No page needs a device, a data set or the network.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
PAGE = "from nas.cli.app import main; main()"
COMMANDS = ("", "search", "pareto", "data", "predictor", "describe")


def processor_seconds(python: str, folder: Path, code: str, arguments: list[str]) -> float:
    """User and system time of one process that runs `code` in `folder`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [python, "-c", code, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def python_of(folder: Path) -> str:
    """The Python of a checkout's `.venv`, or this one."""
    own = folder / ".venv" / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def medians(
    checkouts: list[Path], commands: list[str], rounds: int
) -> dict[tuple[str, str], float]:
    """Medians in seconds by checkout and command; ("", "") is `python -c pass` of this one."""
    times: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        bare = processor_seconds(python_of(HERE), HERE, "pass", [])
        times.setdefault(("", ""), []).append(bare)
        for command in commands:
            for folder in checkouts:
                arguments = [*filter(None, [command]), "--help"]
                taken = processor_seconds(python_of(folder), folder, PAGE, arguments)
                times.setdefault((str(folder), command), []).append(taken)
    return {key: statistics.median(values) for key, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--against", type=Path, help="another checkout of this repository")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("commands", nargs="*", default=list(COMMANDS))
    options = parser.parse_args()
    other = options.against.resolve() if options.against else None
    checkouts = [HERE, *([other] if other else [])]
    taken = medians(checkouts, options.commands, options.rounds)
    bare = taken["", ""]
    print(f"python -c pass: {bare:.3f} s of processor, median of {options.rounds}")
    heads = ["page", "s", "times bare Python", *(["other, s", "ours/other"] if other else [])]
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    for command in options.commands:
        ours = taken[str(HERE), command]
        cells = [f"nas {command} --help".replace("  ", " "), f"{ours:.3f}", f"{ours / bare:.1f}"]
        if other:
            theirs = taken[str(other), command]
            cells += [f"{theirs:.3f}", f"{ours / theirs:.2f}"]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
