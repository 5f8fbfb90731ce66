"""`nas devices`, `nas probe`, `nas parse-log` as functions behind a command line of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nas.cli import devices
from nas.cli.app import app
from nas.devices.adb.server import AdbServer
from nas.devices.gpu.device import SPECS
from nas.devices.npu.chips import CHIPS
from nas.devices.npu.requirements import Machine
from nas.errors import ConfigError, DeviceStableError
from tests.emulated_phone import models
from tests.emulated_phone.phone import EmulatedPhone
from tests.emulated_phone.profiles import PROFILES
from tests.emulated_phone.server import PrivateAdbServer, free_port
from tests.helpers.envelope import data_of, error_of
from tests.helpers.gpu_graphs import needs_driver, write_refused
from tests.helpers.npu_graphs import needs_extra, write_operation, write_transposed

LOGS = Path(__file__).parents[2] / "fixtures" / "device_logs"


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[EmulatedPhone]]:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path))
    with (
        PrivateAdbServer() as server,
        EmulatedPhone(PROFILES["pixel4-like"]) as one,
        EmulatedPhone(PROFILES["modern"]) as other,
    ):
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
        AdbServer("127.0.0.1", server.port).connect(one.address)
        yield [one, other]


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(app, [*arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result


def test_devices(lab: list[EmulatedPhone]) -> None:
    one, other = lab
    one.set_state(battery=7)
    done = run("devices", "--connect", other.address, "--json")
    rows = data_of(done.stdout, "devices")
    assert rows[0]["device"] == "host"
    found = {row["serial"]: row for row in rows}
    first = found[one.address]
    assert first["device"] == f"adb:{one.address}"
    assert first["state"] == "device"
    assert (first["model"], first["chip"], first["android"]) == ("Pixel4-like", "sm8150-like", "10")
    assert first["build"].startswith("emulated/pixel4-like")
    assert "qti-dsp" in first["accelerators"]
    assert first["big_core_mask"] == "f0"
    assert (first["battery_percent"], first["thermal_status"]) == (7, 0)
    assert first["source"] == "synthetic"
    assert first["fit"] is False
    assert "low on battery" in first["advice"]
    assert found[other.address]["fit"] is True
    assert (first["delegates"], first["default_delegate"]) == (["gpu", "nnapi", "cpu"], "nnapi")
    assert first["missing_for"]["npu"].endswith("give LiteRT's CompiledModel one")
    text = run("devices").stdout
    assert "gpu, nnapi*, cpu" in text
    assert "(synthetic)" in text


def test_devices_that_are_away_are_listed_with_advice(lab: list[EmulatedPhone]) -> None:
    one, _ = lab
    one.inject("unauthorized")
    one.unplug()
    one.plug()
    server = AdbServer.from_environment()
    server.client().disconnect(one.address)
    server.connect(one.address)
    rows = data_of(run("devices", "--json").stdout, "devices")
    (row,) = (row for row in rows if row["kind"] == "phone")
    assert row["state"] == "unauthorized"
    assert "accept this computer's key" in row["advice"]
    assert row["model"] is None


def test_npus_are_listed_with_what_is_missing(
    lab: list[EmulatedPhone], monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = Machine("Linux", "x86_64", (2, 36), {})
    monkeypatch.setattr(Machine, "here", classmethod(lambda cls: bare))
    host, phone, *rows = data_of(run("devices", "--json").stdout, "devices")
    assert (host["kind"], host["source"]) == ("host", "measured")
    papers = [row for row in rows if row["kind"] == "paper"]
    assert len(papers) == 3
    rows = [row for row in rows if row["kind"] == "npu"]
    assert phone["serial"] == lab[0].address
    found = {row["device"]: row for row in rows if row["device"] not in SPECS}
    assert found.keys() == {chip.spec for chip in CHIPS.values()}
    row = found["npu:sm8650"]
    assert row.keys() == phone.keys()
    assert (row["state"], row["fit"], row["source"]) == ("missing", False, "modelled")
    assert row["advice"].endswith("pip install 'portable-nas[npu]'")
    assert found["npu:sa8255"]["source"] == "simulated"
    result = run("devices")
    assert "Galaxy S24" in result.stdout
    assert "pip install 'portable-nas[npu]'" in " ".join(result.stderr.split())


def test_the_gpu_is_listed_with_what_is_missing(
    lab: list[EmulatedPhone], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VK_DRIVER_FILES", str(tmp_path / "none.json"))
    _, phone, *rows = data_of(run("devices", "--json").stdout, "devices")
    found = {row["device"]: row for row in rows if row["device"] in SPECS}
    assert found.keys() == set(SPECS)
    assert all(row.keys() == phone.keys() for row in found.values())
    assert (found["gpu"]["state"], found["gpu"]["fit"]) == ("missing", False)
    result = run("devices")
    assert "which is no readable manifest of a Vulkan driver" in " ".join(result.stderr.split())


@needs_driver
def test_measure_on_the_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAS_LOCK_DIR", str(tmp_path / "locks"))
    model = str(write_operation(tmp_path / "m.tflite", "RELU", "float32"))
    found = data_of(run("measure", model, "--device", "gpu:fp32", "--json").stdout, "measure")
    assert (found["device"], found["latency_ms"]) == ("gpu:fp32", None)
    assert [row["accelerator"] for row in found["placement"]] == ["gpu", "gpu"]
    result = run("measure", model, "--device", "gpu:fp32")
    assert "2 of 2 operations on the GPU" in result.stdout
    assert "It has no latency" in result.stdout
    model = str(write_refused(tmp_path / "refused.tflite"))
    refused = CliRunner().invoke(app, ["measure", model, "--device", "gpu:fp32", "--json"])
    details = error_of(refused.stdout, "measure")["details"]
    assert details["failure"]["class"] == "not_delegated"
    assert "MIRROR_PAD (Only Reflective padding" in str(refused.exception)


@needs_extra
def test_measure_on_an_npu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NAS_LOCK_DIR", str(tmp_path / "locks"))
    model = str(write_operation(tmp_path / "m.tflite", "RELU", "int8", (1, 32, 32, 16)))
    done = run("measure", model, "--device", "npu:sm8650", "--json")
    found = data_of(done.stdout, "measure")
    assert (found["device"], found["source"], found["count"]) == ("npu:sm8650", "modelled", 0)
    assert found["figures"]["ddr_read_mb"] > 0
    result = run("measure", model, "--device", "npu:sa8255")
    assert "simulated, not measured: " in result.stdout
    assert "ddr_read_mb" in result.stdout
    assert "with 0%" not in result.stdout
    assert "simulating m.tflite on npu:sa8255" in result.stderr


@needs_extra
def test_a_refusal_of_an_npu_as_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAS_LOCK_DIR", str(tmp_path / "locks"))
    model = str(write_transposed(tmp_path / "odd.tflite", "int8", 5))
    result = CliRunner().invoke(app, ["measure", model, "--device", "npu:sm8650", "--json"])
    assert isinstance(result.exception, DeviceStableError)
    found = error_of(result.stdout, "measure")["details"]
    assert found["source"] == "simulated"
    assert found["failure"]["class"] == "partially_delegated"
    assert [row["accelerator"] for row in found["placement"]] == ["npu", "cpu"]


def test_no_devices() -> None:
    with PrivateAdbServer() as server:
        result = run("devices", "--adb-server", f"127.0.0.1:{server.port}", "--json")
    assert data_of(result.stdout, "devices") == []


def test_what_adb_said_to_an_address_that_nobody_answers_at() -> None:
    with PrivateAdbServer() as server:
        bad = f"127.0.0.1:{free_port()}"
        result = run("devices", "--adb-server", f"127.0.0.1:{server.port}", "--connect", bad)
    words = " ".join(result.stderr.split())
    assert f"{bad} is not connected; adb said: failed to connect to" in words
    assert "give --connect" not in words


def test_probe(lab: list[EmulatedPhone], monkeypatch: pytest.MonkeyPatch) -> None:
    from nas.devices.phone import operation_support

    short = (False, None, ("float32",), ("CONV_2D",))
    monkeypatch.setattr(operation_support.probe_support, "__defaults__", short)
    one, _ = lab
    arguments = ("probe", "--device", f"adb:{one.address}", "--protocol", "paper")
    (matrix,) = data_of(run(*arguments, "--json").stdout, "probe")
    rows = {row["op"]: row for row in matrix["rows"]}
    assert rows["TRANSPOSE_CONV"]["accelerated"] is False
    assert rows["TRANSPOSE_CONV"]["accelerator"] == "nnapi-reference"
    assert rows["CONV_2D"]["accelerated"] is True
    assert "TRANSPOSE_CONV" in run(*arguments).stdout


def test_measure_on_a_phone(lab: list[EmulatedPhone], tmp_path: Path) -> None:
    one, _ = lab
    unet = str(models.small_unet(tmp_path / "unet.tflite"))
    arguments = ("--device", f"adb:{one.address}", "--delegate", "nnapi", "--protocol", "paper")
    found = data_of(run("measure", unet, *arguments, "--json").stdout, "measure")
    assert found["device"] == f"adb:{one.address}?delegate=nnapi&protocol=paper"
    assert found["source"] == "synthetic"
    assert found["failure"] is None
    assert 0 < found["accelerated_mac_share"] < 1
    where = {row["index"]: row["accelerator"] for row in found["placement"]}
    assert where[3] == "nnapi-reference"
    assert found["placement"][3]["op"] == "TRANSPOSE_CONV_2D"
    text = run("measure", unet, *arguments).stdout
    assert "TRANSPOSE_CONV_2D (nnapi-reference)" in text
    assert "of the MACs ran accelerated" in text


def test_a_failed_measurement_is_a_document_and_an_error(
    lab: list[EmulatedPhone], tmp_path: Path
) -> None:
    one, _ = lab
    refused = str(models.back_projection(tmp_path / "refused.tflite"))
    result = CliRunner().invoke(
        app, ["measure", refused, "--device", f"adb:{one.address}", "--json"]
    )
    assert isinstance(result.exception, DeviceStableError)
    error = error_of(result.stdout, "measure")
    assert error["details"]["failure"]["code"] == "ANEURALNETWORKS_OP_FAILED"
    assert (error["kind"], error["exit_code"]) == (type(result.exception).__name__, 7)


def test_options_are_added_to_each_phone_once_and_not_to_the_host() -> None:
    given = ["adb:A", "host", "adb:A"]
    assert devices.phone_specs(given, "gpu", None, None) == ["adb:A?delegate=gpu", "host"]
    assert devices.phone_specs(None, "gpu", None, None) == ["host"]


def test_a_phones_options_are_for_phones(tmp_path: Path) -> None:
    path = str(models.plain(tmp_path / "m.tflite"))
    with pytest.raises(ConfigError, match="are for phones"):
        run("measure", path, "--delegate", "gpu")


def test_parse_log_json() -> None:
    (path,) = LOGS.glob("08_*.txt")
    log = data_of(run("parse-log", str(path), "--json").stdout, "parse-log")
    (found,) = log["runs"]
    assert found["failure"]["class"] == "nnapi_error"
    assert found["failure"]["code"] == "ANEURALNETWORKS_OP_FAILED"
    assert log["file"] == str(path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("19", ["latency: 1.88574 ms (mean of 520)", "NNAPI, complete"]),
        ("09", ["7 on qti-gpu"]),
        ("05", ["failure: not_delegated"]),
    ],
)
def test_parse_log_in_words(name: str, words: list[str]) -> None:
    (path,) = LOGS.glob(f"{name}_*.txt")
    text = run("parse-log", str(path)).stdout
    assert all(word in text for word in words)


@pytest.mark.parametrize("text", ["hello\n", "**Tutorials**: [own pictures](docs/a.md)\n"])
def test_parse_log_of_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_text(text)
    for options in ((), ("--json",)):
        with pytest.raises(ConfigError, match="x says nothing that is known: expected what"):
            run("parse-log", str(tmp_path / "x"), *options)
    with pytest.raises(ConfigError, match="can't be read: No such file"):
        run("parse-log", str(tmp_path / "none"))
