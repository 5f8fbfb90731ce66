"""`nas doctor`: this computer, and emulated phones with one fault each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from nas.cli import doctor
from nas.devices.adb.server import AdbServer
from nas.devices.adb.wire import AdbEntry
from nas.devices.checkup import host
from nas.devices.phone.fitness import LIMITS_VARIABLE
from nas.errors import ConfigError
from tests.emulated_phone.libraries import write_qualcomm
from tests.emulated_phone.phone import TOOL_PATH, EmulatedPhone
from tests.helpers.envelope import data_of
from tests.helpers.phones import StartPhone, adb_server, clean, own_folders, start_phone

__all__ = ["adb_server", "own_folders", "start_phone"]

app = typer.Typer()
app.command("doctor")(doctor.doctor)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "pace_ms", lambda: 1.0)
    monkeypatch.setattr(host.shutil, "disk_usage", lambda path: _Free(50e9))
    monkeypatch.delenv(LIMITS_VARIABLE, raising=False)


class _Free:
    def __init__(self, free: float) -> None:
        self.free = free


def looked(code: int, *arguments: str) -> dict[tuple[str, str], dict[str, Any]]:
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == code, result.stdout
    return {(row["about"], row["what"]): row for row in data_of(result.stdout, "doctor")}


def of_phone(phone: EmulatedPhone, code: int, *arguments: str) -> dict[str, dict[str, Any]]:
    rows = looked(code, "--device", f"adb:{phone.address}", *arguments)
    return {what: row for (about, what), row in rows.items() if about != "host"}


def test_a_phone_that_is_well(start_phone: StartPhone, adb_server: AdbServer) -> None:
    phone = start_phone("gpu-2024")
    rows = of_phone(phone, 0)
    assert {row["state"] for row in rows.values()} == {"ok", "note"}
    assert rows["tool"]["seen"].startswith("LiteRT's CompiledModel tool, 4")
    assert rows["delegate gpu"]["seen"] == "can run (the default here)"
    seen = rows["delegate npu"]["seen"]
    assert seen.startswith("not in the installed vendor packages: libLiteRtDispatch_GoogleTensor")
    assert rows["delegate nnapi"]["seen"] == "the CompiledModel tool has no NNAPI"
    assert rows["delegate nnapi"]["remedy"] == "give the classic one"
    assert all(row["remedy"] for row in rows.values() if row["state"] != "ok")
    assert clean(phone)


def test_a_phone_that_did_not_accept_the_key(
    start_phone: StartPhone, adb_server: AdbServer
) -> None:
    phone = start_phone()
    phone.inject("unauthorized")
    phone.unplug()
    phone.plug()
    adb_server.client().disconnect(phone.address)
    adb_server.connect(phone.address)
    rows = of_phone(phone, 7)
    assert list(rows) == ["connection"]
    assert rows["connection"]["seen"] == "unauthorized: adb says unauthorized"
    assert rows["connection"]["remedy"] == "unlock the phone and accept this computer's key"


def test_a_phone_that_is_full(start_phone: StartPhone, adb_server: AdbServer) -> None:
    phone = start_phone()
    phone.inject("full")
    row = of_phone(phone, 7)["storage"]
    assert (row["state"], row["seen"]) == ("failed", "0 MB free at /data/local/tmp")
    assert "free 200 MB" in row["remedy"]


def test_a_hot_phone_that_is_low(start_phone: StartPhone, adb_server: AdbServer) -> None:
    phone = start_phone()
    phone.set_state(celsius=48.0, battery=7)
    rows = looked(0, "--device", phone.address)
    seen = {row["seen"].split(" ")[0]: row for row in rows.values() if row["what"] == "fitness"}
    assert seen.keys() <= {"hot", "throttled", "low"}
    text = CliRunner().invoke(app, ["--device", phone.address]).stdout
    assert "let it cool down" in text
    assert "charge it" in text


def test_a_phone_without_a_tool(start_phone: StartPhone, adb_server: AdbServer) -> None:
    phone = start_phone()
    phone.path(TOOL_PATH).unlink()
    row = of_phone(phone, 7)["tool"]
    assert (row["state"], row["seen"]) == ("failed", f"no benchmark tool at {TOOL_PATH}")
    assert "--benchmark-binary PATH" in row["remedy"]


def test_a_tool_that_is_no_tool(start_phone: StartPhone, adb_server: AdbServer) -> None:
    phone = start_phone()
    phone.path(TOOL_PATH).write_text("#!/bin/sh\necho hello\n")
    assert "is no benchmark tool" in of_phone(phone, 7)["tool"]["seen"]


def test_an_older_tool(start_phone: StartPhone, adb_server: AdbServer) -> None:
    lacks = ("gpu-precision", "require_full_delegation")
    row = of_phone(start_phone("gpu-2024", tool_lacks=lacks), 0)["tool's flags"]
    assert row["state"] == "warning"
    assert row["seen"] == "the tool does not know --gpu-precision, --require_full_delegation"


def test_libraries_of_an_npu(
    start_phone: StartPhone, adb_server: AdbServer, tmp_path: Path
) -> None:
    phone = start_phone("npu-2025")
    row = of_phone(phone, 0)["delegate npu"]
    assert row["state"] == "note"
    assert "libQnnHtpV75Skel.so" in row["seen"]
    assert "--npu-libraries DIR" in row["remedy"]
    newer = write_qualcomm(tmp_path / "v79", hexagon="79")
    row = of_phone(phone, 0, "--npu-libraries", str(newer))["delegate npu"]
    assert row["seen"].endswith("; what is there is for Hexagon V79, this chip has V75")
    assert row["remedy"] == "give a folder that has them with --npu-libraries DIR"
    folder = write_qualcomm(tmp_path / "qairt")
    assert of_phone(phone, 0, "--npu-libraries", str(folder))["delegate npu"]["state"] == "ok"


def test_lines_break_at_words_on_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "out", Console(width=60, force_terminal=True, color_system=None))
    long = doctor._lines("adb:1, tool's flags: the tool does not know --gpu-precision, --verbose")
    assert long == ["adb:1, tool's flags: the tool does not know", "--gpu-precision, --verbose"]
    monkeypatch.setattr(doctor, "out", Console(width=60, force_terminal=False))
    assert doctor._lines("word " * 30) == ["word " * 30]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--npu-libraries", str(tmp_path / "none")])
    assert result.exit_code == 2
    assert "--npu-libraries" in result.output


def test_a_serial_that_nobody_has(start_phone: StartPhone, adb_server: AdbServer) -> None:
    start_phone()
    rows = looked(7, "--device", "adb:NOBODY")
    row = rows["adb:NOBODY", "connection"]
    assert row["state"] == "failed"
    assert row["seen"].startswith("not connected; connected: ")


def test_this_computer(adb_server: AdbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = looked(0)
    assert {about for about, _ in rows} == {"host"}
    assert rows["host", "python"]["state"] == "ok"
    assert "ai-edge-litert 2.3" in rows["host", "packages"]["seen"]
    assert rows["host", "pace"]["seen"] == "a fixed sum takes 1.00 ms usually, 1.00 ms at best"
    monkeypatch.setattr(host.shutil, "disk_usage", lambda path: _Free(0.5e9))
    rows = looked(1)
    assert rows["host", "disk"]["state"] == "failed"
    assert rows["host", "disk"]["remedy"] == "free 1 GB at least"


def test_a_processor_that_others_slow_down(monkeypatch: pytest.MonkeyPatch) -> None:
    paces = iter([1.0, *[2.0] * 100])
    monkeypatch.setattr(host, "pace_ms", lambda: next(paces))
    (row,) = (finding for finding in host.check_host() if finding.what == "pace")
    assert (row.state, row.seen) == (
        "warning",
        "a fixed sum takes 2.00 ms usually, 1.00 ms at best",
    )


def test_a_phone_that_this_user_may_not_open(
    adb_server: AdbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [AdbEntry("R58M", "no permissions")]
    monkeypatch.setattr(AdbServer, "entries", lambda self: entries)
    rows = {row.what: row for row in host.check_adb(adb_server)}
    assert rows["udev"].seen == "no permission to open R58M"
    assert "udev rule" in rows["udev"].remedy


def test_no_adb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "adb_program", lambda: None)
    (row,) = host.check_adb(AdbServer("127.0.0.1", 1))
    assert (row.state, row.seen) == ("failed", "no adb program")


def test_a_gpu_device_that_lacks_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise ConfigError("gpu: no Vulkan driver was found: apt-get install one")

    monkeypatch.setattr(host, "find_driver", none)
    (row,) = (finding for finding in host.check_host() if finding.what == "gpu device")
    assert (row.state, row.seen) == ("note", "no Vulkan driver was found")
    assert row.remedy == "apt-get install one"
