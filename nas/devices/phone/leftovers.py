"""What a trial leaves on a phone whose link or whose owner goes away, and what clears it up.

The tool goes on without its connection, and NNAPI's log stays on. Both are noted in the phone's
folder, before; the phone itself clears up when the lock is let go, and again when it is taken. All
of it is text for the phone's shell.
"""

from __future__ import annotations

import os
import re
import shlex
import socket

VLOG = "compilation,manager,execution"
"""NNAPI's log tags for placement and for fallbacks while running, without operands' dumps."""
VLOG_PROPERTY = "debug.nn.vlog"
VLOG_NOTE = "vlog.before"
TOOL_NOTE = "running"
# The 22nd word of `stat`: the name before it may hold blanks and brackets. With the id it tells a
# process from a later one of the same id.
_STARTED = (
    r"started() { read -r line </proc/$1/stat && set -- ${line##*\) } && "
    "[ $1 != Z ] && echo ${20}; }"
)


def _host() -> str:
    return re.sub(r"[^\w.\-]", "_", f"{socket.gethostname()}-{os.getuid()}")


def note_process(folder: str) -> str:
    """Note the shell's own process, which becomes the tool: when it started, and for which host."""
    note = f"{folder}/{TOOL_NOTE}"
    return f"{_STARTED}; {{ echo $$ $(started $$) {_host()} >{note}; }} 2>/dev/null"


def vlog_on(folder: str) -> str:
    """Switch NNAPI's log on, the old setting noted: never our own, which an earlier probe left."""
    note = shlex.quote(f"{folder}/{VLOG_NOTE}")
    return f"{vlog_back(folder)}; getprop {VLOG_PROPERTY} >{note}; setprop {VLOG_PROPERTY} {VLOG}"


def vlog_back(folder: str) -> str:
    """Put NNAPI's log back as it was, or off where nothing tells; leaves a setting not of ours."""
    note = shlex.quote(f"{folder}/{VLOG_NOTE}")
    return (
        f'if [ "$(getprop {VLOG_PROPERTY})" = {VLOG} ]; then '
        f'setprop {VLOG_PROPERTY} "$(cat {note} 2>/dev/null)"; fi; rm -f {note}'
    )


def clear_up(folder: str) -> str:
    """The function `clear_up`: end the tool that was noted, and put NNAPI's log back.

    `$how` tells whether the phone is locked ("phone"). Where only this host is, another host's tool
    may run rightly.
    """
    note = shlex.quote(f"{folder}/{TOOL_NOTE}")
    return (
        f"{_STARTED}; clear_up() {{ "
        f'if read -r pid began host <{note} && [ -n "$began" ] && '
        f'{{ [ $how = phone ] || [ "$host" = {_host()} ]; }}; then tries=0; '
        'while [ "$(started $pid)" = "$began" ] && [ $tries -lt 50 ]; do '
        "kill -9 $pid; sleep 0.1; tries=$((tries + 1)); done; fi; "
        f"rm -f {note}; {vlog_back(folder)}; }} 2>/dev/null"
    )
