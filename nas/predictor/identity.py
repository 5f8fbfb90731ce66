"""The identity of a predictor: which one a device needs, and where it is kept and read."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.devices import Phone, TimingProtocol, open_device
from nas.errors import ConfigError, RunError
from nas.predictor.predictor import Predictor
from nas.study.study import Study
from nas.system.cache import cache_folder
from nas.system.environment import processor, versions
from nas.system.files import read_json, write_json
from nas.system.hashing import content_key

FORMAT = 2
"""The format of files, counted up whenever older ones would mean something else. Since 2,
operations are timed with weights and paddings as converted files have them.
"""
FILE = "predictor.json"


def protocol_of(study: Study) -> TimingProtocol:
    """Return how the study takes its latencies; the usual protocol where it takes none."""
    for evaluator in study.evaluators:
        protocol = getattr(evaluator, "protocol", None)
        if isinstance(protocol, TimingProtocol):
            return protocol
    return TimingProtocol()


def identity_of(spec: str, study: Study, size: tuple[int, int] | None = None) -> dict[str, Any]:
    """Return all that a predictor depends on, as JSON types.

    That is the device, its build, tool and delegate, or this machine's processor and LiteRT; the
    threads; the picture size; the study's space. Raises ConfigError on an unknown device,
    DeviceError where a phone is away.
    """
    device = open_device(spec)
    if isinstance(device, Phone):
        device.answer()
    about: dict[str, Any] = {"device": spec, **device.identity()}
    if spec == "host":
        about |= {"processor": processor(), "litert": versions()["ai-edge-litert"]}
    return about | {
        "threads": protocol_of(study).threads,
        "size": list(size or study.size),
        "study": study.name,
        "space": content_key([study.space.to_dict(), study.compression.to_dict()]),
        "format": FORMAT,
    }


def folder_of(about: Mapping[str, Any]) -> Path:
    """Return the folder that keeps the measurements and the predictor of an identity."""
    name = re.sub(r"[^\w.-]+", "-", str(about["device"]))[:60].strip("-")
    return cache_folder() / "predictors" / f"{name}-{content_key(dict(about))}"


def keep(predictor: Predictor, folder: Path) -> Path:
    """Write a predictor, whole or not at all; RunError where the disk is full."""
    path = folder / FILE
    write_json(path, predictor.to_dict())
    return path


def load(about: Mapping[str, Any]) -> Predictor:
    """Return the predictor of an identity.

    Raises ConfigError where none was fitted, with the command to fit one, and with the differences
    to one of the same device; RunError where the file is damaged.
    """
    path = folder_of(about) / FILE
    if not path.exists():
        raise ConfigError(_missing(about))
    return read(path, about)


def read(path: Path, about: Mapping[str, Any] | None = None) -> Predictor:
    """Return the predictor in a file.

    Raises RunError where the file is missing or damaged, ConfigError where it is of another device,
    build, tool or setting than `about`.
    """
    values = read_json(path)
    try:
        predictor = Predictor.from_dict(values)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{path} is no predictor of format {FORMAT} ({error!r}); remove it and fit again: "
            f"{_to_fit(about or {})}"
        ) from error
    if about is not None and dict(predictor.about) != dict(about):
        raise ConfigError(
            f"{path} can't be used: it was fitted with {_differences(predictor.about, about)}; fit "
            f"one here: {_to_fit(about)}"
        )
    return predictor


def newest_predictor(device: str, size: tuple[int, int]) -> Predictor | None:
    """Return the predictor that was fitted last to a device at a picture size (width, height).

    Of whichever study; None where none is kept, or its file is damaged.
    """
    files = (cache_folder() / "predictors").glob(f"*/{FILE}")
    for path in sorted(files, key=lambda path: -path.stat().st_mtime):
        try:
            predictor = read(path)
        except (ConfigError, RunError):
            continue
        if predictor.device == device and predictor.about.get("size") == list(size):
            return predictor
    return None


def command(about: Mapping[str, Any], verb: str = "fit", study: str | None = None) -> str:
    """Return the command line that fits (or checks) the predictor of an identity.

    `study` is what names its study to the command line: a user's own has a file, which the identity
    does not hold.
    """
    width, height = about.get("size", (0, 0))
    size = f" --size {width}x{height}" if width else ""
    study = study or about.get("study")
    named = f" --study {shlex.quote(study)}" if study else ""
    return f"nas predictor {verb} --device '{about.get('device', 'DEVICE')}'{size}{named}"


def _to_fit(about: Mapping[str, Any]) -> str:
    named = ", with its .py file for --study where the study is your own" if about else ""
    return f"`{command(about)}`{named}"


def _missing(about: Mapping[str, Any]) -> str:
    device, wanted = about["device"], f"fit one: {_to_fit(about)}"
    others = []
    for path in sorted((cache_folder() / "predictors").glob(f"*/{FILE}")):
        try:
            other_identity = read_json(path)["about"]
        except (RunError, KeyError, TypeError):
            continue
        if isinstance(other_identity, dict) and other_identity.get("device") == device:
            others.append(other_identity)
    if not others:
        return f"no predictor of {device} was fitted yet; {wanted}"
    nearest = min(others, key=lambda other: len(_differing(other, about)))
    return (
        f"the predictor of {device} is of another build, tool or setting: it was fitted with "
        f"{_differences(nearest, about)}; {wanted}"
    )


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return sorted(key for key in {*one, *other} if one.get(key) != other.get(key))


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {_said(found.get(key))} (here: {_said(wanted.get(key))})"
        for key in _differing(found, wanted)
    )


def _said(value: Any) -> str:
    if isinstance(value, list):
        return "x".join(map(str, value))
    return "none" if value is None else str(value)
