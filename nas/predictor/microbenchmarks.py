"""The session of micro-benchmarks; its times are kept as they come, so that it can be resumed."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from nas.devices import TimingProtocol
from nas.devices.graph_builder import CHANNELS
from nas.errors import ConfigError, DeviceStableError, RunError, one_line
from nas.predictor.costs import KindCosts
from nas.predictor.design import Joint
from nas.predictor.microbenchmark_graphs import write_chain, write_joint, write_micrograph
from nas.predictor.predictor import Predictor
from nas.predictor.sessions import Session, open_session
from nas.predictor.terms import Term
from nas.system.files import read_json, write_json

PASSES = 2
KEEP_SECONDS = 10.0
LEAST_SHARE = 0.1
"""The least share of a measured time that counts as the operation's, not as overhead."""
NOTABLE = 1.15
"""A joint is surcharged where it takes more than this many times the sum of its parts."""
Progress = Callable[[int, int], None]


@final
@dataclass
class Timings:
    """The times of a session's files, by key; a file's key names its content.

    `times_ms`: the time of each pass.
    `refused`: why the device would not run a file.
    """

    times_ms: dict[str, list[float]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the timings as JSON types."""
        return {"times_ms": self.times_ms, "refused": self.refused}

    @classmethod
    def from_file(cls, path: Path) -> Timings:
        """Return the kept timings; none where the file is missing or damaged, to measure again."""
        if not path.exists():
            return cls()
        try:
            values = read_json(path)
            times = {
                str(key): [float(one) for one in row] for key, row in values["times_ms"].items()
            }
            refused = {str(key): str(why) for key, why in values["refused"].items()}
        except (RunError, AttributeError, KeyError, TypeError, ValueError):
            return cls()
        return cls(times, refused)

    def of(self, key: str) -> float | None:
        """Return the (lower) median in ms of a file's passes; None where it was not measured."""
        times = self.times_ms.get(key)
        return statistics.median_low(times) if times else None


@final
@dataclass(frozen=True)
class SessionPlan:
    """The files of a session: single operations, joints, and chains that show the overhead."""

    terms: tuple[Term, ...]
    joints: tuple[Joint, ...]

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The data types of the operations, in order."""
        return tuple(sorted({term.dtype for term in self.terms}))

    def files(self) -> dict[str, Callable[[Path], Path]]:
        """Return a function for each file, by key, that writes it to a path."""
        writers: dict[str, Callable[[Path], Path]] = {}
        for dtype in self.dtypes:
            for count in _CHAINS:
                writers[_chain_key(dtype, count)] = _writer(write_chain, _small(dtype), count)
        for number, term in enumerate(self.terms):
            relu = term.op == "CONV_2D" and number % 2 == 0
            writers[key_of(term)] = _writer(write_micrograph, term, relu)
        for joint in self.joints:
            writers[key_of(*joint)] = _writer(write_joint, joint)
        return writers


_CHAINS = (1, 5)


def _writer(write: Callable[..., Path], *values: Any) -> Callable[[Path], Path]:
    return lambda path: write(values[0], path, *values[1:])


def _small(dtype: str) -> Term:
    sides = (8, 8)
    return Term("CONV_2D", dtype, sides, (CHANNELS,), sides, CHANNELS, 1)


def _chain_key(dtype: str, count: int) -> str:
    return f"{count} small {dtype}"


def key_of(*terms: Term) -> str:
    """Return the key of a file, which names its operations."""
    return " | ".join(
        f"{t.op} {t.dtype} {t.given[0]}x{t.given[1]} {'+'.join(map(str, t.channels))} "
        f"{t.made[0]}x{t.made[1]} {t.cout} k{t.area}"
        for t in terms
    )


def measure(
    spec: str,
    plan: SessionPlan,
    protocol: TimingProtocol,
    kept: Path,
    progress: Progress,
    passes: int = PASSES,
) -> Timings:
    """Time every file of the plan in one session; each pass has an order of its own.

    Times that the file `kept` has already are not measured again. `progress` gets the done and the
    whole count. Raises ConfigError on an unknown device,
    DeviceTransientError where it can't measure now: nothing measured is lost.
    """
    timings = Timings.from_file(kept)
    writers = plan.files()
    with (
        tempfile.TemporaryDirectory(prefix="predictor-") as folder,
        open_session(spec, protocol) as session,
    ):
        wanted = passes if session.repeats else 1
        jobs = [
            key
            for turn in range(wanted)
            for key in _shuffled(writers, turn)
            if len(timings.times_ms.get(key, ())) <= turn and key not in timings.refused
        ]
        try:
            _all(session, jobs, writers, timings, Path(folder), kept, progress)
        finally:
            if jobs:
                write_json(kept, timings.to_dict())
    return timings


def _shuffled(writers: Mapping[str, object], turn: int) -> list[str]:
    order = sorted(writers)
    random.Random(turn).shuffle(order)
    return order


def _all(
    session: Session,
    jobs: Sequence[str],
    writers: Mapping[str, Callable[[Path], Path]],
    timings: Timings,
    folder: Path,
    kept: Path,
    progress: Progress,
) -> None:
    if session.lanes > 1:
        _side_by_side(session, jobs, writers, timings, folder, kept, progress)
        return
    files: dict[str, Path] = {}
    written = time.monotonic()
    for done, key in enumerate(jobs):
        progress(done, len(jobs))
        if key in timings.refused:
            continue
        try:
            if key not in files:
                files[key] = writers[key](folder / f"{len(files)}.tflite")
            latency_ms = session.time(files[key])
            timings.times_ms.setdefault(key, []).append(latency_ms)
        except (ConfigError, DeviceStableError) as error:
            timings.refused[key] = one_line(error)
        if time.monotonic() - written > KEEP_SECONDS:
            write_json(kept, timings.to_dict())
            written = time.monotonic()
    progress(len(jobs), len(jobs))


def _side_by_side(
    session: Session,
    jobs: Sequence[str],
    writers: Mapping[str, Callable[[Path], Path]],
    timings: Timings,
    folder: Path,
    kept: Path,
    progress: Progress,
) -> None:
    """Time files in as many threads as the session has lanes: nothing disturbs its answers."""

    def one(number: int) -> tuple[str, float | None, str]:
        key = jobs[number]
        try:
            return key, session.time(writers[key](folder / f"{number}.tflite")), ""
        except (ConfigError, DeviceStableError) as error:
            return key, None, one_line(error)

    written = time.monotonic()
    pool = ThreadPoolExecutor(session.lanes, "lane")
    try:
        for done, (key, latency_ms, why) in enumerate(pool.map(one, range(len(jobs)))):
            progress(done, len(jobs))
            if latency_ms is None:
                timings.refused[key] = why
            else:
                timings.times_ms.setdefault(key, []).append(latency_ms)
            if time.monotonic() - written > KEEP_SECONDS:
                write_json(kept, timings.to_dict())
                written = time.monotonic()
    finally:
        pool.shutdown(cancel_futures=True)
    progress(len(jobs), len(jobs))


def fitted(plan: SessionPlan, timings: Timings, about: Mapping[str, Any]) -> Predictor:
    """Return a predictor with the operations' costs, before any network was measured.

    Raises ConfigError where nothing of a data type could be measured.
    """
    overheads = {dtype: _overhead_ms(dtype, timings) for dtype in plan.dtypes}
    rows: dict[tuple[str, str], list[tuple[Term, float]]] = {}
    refused: dict[tuple[str, str], str] = {}
    for term in plan.terms:
        measured = timings.of(key_of(term))
        if measured is None:
            refused[term.op, term.dtype] = timings.refused.get(key_of(term), "not measured")
            continue
        own = max(measured - overheads[term.dtype], LEAST_SHARE * measured)
        rows.setdefault((term.op, term.dtype), []).append((term, own))
    for dtype in plan.dtypes:
        if not any(kind[1] == dtype for kind in rows):
            why = next((why for (_, kind), why in refused.items() if kind == dtype), "")
            raise ConfigError(f"{about['device']} runs no operation in {dtype}: {why}")
    kinds = {kind: KindCosts.fitted(*zip(*found, strict=True)) for kind, found in rows.items()}
    refused = {kind: why for kind, why in refused.items() if kind not in kinds}
    plain = Predictor(dict(about), kinds, overheads, {}, refused)
    return Predictor(dict(about), kinds, overheads, _surcharges(plan, timings, plain), refused)


def _overhead_ms(dtype: str, timings: Timings) -> float:
    """Return the time of an inference without its operations: n in a chain take it + n * each."""
    few, many = _CHAINS
    short, long = (timings.of(_chain_key(dtype, count)) for count in _CHAINS)
    if short is None or long is None:
        return 0.0
    each = max(long - short, 0.0) / (many - few)
    return max(short - few * each, 0.0)


def _surcharges(
    plan: SessionPlan, timings: Timings, plain: Predictor
) -> dict[tuple[str, str, str], float]:
    """Return factors for operations behind an up-sampling whose joints take much longer."""
    ratios_by_kind: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for joint in plan.joints:
        measured = timings.of(key_of(*joint))
        term, up = joint[-1], joint[0].op
        if measured is None:
            continue
        before = timings.of(key_of(*joint[:-1]))
        if before is None:
            before = plain.overhead_ms[term.dtype]
            before += sum(plain.cost(one.alone)[0] for one in joint[:-1])
        alone = plain.cost(term.alone)[0]
        ratios = (measured / (before + alone), (measured - before) / alone)
        ratios_by_kind.setdefault((term.op, term.dtype, up), []).append(ratios)
    return {
        key: statistics.median(own for _, own in ratios)
        for key, ratios in ratios_by_kind.items()
        if statistics.median(whole for whole, _ in ratios) > NOTABLE
    }
