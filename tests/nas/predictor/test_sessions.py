"""Sessions on the host and on an emulated phone."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from nas.devices import TimingProtocol
from nas.devices.adb.server import AdbServer
from nas.errors import ConfigError, DeviceError, DeviceStableError, DeviceTransientError
from nas.predictor.microbenchmark_graphs import write_micrograph
from nas.predictor.sessions import open_session
from nas.predictor.terms import Term
from tests.helpers.phones import StartPhone, adb_server, own_folders, start_phone

__all__ = ["adb_server", "own_folders", "start_phone"]  # fixtures
PROTOCOL = TimingProtocol(launches=1, runs=2, threads=1)


def _file(folder: Path, channels: int, dtype: str = "float32") -> Path:
    term = Term("CONV_2D", dtype, (64, 64), (channels,), (64, 64), channels, 9)
    return write_micrograph(term, folder / f"{channels}-{dtype}.tflite")


def test_one_process_of_the_host_times_many_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_LOCK_DIR", str(tmp_path / "locks"))
    files = [_file(tmp_path, channels) for channels in (4, 32)]
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(b"no model" * 100)
    with open_session("host", PROTOCOL) as session:
        assert session.repeats
        small, large = (min(session.time(path) for _ in range(3)) for path in files)
        process: Any = session._worker.process.pid  # type: ignore[attr-defined]
        assert 0 < small < large  # 64 times the MACs
        with pytest.raises(DeviceStableError, match=r"host: LiteRT can't run .*bad.tflite"):
            session.time(bad)
        assert session.time(files[0]) > 0
        assert session._worker.process.pid == process  # type: ignore[attr-defined]
        os.kill(process, signal.SIGTERM)
        with pytest.raises(DeviceTransientError, match=r"was stopped; measure again"):
            session.time(files[0])
        assert session.time(files[0]) > 0
        last: Any = session._worker.process  # type: ignore[attr-defined]
    assert last.poll() is not None


def test_a_modelled_phone_is_asked_once(tmp_path: Path) -> None:
    with open_session("paper:pixel-4", PROTOCOL) as session:
        assert not session.repeats
        assert session.time(_file(tmp_path, 8)) < session.time(_file(tmp_path, 64))


def test_an_unknown_device_is_named() -> None:
    with pytest.raises(ConfigError, match=r"unknown device 'hst'"), open_session("hst", PROTOCOL):
        pass


def test_a_held_phone_times_several_files(
    start_phone: StartPhone, adb_server: AdbServer, tmp_path: Path
) -> None:
    phone = start_phone()
    with open_session(f"adb:{phone.address}", PROTOCOL) as session:
        small, large = (session.time(_file(tmp_path, channels)) for channels in (4, 64))
        assert 0 < small < large
        assert session.time(_file(tmp_path, 16, "int8")) > 0


def test_a_phone_that_is_away(adb_server: AdbServer) -> None:
    with (
        pytest.raises(DeviceError, match=r"phone 127.0.0.1:9 is not connected"),
        open_session("adb:127.0.0.1:9", PROTOCOL),
    ):
        pass
