"""Splitting a log into runs of the benchmark tool.

A run prints its parts in one order: the command, the start, its settings, the model, the session,
two blocks of inferences, a summary. A part that comes earlier in that order than what was already
seen, or comes twice, begins the next run. Processes of a logcat are told apart by their ids.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from nas.devices.logs.endings import NOT_STARTED
from nas.devices.logs.lines import Line

COMMAND = re.compile(
    r"(?:^|[\s/\\\"'])(?:[\w.+-]{0,60}benchmark_model[\w.+-]{0,60}|litert[ -]benchmark|run_model)"
    r"[\"']?(?=\s)"
)
"""The name of a benchmark tool in a command line."""
ARGUMENTS = "Running TensorFlow Lite benchmark with args"
"""The line in which a tool prints its own arguments begins so."""
_STARTS = (
    (1, (ARGUMENTS, "The list of TFLite runtime options to be benchmarked")),
    (2, ("STARTING!",)),
    (3, ("Log parameter values verbosely",)),
    (4, ("Graph:", "Graph :")),
    (5, ("Loaded model ", "Loading model from")),
    (6, ("Initialized session in",)),
    (7, ("Running benchmark for at least", "count=")),
    (8, ("Inference timings in us", "Average inference timings in us")),
    (8, ("========== BENCHMARK RESULTS",)),
)
_COMMAND_STAGE, _BLOCKS, _ENDED = 0, 7, 9
_ENDS = re.compile(
    r"Benchmarking failed|Segmentation fault"
    r"|(?:Aborted|Killed|Terminated|Bus error|Illegal instruction)(?:$| \()"
)
_NO_COMMAND = re.compile(r"\b(?:Killed|Terminated|Aborted|Segmentation|not found|denied)\b")
_FIRST_LETTERS = frozenset(word[0] for _, words in _STARTS for word in words)
_OPTION = re.compile(
    r"(cpu w/ \d{1,4} threads(?: \([\w -]{1,40}\))?|gpu-\w{1,40}|nnapi\([^()]{0,60}\)"
    r"|dsp w/ hexagon|coreml): {1,4}(count=.*|failed!)$"
)
_ANY_OPTION = re.compile(r"([^=:]{1,80}): {1,4}(count=.*|failed!)$")
_OPTIONS_TITLE = "Summary of All Runs w/ Different Performance Options"
_NO_OPTION = ("Timings (microseconds)", "Memory (bytes)")


@dataclass
class Run:
    """The lines of one run.

    `option` is the run's name and `option_text` its figures in a summary of several runs. `mixed`:
    lines of statistics of several runs can't be told apart. `known`: the lines hold some part of a
    run. `pid` is the process of a logcat that printed the run. While lines are added, `stage` is
    the last part that was seen, `last` the last text, `blocks` and `limits` count blocks of
    inferences and their headings, `doubled` says that lines are printed twice.
    """

    lines: list[Line] = field(default_factory=list)
    option: str | None = None
    option_text: str = ""
    mixed: bool = False
    known: bool = False
    pid: int | None = None
    stage: int = -1
    last: str = ""
    blocks: int = 0
    limits: int = 0
    doubled: bool = False

    @property
    def statistics(self) -> list[str]:
        """The run's lines of statistics, as they stand in the log."""
        return [line.text for line in self.lines if line.text.startswith("count=")]


def split_runs(lines: Iterable[Line]) -> list[Run]:
    """Split a log into its runs, in order and at least one; every line is in one of them.

    Lines of other processes, and lines before the first run, belong to the run beside them.
    """
    splitter = _Splitter()
    for line in lines:
        splitter.take(line)
    return _without_repeats(splitter.named())


def one_run(lines: list[Line]) -> Run:
    """Take all lines as one run, in whatever order one start of the tool printed them."""
    run = Run(lines, known=True)
    run.mixed = len(run.statistics) > 2
    return run


def is_command(text: str) -> bool:
    """Whether a line is a command that starts the tool."""
    return bool(
        ("benchmark" in text or "run_model" in text)
        and ("--" in text or text.endswith("\\"))
        and COMMAND.search(text[:4000])
        and not _NO_COMMAND.search(text[:4000])
    )


def _stage_of(text: str) -> int | None:
    if text[:1] in _FIRST_LETTERS:
        for stage, words in _STARTS:
            if text.startswith(words):
                return stage
    if _ENDS.match(text):
        return _ENDED
    if is_command(text):
        return _COMMAND_STAGE
    return None


