"""Specs of phones, read and written: `adb:SERIAL[@HOST[:PORT]][?delegate=…&precision=…&…]`.

The whole spec is the device's name in a study, so two ways of using one phone are two devices.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import cast
from urllib.parse import parse_qsl, quote, urlencode

from nas.devices.adb.server import AdbServer
from nas.devices.delegate import BY_ANDROID, Delegate
from nas.devices.phone.benchmark_tool import parse_binaries
from nas.devices.phone.device import AdbDevice
from nas.devices.phone.fitness import LIMITS_VARIABLE, Limits
from nas.devices.phone.launch import PhoneOptions
from nas.devices.phone.tool_settings import PRECISIONS, Precision, check_settings
from nas.errors import ConfigError, unknown

PREFIX = "adb:"
"""Specs of phones begin so."""
METHODS = ("robust", "paper")
"""The values of a spec's `protocol`."""
_KEYS = (
    "delegate",
    "precision",
    "strict",
    "protocol",
    "binary",
    "tool",
    "npu_libraries",
    "compile",
)


def parse_spec(spec: str) -> tuple[str, AdbServer, PhoneOptions]:
    """Parse a spec into the serial, the adb server and the options.

    Raises ConfigError where the serial is missing, or a key or value is unknown.
    """
    if not spec.startswith(PREFIX):
        raise ConfigError(f"device {spec!r}: expected adb:SERIAL (`nas devices` lists serials)")
    head, _, query = spec.removeprefix(PREFIX).partition("?")
    serial, at, address = head.rpartition("@")
    if not at:
        serial, address = head, ""
    if not serial.strip():
        raise ConfigError(f"device {spec!r}: the serial is missing (`nas devices` lists them)")
    server = AdbServer.parse(address) if address else AdbServer.from_environment()
    options = PhoneOptions(limits=Limits.from_environment())
    pairs = parse_qsl(query, keep_blank_values=True)
    for key, value in pairs:
        options = _with_option(options, key, value)
    if options.delegate.kind != BY_ANDROID:
        check_settings(options.delegate, options.method, options.precision, options.strict)
    if options.ahead and options.delegate.kind != "npu":
        raise ConfigError("compile=here: only for an NPU; take delegate=npu with it")
    binaries = parse_binaries([value for key, value in pairs if key == "binary"])
    return serial, server, replace(options, binaries=tuple(binaries.items()))


def _with_option(options: PhoneOptions, key: str, value: str) -> PhoneOptions:
    """Return the options with one more that a spec names; ConfigError where it is unknown."""
    match key:
        case "delegate":
            return replace(options, delegate=Delegate.parse(value))
        case "protocol" if value == "paper":
            return replace(options, method="paper")
        case "protocol" if value == "robust":
            return replace(options, method="robust")
        case "protocol":
            raise unknown("protocol", value, METHODS)
        case "precision" if value in ("fp16", "fp32"):
            return replace(options, precision=cast("Precision", value))
        case "precision":
            raise unknown("precision", value, PRECISIONS)
        case "strict" if value in ("true", "false"):
            return replace(options, strict=value == "true")
        case "strict":
            raise ConfigError(f"strict={value}: expected true or false")
        case "compile" if value in ("here", "phone"):
            return replace(options, ahead=value == "here")
        case "compile":
            raise unknown("place to compile", value, ("here", "phone"))
        case "npu_libraries":
            return replace(options, libraries=Path(value).expanduser())
        case "binary":
            return options  # all of them are read together
        case "tool":
            return replace(options, installed_tool=value)
        case _:
            raise unknown("key of a phone", key, _KEYS)


def with_options(
    spec: str,
    delegate: str | None = None,
    protocol: str | None = None,
    binaries: tuple[str, ...] = (),
    precision: str | None = None,
    strict: bool = False,
    libraries: Path | None = None,
) -> str:
    """Add options to a spec, as the command line's flags give them; None adds nothing."""
    pairs = [("delegate", delegate), ("precision", precision), ("protocol", protocol)]
    pairs += [("strict", "true" if strict else None), *(("binary", b) for b in binaries)]
    pairs += [("npu_libraries", None if libraries is None else str(libraries))]
    options = [(key, value) for key, value in pairs if value is not None]
    if not options:
        return spec
    return f"{spec}{'&' if '?' in spec else '?'}{urlencode(options, safe=':/=', quote_via=quote)}"


def open_phone(spec: str) -> AdbDevice:
    """Open the phone that a spec names, the same object every time; raises as `parse_spec`.

    Its limits are those of the environment (`nas.devices.phone.fitness.LIMITS_VARIABLE`): they
    say when a phone is measured, so they are no part of its name.
    """
    return _opened(spec, os.environ.get(LIMITS_VARIABLE, ""))


def forget_phones() -> None:
    """Let `open_phone` open every phone anew: an address may belong to another phone by now."""
    _opened.cache_clear()


@cache
def _opened(spec: str, limits: str) -> AdbDevice:
    serial, server, options = parse_spec(spec)
    return AdbDevice(serial, options, server, name=spec)
