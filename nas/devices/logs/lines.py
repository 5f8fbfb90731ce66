"""The messages of a log, without the layout that logcat or a logging library puts around them.

Known layouts: the tool's own output (with or without a level prefix and a source position), every
format of `logcat -v` (brief, process, tag, thread, time, threadtime, long, with epoch, monotonic,
uid, usec, year, zone and UTC), and Android Studio's two. Around any of them: quotes ("> "), the
stamps of `ts`, of syslog, of continuous integration and of NSLog, a container's name, and the file
or line number of `grep`. Layouts may be mixed in one file: each line is looked at for itself.

Every repetition in a pattern is bounded, so that a line of any length costs time in proportion.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

_ZONE = r"(?: ?[+-]\d\d:?\d\d| UTC|Z)?"
_CLOCK = r"\d\d:\d\d:\d\d[.,]\d{3,9}" + _ZONE
_STAMP = rf"\s{{0,20}}(?:(?:(?:\d{{4}}-)?\d\d-\d\d[ T])?{_CLOCK}|\d{{1,19}}\.\d{{3,9}})\s{{1,20}}"
_LEVEL_LETTER = r"(?P<level>[VDIWEFA])"
_TEXT = r"(?: (?P<text>.*))?$"
_PID = r"(?P<pid>\d{1,10})"
_UID = r"(?:[\w.]{1,20}:\s{0,10})?"
_TAGGED = rf"{_LEVEL_LETTER}/(?P<tag>[^()]{{0,100}}?)\s{{0,60}}\(\s{{0,10}}{_UID}{_PID}\):{_TEXT}"
_LAYOUTS = {
    "threadtime": re.compile(
        rf"{_STAMP}(?:\S{{1,20}}\s{{1,20}})?{_PID}\s{{1,20}}\d{{1,10}}\s{{1,4}}{_LEVEL_LETTER}\s"
        rf"(?P<tag>.{{0,200}}?)\s{{0,60}}:{_TEXT}"
    ),
    "studio": re.compile(
        rf"{_STAMP}{_PID}-\d{{1,10}}/\S{{1,200}}\s{_LEVEL_LETTER}/(?P<tag>.{{0,200}}?):{_TEXT}"
    ),
    "studio-columns": re.compile(
        rf"{_STAMP}{_PID}-\d{{1,10}}\s{{1,20}}(?P<tag>\S{{1,100}})\s{{1,80}}(?:\S{{1,200}}\s{{1,80}})?"
        rf"{_LEVEL_LETTER}\s{{1,2}}(?P<text>.*)$"
    ),
    "time": re.compile(_STAMP + _TAGGED),
    "brief": re.compile(_TAGGED),
    "tag": re.compile(
        rf"(?:{_STAMP})?{_LEVEL_LETTER}/(?P<tag>[\w.\-][\w.\- ]{{0,80}}?)\s{{0,60}}:{_TEXT}"
    ),
    "trimmed": re.compile(rf"{_STAMP}{_LEVEL_LETTER}\s(?P<tag>[\w.\-]{{1,80}})\s{{0,60}}:{_TEXT}"),
    "known-tag": re.compile(rf"{_LEVEL_LETTER} (?P<tag>tflite|litert|qnn)\s{{0,60}}:{_TEXT}"),
}
_PROCESS = re.compile(rf"{_LEVEL_LETTER}\(\s{{0,10}}(?P<ids>\w[\w.: ]{{0,60}})\) ?(?P<text>.*)$")
_TAG_AT_END = re.compile(r"\((?P<tag>[^()]{1,100}?)\s{0,60}\)$")
_LONG_HEADER = re.compile(
    rf"\[ {_STAMP}(?:[\w.]{{1,20}}[: ]\s{{0,10}})?{_PID}:\s{{0,10}}(?:0x)?[\da-f]{{1,10}} "
    rf"{_LEVEL_LETTER}/(?P<tag>\S{{1,100}})\s{{0,60}}\]$"
)
_OUTER = tuple(
    re.compile(pattern)
    for pattern in (
        r"\s{0,8}>\s?",  # a quotation
        r"\[(?=[^\]]{0,40}[:.])[\d/:.,TZ+\- ]{5,40}\]\s?",  # [2026-11-28 10:00:00], [  12.345678]
        rf"\d{{4}}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{{1,9}})?{_ZONE}"
        r"\s{1,20}(?:\S{1,60}\[\d{1,8}(?::[\da-fx]{1,12})?\]:?\s)?",  # ISO 8601; NSLog
        r"[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d(?:\.\d{1,9})?\s"
        r"(?:\S{1,60}\s[\w./-]{1,60}\[\d{1,8}\]:\s)?",  # ts; syslog
        r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\s{1,20}",
        r"\s{0,20}\d{9,10}(?:\.\d{1,9})?\s{1,20}",  # seconds since 1970
        r"\s{0,20}\d{1,7}\.\d{3,9}\s{1,20}(?=[A-Za-z#=>])",  # seconds since the start
        r"[\w./-]{1,200}\.(?:log|txt|out):(?:\d{1,7}:)?\s?",  # grep -H
        r"\s{0,8}\d{1,7}(?::|\t)\s?(?=\D)",  # grep -n, cat -n
        r"[\w.-]{1,40}\s{1,20}\|\s",  # docker compose
    )
)
_WORTH_A_LOOK = re.compile(
    r"\s{0,20}(?:[\d>\[]|[VDIWEFA][/( ]|[A-Z][a-z]{2} {1,2}\d"
    r"|[\w./-]{1,200}(?:\.\w{3}:|\s{1,20}\|))"
)
_LEVEL = re.compile(r"(VERBOSE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL): ?(.*)$")
_GLOG = re.compile(r"([IWEF])\d{4} [\d:.]{8,30}\s{1,20}\d{1,10} [\w./+-]{1,200}:\d{1,7}\] ?(.*)$")
_POSITION = re.compile(r"\[[\w./+-]{1,200}\.(?:cc|cpp|c|h|hpp|mm):\d{1,7}\] ?(.*)$")
_ANSI = re.compile(r"\x1b\[[0-9;]{0,20}m")
_IDENTICAL = re.compile(r"identical (\d{1,9}) lines?$")
_EXPIRED = re.compile(r"expire (\d{1,9}) lines?$")
_MOST_PREFIXES = 6
_MOST_REPEATS = 10_000
"""More operations of one kind in a row than any network has."""


@dataclass(frozen=True)
class Line:
    """One message of a log, from its line `number`.

    `layout` names the format it was found in. `level` is a letter (V D I W E F); `prefixed`:
    the tool itself printed a level. `tag` and `pid` are logcat's; None where there are none.
    """

    number: int
    text: str
    layout: str = "plain"
    level: str | None = None
    prefixed: bool = False
    tag: str | None = None
    pid: int | None = None


def read_lines(text: str) -> list[Line]:
    """Read the messages of a log in order, without comments and logcat's own headings."""
    lines: list[Line] = []
    heading: Line | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        row = _ANSI.sub("", raw) if "\x1b" in raw else raw
        if (number == 1 and row.startswith("# source:")) or row.startswith("--------- "):
            continue
        row, line = _read_row(number, row)
        if match := _LONG_HEADER.match(row):
            pid = int(match["pid"])
            heading = Line(number, "", "long", match["level"], False, match["tag"].strip(), pid)
            continue
        if heading is not None and line.layout == "plain":
            if not row:
                heading = None
                continue
            line = replace(heading, number=number, text=row)
        lines.append(_strip_prefix(line))
    return lines


