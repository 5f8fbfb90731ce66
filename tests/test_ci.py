"""`.ci/run`: what it runs sees an empty home and nothing that the machine remembers."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "NAS_CACHE_DIR", "NAS_LOCK_DIR", "RAY_TMPDIR")
MAKE = """#!/bin/sh
env > {out}/environment
echo "$@" > {out}/arguments
find "$HOME/.." -type f > {out}/files
touch "$HOME/left"
chmod 500 "$HOME"
exit {code}
"""


@pytest.mark.parametrize("code", [0, 3])
def test_an_empty_home_and_empty_caches(code: int, tmp_path: Path) -> None:
    programs, home = tmp_path / "programs", tmp_path / "home"
    for folder in (programs, home / ".config" / "pip", home / ".ray"):
        folder.mkdir(parents=True)
    (programs / "make").write_text(MAKE.format(out=tmp_path, code=code))
    (programs / "make").chmod(0o755)
    pip = home / ".config" / "pip" / "pip.conf"
    pip.touch()
    path = f"{programs}:{os.environ['PATH']}"
    remembered = {name: str(home) for name in (*FOLDERS, "XDG_CONFIG_HOME", "KERAS_HOME")}
    remembered |= {"XDG_CONFIG_HOME": str(home / ".config"), "PATH": path}
    remembered |= {"RAY_AUTH_MODE": "token", "ANDROID_ADB_SERVER_PORT": "1", "TF_USE": "1"}
    done = subprocess.run([ROOT / ".ci" / "run"], env=remembered, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    lines = (tmp_path / "environment").read_text().splitlines()
    seen = dict(line.split("=", 1) for line in lines)
    assert seen["PATH"] == path
    assert seen["PIP_CONFIG_FILE"] == str(pip)  # how the machine gets its packages
    assert not {"RAY_AUTH_MODE", "ANDROID_ADB_SERVER_PORT", "TF_USE", "KERAS_HOME"} & set(seen)
    empty = Path(seen["HOME"]).parent
    assert all(empty in Path(seen[folder]).parents for folder in FOLDERS)
    assert (
        done.stdout == f".ci/run: an empty home and empty caches in {empty}, removed at the end\n"
    )
    assert (tmp_path / "arguments").read_text() in ("test EXTRAS=dev,npu\n", "test EXTRAS=dev\n")
    assert (tmp_path / "files").read_text() == ""
    assert not empty.exists()
