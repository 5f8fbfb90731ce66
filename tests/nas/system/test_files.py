import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nas.errors import RunError
from nas.system.files import (
    WriteError,
    cannot_write,
    held,
    open_lock,
    read_json,
    write_atomically,
    write_json,
)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.bin"

    def breaks(file) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, breaks)
    assert list(path.parent.iterdir()) == []
    write_atomically(path, lambda file: file.write(b"whole"))
    assert path.read_bytes() == b"whole"
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, breaks)
    assert [file.name for file in path.parent.iterdir()] == ["a.bin"]
    assert path.read_bytes() == b"whole"


def test_json_comes_back_and_nan_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"b": [1, 2.5, None]})
    assert read_json(path) == {"b": [1, 2.5, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"b": float("nan")})
    assert read_json(path) == {"b": [1, 2.5, None]}


def test_json_that_is_missing_or_damaged_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"absent\.json is missing"):
        read_json(tmp_path / "absent.json")
    (tmp_path / "cut.json").write_text('{"a": 1')
    with pytest.raises(RunError, match=r"cut\.json can't be read: Expecting"):
        read_json(tmp_path / "cut.json")


def test_a_full_disk_is_told_apart_from_other_failures(tmp_path: Path) -> None:
    full = cannot_write(tmp_path / "a", OSError(errno.ENOSPC, "No space left on device"))
    assert "the disk is full: can't write" in str(full)
    assert "free some space" in str(full)
    other = cannot_write(tmp_path / "a", OSError(errno.EACCES, "Permission denied"))
    assert str(other) == f"can't write {tmp_path / 'a'}: Permission denied"


def test_a_lock_in_a_place_that_is_no_folder_names_the_variable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match=r"can't write .*file/a\.lock: .* SOME_DIR may name"):
        open_lock(tmp_path / "file" / "a.lock", "SOME_DIR")
    descriptor = open_lock(tmp_path / "folder" / "a.lock", "SOME_DIR")
    os.close(descriptor)
    assert (tmp_path / "folder" / "a.lock").exists()


def test_a_folder_that_another_process_holds_names_its_owner(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from nas.system.files import held\n"
        "with held(Path(sys.argv[1])):\n print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with (
            pytest.raises(RunError, match=rf"held by another process \(pid {process.pid} on "),
            held(tmp_path),
        ):
            raise AssertionError("two processes hold the folder")
    finally:
        process.kill()
        process.communicate()
    with held(tmp_path):  # its owner was killed: the lock went with it
        assert json.loads((tmp_path / ".owner.json").read_text())["pid"] == os.getpid()
    assert not (tmp_path / ".owner.json").exists()
