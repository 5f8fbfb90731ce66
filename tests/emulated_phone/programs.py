"""The small programs of an emulated phone, and the launcher of its stand-in benchmark tool."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

from tests.emulated_phone.profiles import Profile

_GETPROP = """#!/bin/bash
cd "$EMULATED_PHONE/props"
if [ -n "$1" ]; then cat "$1" 2>/dev/null || echo "$2"; exit; fi
for name in *; do read -r value < "$name"; echo "[$name]: [$value]"; done
"""
_SETPROP = """#!/bin/bash
printf '%s\\n' "$2" > "$EMULATED_PHONE/props/$1"
"""
_DUMPSYS = """#!/bin/bash
cat "$EMULATED_PHONE/dumpsys/$1" 2>/dev/null || echo "Can't find service: $1"
"""
_LOGCAT = """#!/bin/bash
for argument in "$@"; do
  case "$argument" in
    -c) : > "$EMULATED_PHONE/logcat.txt"; exit ;;
    -G) exit ;;
  esac
done
echo '--------- beginning of main'
cat "$EMULATED_PHONE/logcat.txt"
"""
_TASKSET = """#!/bin/bash
echo "$1" >> "$EMULATED_PHONE/tasksets.txt"
shift
exec "$@"
"""
_DF = """#!/bin/bash
if grep -qs '"kind": "full"' "$EMULATED_PHONE"/faults/*.json; then free=0; else free=4000000; fi
echo "Filesystem 1K-blocks Used Available Use% Mounted on"
echo "/dev/block/dm-0 8000000 4000000 $free 50% /data"
"""
_DATE = """#!/bin/bash
read -r jump 2>/dev/null < "$EMULATED_PHONE/clock"
exec /usr/bin/date -d "${jump:-0} seconds" "$@"
"""
_SERVICE = """#!/bin/bash
cat "$EMULATED_PHONE/services.txt"
"""
_PROCSTAT = """#!/bin/bash
read -r permille < "$EMULATED_PHONE/busy_permille"
now=$(/usr/bin/date +%s%3N)
echo "cpu  $((now * permille / 1000)) 0 0 $((now * (1000 - permille) / 1000)) 0 0 0 0 0 0"
"""
_LAUNCHER = """#!{python} -SE
# a stand-in for the tool of {tool}
import sys
sys.path[:0] = [{paths}]
from tests.emulated_phone.tool import main
main()
"""


def write_programs(folder: Path, profile: Profile) -> None:
    """Write the programs below `folder`/bin, and what they tell."""
    programs = {
        "getprop": _GETPROP,
        "setprop": _SETPROP,
        "dumpsys": _DUMPSYS,
        "logcat": _LOGCAT,
        "taskset": _TASKSET,
        "service": _SERVICE,
        "df": _DF,
        "date": _DATE,
        "procstat": _PROCSTAT,
    }
    for name, text in programs.items():
        _executable(folder / "bin" / name, text)
    (folder / "services.txt").write_text(
        "Found services:\n0\tbattery: [android.os.IBattery]\n"
        + "".join(
            f"{number}\tandroid.hardware.neuralnetworks.IDevice/{name}: []\n"
            for number, name in enumerate(profile.accelerators, 1)
        )
    )
    build = f"{profile.manufacturer}/{profile.name}/{profile.name}:{profile.android}/EMU.1/1"
    properties = {
        "ro.product.manufacturer": profile.manufacturer,
        "ro.product.model": profile.model,
        "ro.soc.model": profile.chip,
        "ro.board.platform": profile.chip,
        "ro.build.version.release": profile.android,
        "ro.build.version.sdk": str(profile.sdk),
        "ro.build.fingerprint": f"{build}:user/release-keys",
        "ro.build.id": "EMU.1",
        "ro.product.cpu.abilist": ",".join(profile.abis),
        "ro.product.cpu.abi": profile.abis[0],
        "ro.boot.emulated": "1",
        "ro.portable_nas.synthetic": "1",
    }
    for name, value in properties.items():
        (folder / "props" / name).write_text(value + "\n")


def write_tool(path: Path, tool: str = "2026", lacks: tuple[str, ...] = ()) -> None:
    """Write the launcher of the stand-in for `benchmark_model` to `path`, executable.

    Tools with different flags have different contents, as their flags are kept by content.
    """
    here = Path(__file__).parents[2]
    site = sysconfig.get_paths()
    paths = dict.fromkeys([str(here), site["purelib"], site["platlib"]])
    listed = ", ".join(repr(entry) for entry in paths)
    text = _LAUNCHER.format(python=sys.executable, paths=listed, tool=" ".join((tool, *lacks)))
    _executable(path, text)


def _executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
