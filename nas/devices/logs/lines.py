"""Lines of a log, freed from the layout that logcat or a logging library put around them.

Known layouts: the tool's own output (with or without a level prefix and a source position), logcat
as `threadtime`, `time`, `brief`, `tag`, `process` and `long`, and Android Studio's two. Layouts
may be mixed in one file: each line is looked at for itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

_STAMP = r"(?:(?:\d{4}-)?\d\d-\d\d )?\d\d:\d\d:\d\d\.\d{3,9}(?: [+-]\d{4}| UTC)?"
_LAYOUTS = {
    "threadtime": re.compile(
        rf"{_STAMP}\s+(?:\S+\s+)?(?P<pid>\d+)\s+(?P<tid>\d+)\s+(?P<level>[VDIWEFA])\s"
        r"(?P<tag>.*?)\s*:(?: (?P<text>.*))?$"
    ),
    "studio": re.compile(
        rf"{_STAMP}\s+(?P<pid>\d+)-(?P<tid>\d+)/(?P<process>\S+)\s(?P<level>[VDIWEFA])/"
        r"(?P<tag>.*?):(?: (?P<text>.*))?$"
    ),
    "studio-columns": re.compile(
        rf"{_STAMP}\s+(?P<pid>\d+)-(?P<tid>\d+)\s+(?P<tag>\S+)\s+(?:(?P<process>\S+)\s+)?"
        r"(?P<level>[VDIWEFA])\s{1,2}(?P<text>.*)$"
    ),
    "time": re.compile(
        rf"{_STAMP}\s+(?P<level>[VDIWEFA])/(?P<tag>.*?)\s*\(\s*(?P<pid>\d+)\):(?: (?P<text>.*))?$"
    ),
    "brief": re.compile(
        r"(?P<level>[VDIWEFA])/(?P<tag>[^():]*?)\s*\(\s*(?P<pid>\d+)\):(?: (?P<text>.*))?$"
    ),
    "process": re.compile(
        r"(?P<level>[VDIWEFA])\(\s*(?P<pid>\d+)\)\s+(?P<text>.*?)\s+\((?P<tag>[^()]*?)\s*\)$"
    ),
    "tag": re.compile(r"(?P<level>[VDIWEFA])/(?P<tag>[\w.\-]+)\s*:(?: (?P<text>.*))?$"),
}
_LONG_HEADER = re.compile(
    rf"\[ {_STAMP}\s+(?P<pid>\d+):\s*(?P<tid>\d+)\s+(?P<level>[VDIWEFA])/(?P<tag>\S+)\s*\]$"
)
_LEVEL = re.compile(r"(VERBOSE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL): ?(.*)$")
_GLOG = re.compile(r"([IWEF])\d{4} \d\d:\d\d:\d\d\.\d+\s+\d+ [\w./+-]+:\d+\] ?(.*)$")
_POSITION = re.compile(r"\[[\w./+-]+\.(?:cc|cpp|c|h|hpp|mm):\d+\] ?(.*)$")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_IDENTICAL = re.compile(r"identical (\d+) lines?$")
_EXPIRED = re.compile(r"expire (\d+) lines?$")


@dataclass(frozen=True)
class Line:
    """One message. `level` is a letter (V D I W E F), `prefixed` whether the tool printed it."""

    number: int
    text: str
    layout: str = "plain"
    level: str | None = None
    prefixed: bool = False
    tag: str | None = None
    pid: int | None = None


def read_lines(text: str) -> list[Line]:
    """The messages of a log, in order, comments and logcat's own headings left out."""
    lines: list[Line] = []
    heading: Line | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        row = _ANSI.sub("", raw).rstrip("\r")
        if (number == 1 and row.startswith("# source:")) or row.startswith("--------- "):
            continue
        if match := _LONG_HEADER.match(row):
            heading = Line(number, "", "long", match["level"], False, match["tag"], int(match[1]))
            continue
        line = _read_line(number, row)
        if heading is not None and line.layout == "plain":
            if not row:
                heading = None
                continue
            line = replace(heading, number=number, text=row)
        lines.append(_strip_prefix(line))
    return lines


def _read_line(number: int, row: str) -> Line:
    for layout, pattern in _LAYOUTS.items():
        if match := pattern.match(row):
            found = match.groupdict()
            pid = int(found["pid"]) if found.get("pid") else None
            text = found["text"] or ""
            return Line(number, text, layout, found["level"], False, found["tag"].strip(), pid)
    return Line(number, row)


def _strip_prefix(line: Line) -> Line:
    text, level, prefixed = line.text, line.level, False
    if match := _LEVEL.match(text):
        level, text, prefixed = match[1][0], match[2], True
    elif match := _GLOG.match(text):
        level, text, prefixed = match[1], match[2], True
    if match := _POSITION.match(text):
        text = match[1]
    return replace(line, text=text, level=level, prefixed=prefixed)


def unfold(lines: list[Line]) -> tuple[list[Line], int]:
    """The lines with logd's `chatty` folds put back, and how many lines logd threw away.

    logd replaces repeats of a process's line by "identical N lines" and, under pressure, whole
    stretches by "expire N lines": the first can be undone, the second is a loss to be told.
    """
    unfolded: list[Line] = []
    last: dict[int | None, Line] = {}
    lost = 0
    for line in lines:
        if line.tag != "chatty":
            unfolded.append(line)
            last[line.pid] = line
        elif match := _EXPIRED.search(line.text):
            lost += int(match[1])
        elif (match := _IDENTICAL.search(line.text)) and line.pid in last:
            unfolded.extend(
                replace(last[line.pid], number=line.number) for _ in range(int(match[1]))
            )
        elif match:
            lost += int(match[1])  # the line that was repeated is not in this excerpt
    return unfolded, lost


def of_process(lines: list[Line], pid: int) -> Iterator[Line]:
    """The lines of one process, and those that carry no process at all."""
    return (line for line in lines if line.pid in (None, pid))