def _read_row(number: int, row: str) -> tuple[str, Line]:
    """Strip a row of what was put around it; returns the rest, and the line that it is."""
    for _ in range(_MOST_PREFIXES):
        if not _WORTH_A_LOOK.match(row):
            break
        if line := _in_layout(number, row):
            return row, line
        if _LONG_HEADER.match(row):
            break
        outer = next((match for pattern in _OUTER if (match := pattern.match(row))), None)
        if outer is None or outer.end() == 0:
            break
        row = row[outer.end() :]
    row = row.strip()
    return row, Line(number, row)


def _in_layout(number: int, row: str) -> Line | None:
    for layout, pattern in _LAYOUTS.items():
        if match := pattern.match(row):
            values = match.groupdict()
            pid = int(values["pid"]) if values.get("pid") else None
            text, tag = values["text"] or "", values["tag"].strip()
            return Line(number, text, layout, values["level"], False, tag, pid)
    match = _PROCESS.match(row)
    return _of_process_or_thread(number, match) if match else None


def _of_process_or_thread(number: int, match: re.Match[str]) -> Line | None:
    """Read a line of `-v process`, which ends with its tag, or of `-v thread`, without one."""
    ids = [part.strip() for part in match["ids"].split(":")]
    end = _TAG_AT_END.search(match["text"][-200:])
    if end is not None:
        layout, tag, pid = "process", end["tag"], ids[-1]
        text = match["text"][: len(match["text"]) - len(end[0])].strip()
    else:
        layout, tag, text = "thread", None, match["text"]
        pid = ids[-2] if len(ids) > 1 else ids[0]
    if not pid.isdecimal() or len(pid) > 10:
        return None
    return Line(number, text, layout, match["level"], False, tag, int(pid))


def _strip_prefix(line: Line) -> Line:
    text, level, prefixed = line.text.strip(), line.level, False
    if match := _LEVEL.match(text):
        level, text, prefixed = match[1][0], match[2], True
    elif match := _GLOG.match(text):
        level, text, prefixed = match[1], match[2], True
    if match := _POSITION.match(text):
        text = match[1]
    return replace(line, text=text.strip(), level=level, prefixed=prefixed)


def unfold(lines: list[Line]) -> tuple[list[Line], int]:
    """Put back the lines that logd folded; returns the lines, and how many logd threw away.

    logd replaces repeats of a process's line by "identical N lines" and, under pressure, whole
    stretches by "expire N lines". The first can be undone, the second is a loss.
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
            repeats = min(int(match[1]), _MOST_REPEATS)
            unfolded.extend(replace(last[line.pid], number=line.number) for _ in range(repeats))
            lost += int(match[1]) - repeats
        elif match:
            lost += int(match[1])  # the line that was repeated is not in this excerpt
    return unfolded, lost


def of_process(lines: list[Line], pid: int) -> Iterator[Line]:
    """Select the lines of one process, and those without a process id."""
    return (line for line in lines if line.pid in (None, pid))
