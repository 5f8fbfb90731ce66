"""Asks a run's NPUs what each replacement in a network would save, and keeps what they say.

A file of the changed network is made untrained, as latencies do not depend on weights, in a process
of its own: TensorFlow is not loaded here. The NPU's compiler and simulator are asked as in a trial.
An answer lies in the run's folder, so a report shows it without asking again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from nas.devices.measurement import TimingProtocol
from nas.devices.npu.chips import PARTLY, PREFIX
from nas.devices.npu.device import open_npu
from nas.devices.npu.failures import NpuError
from nas.errors import ConversionError, DeviceTransientError, NasError
from nas.networks.changes import Suggest
from nas.report.replacements import (
    Answer,
    ReadArchitecture,
    changed_network,
    precision_of,
    variants,
)
from nas.report.report_data import latency_metrics
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult
from nas.system.answering_process import AnsweringProcess
from nas.system.files import read_json, write_atomically, write_json
from nas.system.hashing import content_key

LIMIT_S = 300.0  # a file that takes longer hangs
_WORKER = "nas.compression.untrained_worker"

MakeFile = Callable[[Mapping[str, Any]], bytes]
"""Makes the `.tflite` of a candidate that it is told as JSON; ConversionError where none can be."""
AskNpu = Callable[[str, Path], Answer]
"""Asks the NPU of that spec about a file; DeviceTransientError where this machine is too busy."""


@final
@dataclass(frozen=True)
class KeptAnswers:
    """What NPUs said, by candidate and device; callable as `replacements` takes it."""

    run: RunFolder

    def __call__(self, device: str, candidate: Mapping[str, Any]) -> Answer | None:
        """Return what the device said of a candidate, None where it was not asked."""
        kept = self._of(candidate)["answers"].get(device)
        return None if kept is None else Answer(**kept)

    def keep(self, device: str, candidate: Mapping[str, Any], answer: Answer) -> None:
        """Write an answer; RunError where the folder can't be written."""
        kept = self._of(candidate)
        kept["answers"][device] = asdict(answer)
        write_json(self._path(candidate), kept)

    def _path(self, candidate: Mapping[str, Any]) -> Path:
        return self.run.replacement(content_key(candidate))

    def _of(self, candidate: Mapping[str, Any]) -> dict[str, Any]:
        path = self._path(candidate)
        kept = read_json(path) if path.exists() else {"candidate": candidate, "answers": {}}
        return dict(kept)


@dataclass(frozen=True)
class Question:
    """A candidate that differs by one choice from a trial's, and the NPU that is asked about it."""

    trial: int
    words: str
    device: str
    candidate: Mapping[str, Any]


def questions(
    run: RunFolder,
    models: Sequence[TrialResult],
    results: Sequence[TrialResult],
    suggest: Suggest | None,
) -> list[Question]:
    """Return what is not known yet of the models' replacements, each once, model by model."""
    answers, tried = KeptAnswers(run), {content_key(one.candidate): one for one in results}
    asked: dict[tuple[str, str], Question] = {}
    for model in models:
        npus = [d for d in latency_metrics(model) if d.startswith(PREFIX) and PARTLY not in d]
        for change, candidate in variants(model, results, suggest):
            key = content_key(candidate)
            for device in npus:
                known = key in tried and device in latency_metrics(tried[key])
                if not known and answers(device, candidate) is None:
                    words = f"{change.after} for {change.before}"
                    one = Question(model.number, words, device, candidate)
                    asked.setdefault((key, device), one)
    return list(asked.values())


def ask(
    run: RunFolder,
    asked: Sequence[Question],
    make: MakeFile,
    npu: AskNpu,
    tell: Callable[[int, Question], None],
) -> int:
    """Ask each question and keep the answer; return how many had none, for this machine was busy.

    `tell` hears how many were asked before, and which comes now.
    """
    answers, silent = KeptAnswers(run), 0
    made: tuple[str, Path | str] = ("", "")
    with tempfile.TemporaryDirectory(prefix="nas-replacements-") as folder:
        for number, question in enumerate(asked):
            tell(number, question)
            key = content_key(question.candidate)
            if made[0] != key:  # a candidate's devices follow each other
                made = key, _made(make, question.candidate, Path(folder) / f"{key}.tflite")
            file = made[1]
            if isinstance(file, str):
                answers.keep(question.device, question.candidate, Answer(None, "computed", file))
                continue
            try:
                answers.keep(question.device, question.candidate, npu(question.device, file))
            except DeviceTransientError:
                silent += 1
    return silent


def _made(make: MakeFile, candidate: Mapping[str, Any], path: Path) -> Path | str:
    """Return the file of a candidate, or why there is none."""
    try:
        content = make(candidate)
    except NasError as error:
        return str(error)
    write_atomically(path, lambda file: file.write(content))
    return path


@contextmanager
def files(read: ReadArchitecture, size: tuple[int, int]) -> Iterator[MakeFile]:
    """Yield what makes untrained files, in a process that ends with the generator."""
    process = AnsweringProcess.started(_WORKER)

    def make(candidate: Mapping[str, Any]) -> bytes:
        network = changed_network(candidate, read)
        try:
            made = process.asked((network.graph(), size, precision_of(candidate)), LIMIT_S)
        except (EOFError, OSError, TimeoutError) as error:
            raise ConversionError(f"the process that converts it ended: {error}") from error
        if not isinstance(made, bytes):
            raise ConversionError(str(made))
        return made

    try:
        yield make
    finally:
        process.end()


def ask_npu(device: str, file: Path) -> Answer:
    """Ask an NPU's compiler and simulator about a file; raises ConfigError without the extra."""
    try:
        found = open_npu(device).latency(file, TimingProtocol())
    except NpuError as error:
        return Answer(None, "simulated", error.failure.detail or str(error))
    return Answer(found.milliseconds, found.source, f"asked of the compiler: {found.about}")
