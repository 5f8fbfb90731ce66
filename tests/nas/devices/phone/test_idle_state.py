"""Phones that never look fit: what is their own idle state, and what goes beyond it."""

from dataclasses import replace
from pathlib import Path

import pytest

from nas.devices import TimingProtocol
from nas.devices.adb.server import AdbServer
from nas.devices.failures import PhoneTransientError
from nas.devices.phone.conditions import Conditions
from nas.devices.phone.fitness import Limits
from nas.devices.phone.idle_state import Habits, IdleState
from tests.helpers.phone_states import look
from tests.helpers.phones import StartPhone, device_of

QUICK = TimingProtocol(launches=1, warmup=0, runs=1, threads=4)
KEPT_LOW = (1800000,) * 4 + (2400000,) * 3 + (1804800,)


@pytest.mark.parametrize(
    "found",
    [
        look(load="11.42 11.30 11.10 1/2890 4711"),
        replace(look(load="14.10 13.20 9.00 9/2890 4711"), busy_share=0.04),
        look(prime="3187200 1804800"),
        look(sensor="mValue=125.0, mType=3, mName=pa, mStatus=4", status=4),
        look(sensor="mValue=NaN, mType=3, mName=pa, mStatus=3", status=3),
        look(battery="AC powered: true\n  present: false\n  level: 0\n  temperature: 0"),
        look(battery="AC powered: true\n  present: true\n  level: 0\n  temperature: 0"),
        look(battery="AC powered: true\n  status: 1\n  level: 5\n  voltage: 0\n  temperature: 250"),
        look(battery="AC powered: true\n  status: 4\n  present: true\n  level: 12"),
        look(battery="present: true\n  level: -1\n  scale: 100"),
        look(battery="level: 200\n  scale: 255\n  temperature: 300"),
    ],
    ids=[
        "waiting kernel threads", "an idle processor", "a core kept low", "a sensor at 125 degrees",
        "a sensor without a number", "no battery", "a battery of nothing", "no voltage",
        "a battery that is not charged", "no level", "a scale of its own",
    ],
)  # fmt: skip
def test_an_idle_state_of_its_own_is_fit_at_the_first_look(found: Conditions) -> None:
    assert Limits().complaints(found) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (look(load="11.42 11.30 11.10 9/2890 4711"), "busy (load 11.42 over 8; --limit load=1.5"),
        (look(load="11.42 3.10 1.10 1/2890 4711"), "busy (load 11.42 over 8; "),
        (
            replace(look(load="11.42 11.30 11.10 1/2890 4711"), busy_share=0.8),
            "busy (load 11.42 over 8, processor 80% busy; ",
        ),
        (look(prime="3187200 700000"), "throttled (cores 7 capped, 7 at 0.70 instead of 3.19 GHz;"),
        (look(prime="3187200 1804800", cooling=2), "throttled (cores 7 capped, 7 at 1.80 instead"),
        (
            look(sensor="mValue=46.0, mType=3, mName=skin, mStatus=2", status=2),
            "hot (thermal status 2 by skin 46 °C; --limit thermal=2 allows it)",
        ),
        (look(battery="USB powered: true\n  status: 2\n  level: 12"), "low on battery (12 %, 20 %"),
        (
            look(battery="UPDATES STOPPED -- use 'reset'\n  level: 12"),
            "low on battery (12 %, 20 % wanted, set by hand: `adb shell dumpsys battery reset` ends"
            " that; --limit battery=12 allows it)",
        ),
    ],
)  # fmt: skip
def test_work_and_heat_are_no_idle_state(found: Conditions, said: str) -> None:
    (complaint,) = Limits().complaints(found)
    assert complaint.startswith(said)


def test_beyond_what_is_usual_is_told_with_what_is_usual() -> None:
    quiet = look(load="11.42 11.30 11.10 1/2890 4711", prime="3187200 1804800")
    usual = IdleState().updated(quiet)
    assert (usual.load, usual.allowed_khz[7]) == (11.42, 1804800)
    assert Limits().complaints(quiet, usual) == []
    busier = look(load="16.00 11.30 11.10 6/2890 4711", prime="3187200 1209600")
    throttled, busy = Limits().complaints(busier, usual)
    assert throttled.startswith("throttled (cores 7 capped, 7 at 1.21 instead of 1.80 GHz")
    assert "--limit frequency=0.37" in throttled
    assert busy.startswith("busy (load 16 over 8, usually 11.42; --limit load=2")
    assert Limits(frequency=0.37, load_per_core=2).complaints(busier, usual) == []


def test_a_core_that_was_seen_faster_is_capped_again() -> None:
    usual = IdleState().updated(look(prime="3187200 1804800")).updated(look())
    assert usual.capped_cores(look(prime="3187200 1804800")) == (7,)


def test_a_frequency_that_is_wanted_overrules_what_is_usual() -> None:
    found = look(prime="3187200 1804800")
    (complaint,) = Limits(frequency=1.0).complaints(found)
    assert complaint.startswith("throttled (cores 7 capped")


def test_a_phone_that_was_started_again_is_learned_anew(tmp_path: Path) -> None:
    path = tmp_path / "phone.json"
    found = look(prime="3187200 1804800")
    habits = Habits(path)
    assert habits.learn(habits.look(found))
    assert Habits(path).look(look()).allowed_khz[7] == 3187200  # seen faster since
    assert Habits(path).look(replace(look(cooling=1), boot_id="1")).allowed_khz == {}
    path.write_text("{damaged")
    assert Habits(path).look(found).allowed_khz[7] == 1804800


def test_a_phone_with_all_of_it_is_measured_and_throttling_is_still_noticed(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    phone = start_phone("modern", load=11.4, allowed_khz=KEPT_LOW, has_battery=False)
    limits = Limits(wait_seconds=0.5, poll_seconds=0.1)
    device = device_of(phone, adb_server, limits=limits, attempts=1)
    found = device.measure(plain, QUICK)
    assert found.conditions["usual"]["load"] == 11.4
    assert found.conditions["usual"]["allowed_khz"]["7"] == 1804800
    assert any("usual for it" in text and "7 at 1.80 of 2.84 GHz" in text for text in device.told)
    for state, said in (
        ({"cap_khz": 1200000}, "throttled: still throttled .*--limit frequency=0.42 allows it"),
        ({"cap_khz": 9000000, "load": 30}, "still busy .*usually 11.4, .*end what runs there"),
    ):
        phone.set_state(**state)
        again = device_of(phone, adb_server, limits=limits, attempts=1)  # another process
        with pytest.raises(PhoneTransientError, match=said):
            again.measure(plain, QUICK)