@dataclass
class _Splitter:
    runs: list[Run] = field(default_factory=lambda: [Run()])
    current: dict[int | None, Run] = field(default_factory=dict)
    options: list[tuple[str, Line]] = field(default_factory=list)
    in_summary: bool = False

    def take(self, line: Line) -> None:
        if self._take_option(line):
            return
        stage = _stage_of(line.text)
        run = self.current.get(line.pid)
        if stage is None and NOT_STARTED.search(line.text[:2000]) and run and run.stage > 0:
            self._add(self._new(line.pid), line, _ENDED)
        elif stage is None:
            (run or self.runs[-1]).lines.append(line)
            if line.text:
                (run or self.runs[-1]).last = line.text
        else:
            self._take_part(run, line, stage)

    def _take_part(self, run: Run | None, line: Line, stage: int) -> None:
        """Add a line that begins a part of a run."""
        self.in_summary = False
        if run is None:
            fresh = not self.runs[-1].known and self.runs[-1].stage < 0
            run = self.runs[-1] if fresh else self._new(line.pid)
            self.current[line.pid] = run
        if stage == run.stage and line.text == run.last and (stage != _BLOCKS or run.doubled):
            run.doubled = True  # printed twice: to the terminal and to the phone's log
            return
        if stage == _ENDED and run.stage < 0:
            run.lines.append(line)  # standard error was saved before standard output
            run.last = line.text
            return
        if self._begins(run, line, stage):
            run = self._new(line.pid)
        self._add(run, line, stage)

    @staticmethod
    def _begins(run: Run, line: Line, stage: int) -> bool:
        if stage == _BLOCKS and run.stage == _BLOCKS:
            return line.text.startswith("Running") and (run.limits > 1 or run.blocks > 1)
        if run.stage == _ENDED and stage in (_BLOCKS, _BLOCKS + 1):
            return False  # standard output came later than standard error
        if stage == run.stage == _COMMAND_STAGE:
            return not is_command(run.last)
        return stage < run.stage or (stage == run.stage and stage != _ENDED)

    def _new(self, pid: int | None) -> Run:
        run = Run()
        self.runs.append(run)
        self.current[pid] = run
        return run

    def _add(self, run: Run, line: Line, stage: int) -> None:
        if line.text.startswith("count="):
            run.blocks += 1
            run.mixed = run.mixed or run.blocks > 2
        elif stage == _BLOCKS:
            run.limits += 1
        run.stage, run.last = max(run.stage, stage), line.text
        run.known, run.pid = True, line.pid
        run.lines.append(line)

    def _take_option(self, line: Line) -> bool:
        """Note a line of a summary of runs with several options."""
        if _OPTIONS_TITLE in line.text[:200]:
            self.in_summary = True
            return True
        pattern = _ANY_OPTION if self.in_summary else _OPTION
        match = pattern.match(line.text) if line.text[-400:].find(": ") > 0 else None
        if match is None or match[1] in _NO_OPTION:
            return False
        self.options.append((match[1].strip(), line))
        return True

    def named(self) -> list[Run]:
        """Return the runs, and a run of its own for each line of a summary that no run printed."""
        runs = [run for run in self.runs if run.lines or len(self.runs) == 1]
        for name, line in self.options:
            text = line.text.partition(": ")[2].strip()
            owner = next((r for r in runs if not r.option and text in r.statistics[1:]), None)
            if owner is not None:
                owner.option = name
            else:
                runs.append(Run([line], name, text, known=True))
        return [run for run in runs if run.known or len(runs) == 1] if self.options else runs


def _without_repeats(runs: list[Run]) -> list[Run]:
    """Merge runs that were saved twice, from the terminal and from the phone's log."""
    distinct: list[Run] = []
    for run in runs:
        twin = next((other for other in distinct if _is_twin(other, run)), None)
        if twin is None:
            distinct.append(run)
            continue
        texts = {line.text for line in twin.lines}
        twin.lines += [line for line in run.lines if line.text not in texts]
    return distinct


def _is_twin(run: Run, other: Run) -> bool:
    pids = [
        {line.pid for line in lines if line.text.startswith("count=")}
        for lines in (run.lines, other.lines)
    ]
    same = run.statistics == other.statistics and len(run.statistics) > 1
    return same and pids[0] != pids[1] and None in pids[0] | pids[1]
