"""Names of devices for people: a phone's model, chip and Android, its serial in brackets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class DeviceName:
    """A device's name for people. `device` is its name in studies and in the keys of JSON.

    `name` is short and unlike that of the run's other devices. `serial` is a phone's, with the
    options it was used with in `options`; `processor`, `android` and `tool_sha256` (of the
    benchmark tool) are empty where nothing tells.
    """

    device: str
    name: str
    serial: str = ""
    options: str = ""
    processor: str = ""
    android: str = ""
    tool_sha256: str = ""

    @property
    def full(self) -> str:
        """The whole name, such as "Mate30-like, kirin990-like, Android 10 (adb:SERIAL)"."""
        if not self.about:
            return self.name
        return f"{self.name}{' ' if self.about.startswith('(') else ', '}{self.about}"

    @property
    def about(self) -> str:
        """The part of `full` after the name."""
        android = f"Android {self.android}" if self.android else ""
        facts = ", ".join(part for part in (self.processor, android) if part)
        place = "" if self.name == self.device else f"({self.device})"
        return f"{facts} {place}".strip()

    def to_dict(self) -> dict[str, Any]:
        """Return the name as JSON types, without empty parts."""
        values = {"full_name": self.full, **asdict(self)}
        return {key: value for key, value in values.items() if value}


def device_name(device: str, conditions: Mapping[str, Any], processor: str = "") -> DeviceName:
    """Name a device by the `conditions` of a measurement; `processor` is this machine's."""
    if device.startswith("paper:"):
        from nas.devices.paper_phones.published import phones

        names = {f"paper:{phone.phone}": phone.name for phone in phones()}
        return DeviceName(device, names.get(device, device))
    if not device.startswith("adb:"):
        return DeviceName(device, device, processor=processor if device == "host" else "")
    place, _, query = device.removeprefix("adb:").partition("?")
    chosen = dict(parse_qsl(query))
    listed = [chosen[key] for key in ("delegate", "precision", "protocol") if key in chosen]
    listed += ["strict"] if chosen.get("strict") == "true" else []
    options = ", ".join(listed)
    phone, tool = conditions.get("phone", {}), conditions.get("tool", {})
    return DeviceName(
        device,
        phone.get("model") or f"adb:{place}",
        place,
        options,
        phone.get("chip") or "",
        phone.get("android") or "",
        tool.get("sha256") or "",
    )


def distinct_names(names: Sequence[DeviceName]) -> list[DeviceName]:
    """Make equal names differ: by the phone's options where these differ, else by its serial."""
    for parts in ([name.options for name in names], [name.serial for name in names]):
        count = Counter(name.name for name in names)
        names = [
            replace(name, name=f"{name.name}, {part}") if count[name.name] > 1 and part else name
            for name, part in zip(names, parts, strict=True)
        ]
    return list(names)
