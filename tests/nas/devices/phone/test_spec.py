from __future__ import annotations

from pathlib import Path

import pytest

from nas.devices.adb.server import AdbServer
from nas.devices.delegate import BY_ANDROID, Delegate
from nas.devices.phone.spec import open_phone, parse_spec, with_options
from nas.errors import ConfigError


def test_a_plain_serial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "6011")
    serial, server, options = parse_spec("adb:127.0.0.1:5555")
    assert (serial, server) == ("127.0.0.1:5555", AdbServer("127.0.0.1", 6011))
    assert options.delegate == Delegate(BY_ANDROID)
    assert options.method == "robust"
    assert (options.precision, options.strict, options.libraries) == (None, False, None)


def test_everything_that_a_spec_may_say(tmp_path: Path) -> None:
    binary = tmp_path / "tool & more"
    binary.write_text("#!")
    spec = with_options("adb:R58M@lab:6000", "nnapi:qti-dsp", "paper", (f"x86_64={binary}",))
    serial, server, options = parse_spec(spec)
    assert (serial, server) == ("R58M", AdbServer("lab", 6000))
    assert options.delegate == Delegate("nnapi", "qti-dsp")
    assert options.method == "paper"
    assert options.binaries == (("x86_64", binary),)
    assert open_phone(spec) is open_phone(spec)
    assert open_phone(spec).spec == spec
    assert with_options("adb:A") == "adb:A"
    assert with_options("adb:A?protocol=paper", delegate="gpu").endswith("paper&delegate=gpu")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("adb:", "serial is missing"),
        ("adb:@host", "serial is missing"),
        ("usb:A", "expected adb:SERIAL"),
        ("adb:A?delegat=gpu", "Did you mean 'delegate'"),
        ("adb:A?protocol=fast", "unknown protocol 'fast'.*paper, robust"),
        ("adb:A?delegate=npu&compile=there", "unknown place to compile 'there'"),
        ("adb:A?compile=here", "compile=here: only for an NPU"),
        ("adb:A?delegate=gpuu", "Did you mean 'gpu'"),
        ("adb:A@host:x", "expected HOST or HOST:PORT"),
        ("adb:A?binary=/none", "no such file"),
    ],
)
def test_wrong_specs(spec: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_spec(spec)


def test_a_serial_of_shell_characters_stays_a_serial() -> None:
    assert parse_spec("adb:$(reboot); `x` & 'y'")[0] == "$(reboot); `x` & 'y'"


def test_settings_are_part_of_the_name(tmp_path: Path) -> None:
    spec = with_options("adb:A", "gpu", precision="fp32", strict=True, libraries=tmp_path)
    assert spec.startswith("adb:A?delegate=gpu&precision=fp32&strict=true&npu_libraries=")
    options = parse_spec(spec)[2]
    assert (options.precision, options.strict, options.libraries) == ("fp32", True, tmp_path)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("precision=fp64", "unknown precision 'fp64'.*Valid: fp16, fp32"),
        ("strict=maybe", "strict=maybe: expected true or false"),
        ("delegate=npu&precision=fp16", "the delegate npu takes none; gpu and nnapi do"),
        ("delegate=nnapi&protocol=paper&precision=fp32", "the paper's protocol is in fp16"),
        ("delegate=cpu&strict=true", "nothing to be strict about"),
    ],
)
def test_settings_that_make_no_sense(query: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_spec(f"adb:A?{query}")
