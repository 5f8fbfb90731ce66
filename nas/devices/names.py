"""What people call a device: the phone's model, chip and Android, with its serial in brackets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class DeviceName:
    """A device for people. `device` is its name in studies and in JSON's keys.

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
        """ "Mate30-like, kirin990-like, Android 10 (adb:SERIAL)"."""
        if not self.about:
            return self.name
        return f"{self.name}{' ' if self.about.startswith('(') else ', '}{self.about}"

    @property
    def about(self) -> str:
        """What `full` adds to the name."""
        android = f"Android {self.android}" if self.android else ""
        known = ", ".join(part for part in (self.processor, android) if part)
        place = "" if self.name == self.device else f"({self.device})"
        return f"{known} {place}".strip()

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, without what is empty."""
        values = {"full_name": self.full, **asdict(self)}
        return {key: value for key, value in values.items() if value}


def device_name(device: str, conditions: Mapping[str, Any], processor: str = "") -> DeviceName:
    """A device's name, from a measurement's `conditions`."""
    if device.startswith("paper:"):
        from nas.devices.paper_phones.published import phones

        known = {f"paper:{phone.phone}": phone.name for phone in phones()}
        return DeviceName(device, known.get(device, device))
    if not device.startswith("adb:"):
        return DeviceName(device, device, processor=processor if device == "host" else "")
    place, _, query = device.removeprefix("adb:").partition("?")
    options = ", ".join(value for key, value in parse_qsl(query) if key in ("delegate", "protocol"))
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


def told_apart(names: Sequence[DeviceName]) -> list[DeviceName]:
    """The names with a phone's options added where they tell two apart, or else its serial."""
    for part in ("options", "serial"):
        count = Counter(name.name for name in names)
        names = [
            replace(one, name=f"{one.name}, {getattr(one, part)}")
            if count[one.name] > 1 and getattr(one, part)
            else one
            for one in names
        ]
    return list(names)
