"""Limits of a phone's state, and the waiting until a phone holds them."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest

from nas.cli.options import use_limits
from nas.devices.adb.server import AdbServer
from nas.devices.failures import PhoneTransientError
from nas.devices.phone import fitness
from nas.devices.phone.conditions import Conditions, parse_conditions
from nas.devices.phone.fitness import Limits, wait_until_fit
from nas.devices.phone.spec import open_phone, parse_spec
from nas.errors import ConfigError
from tests.helpers.phone_states import UNFIT
from tests.helpers.phones import StartPhone, adb_of


def test_a_phone_that_tells_nothing_is_not_refused() -> None:
    found = parse_conditions("Can't find service: thermalservice\n")
    assert found == Conditions()
    assert Limits().complaints(found) == []


def test_every_complaint() -> None:
    reasons = Limits(load_per_core=1.0).complaints(parse_conditions(UNFIT))
    assert [reason.split(" ")[0] for reason in reasons] == ["hot", "throttled", "low", "busy"]


@pytest.mark.parametrize(
    ("bad", "good", "reason"),
    [
        ({"celsius": 50}, {"celsius": 30}, "hot"),
        ({"battery": 5}, {"battery": 50}, "low on battery"),
        ({"load": 40}, {"load": 1}, "busy"),
        ({"cap_khz": 1000}, {"cap_khz": 9_000_000}, "throttled"),
    ],
)
def test_waiting_until_the_phone_is_fit(
    start_phone: StartPhone,
    adb_server: AdbServer,
    bad: dict[str, Any],
    good: dict[str, Any],
    reason: str,
) -> None:
    phone = start_phone()
    phone.set_state(**bad)
    told: list[str] = []
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            phone.set_state(**good)

    limits = Limits(wait_seconds=60, poll_seconds=0.01)
    found = wait_until_fit(adb_of(phone, adb_server), limits, told.append, sleep)
    assert limits.complaints(found) == []
    assert len(slept) == 2
    assert len(told) == 1  # said once, not every time it looks
    assert reason in told[0]


def test_a_phone_that_stays_hot(start_phone: StartPhone, adb_server: AdbServer) -> None:
    phone = start_phone(temperature=((0.0, 60.0),))
    with pytest.raises(PhoneTransientError, match=r"throttled: still hot.*let it cool") as caught:
        wait_until_fit(adb_of(phone, adb_server), Limits(wait_seconds=0.1, poll_seconds=0.05))
    assert caught.value.failure.failure_class == "throttled"


def test_a_sensor_that_never_cools_is_stuck(
    start_phone: StartPhone, adb_server: AdbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = start_phone("modern", hot_celsius=43.0, temperature=((0.0, 50.0),))
    monkeypatch.setattr(fitness, "STUCK_SECONDS", 0.1)
    limits, told = Limits(wait_seconds=60, poll_seconds=0.2, frequency=0.4), list[str]()
    found = wait_until_fit(adb_of(phone, adb_server), limits, told.append)
    assert found.thermal_status == 3
    assert "hot (thermal status 3 by skin 50 °C" in told[0]
    assert "thermal status 3 (skin never changes)" in told[1]


def test_limits_are_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_LIMITS", "load=3")
    assert parse_spec("adb:A")[2].limits == Limits(load_per_core=3)
    use_limits(["battery=0", "wait=5"])
    assert os.environ["NAS_LIMITS"] == "load=3,battery=0,wait=5"
    told: Any = open_phone("adb:A")
    assert told.options.limits == Limits(load_per_core=3, battery_percent=0, wait_seconds=5)
    assert told.spec == "adb:A"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lod=2", "unknown limit 'lod'. Did you mean 'load'"),
        ("load", "--limit load: expected a number from 0"),
        ("frequency=2", "--limit frequency=2: expected a number from 0 to 1"),
        ("battery=nan", "--limit battery=nan: expected a number from 0 to 100"),
    ],
)
def test_a_limit_that_makes_no_sense(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        Limits.parse([text])
