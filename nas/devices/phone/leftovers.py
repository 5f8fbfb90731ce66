"""Shell text that clears up after a trial whose connection or whose process was lost.

The tool goes on without its connection, and NNAPI's log stays on. Both are noted in the phone's
folder before they start. The phone itself clears up when its lock is released, and again when the
lock is taken.
"""

from __future__ import annotations

import os
import re
import shlex
import socket

VLOG = "compilation,manager,execution"
"""NNAPI's log tags for placement and for fallbacks while running, without operands' dumps."""
VLOG_PROPERTY = "debug.nn.vlog"
"""The phone's property that switches NNAPI's log."""
VLOG_NOTE = "vlog.before"
"""The file that holds the property's older value."""
TOOL_NOTE = "running"
"""The file that names the tool's process."""
# The 22nd word of `stat`: the name before it may hold blanks and brackets. With the id it tells a
# process from a later one of the same id.
_STARTED = (
    r"started() { read -r line </proc/$1/stat && set -- ${line##*\) } && "
    "[ $1 != Z ] && echo ${20}; }"
)


def _host() -> str:
    return re.sub(r"[^\w.\-]", "_", f"{socket.gethostname()}-{os.getuid()}")


def note_process(folder: str) -> str:
    """Write the script that notes its own process, which becomes the tool, and our host."""
    note = f"{folder}/{TOOL_NOTE}"
    return f"{_STARTED}; {{ echo $$ $(started $$) {_host()} >{note}; }} 2>/dev/null"


def vlog_on(folder: str) -> str:
    """Write the script that notes the setting of NNAPI's log, and switches the log on."""
    note = shlex.quote(f"{folder}/{VLOG_NOTE}")
    return f"{vlog_back(folder)}; getprop {VLOG_PROPERTY} >{note}; setprop {VLOG_PROPERTY} {VLOG}"


def vlog_back(folder: str) -> str:
    """Write the script that undoes `vlog_on`: the log is off where no older setting is noted."""
    note = shlex.quote(f"{folder}/{VLOG_NOTE}")
    return (
        f'if [ "$(getprop {VLOG_PROPERTY})" = {VLOG} ]; then '
        f'setprop {VLOG_PROPERTY} "$(cat {note} 2>/dev/null)"; fi; rm -f {note}'
    )


def clear_up(folder: str) -> str:
    """Write the shell function `clear_up`: end the noted tool, and put NNAPI's log back.

    `$how` is "phone" where the phone is locked. Otherwise only this host's own tool is ended, as
    another host's may run rightly.
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
