"""Whether a phone is there: connected, authorised, the only one of its serial; and what to do."""

from __future__ import annotations

from typing import final

from nas.devices.adb.connection import Adb
from nas.devices.failures import (
    ADVICE,
    DeviceFailure,
    Evidence,
    PhoneTransientError,
    phone_error,
)
from nas.errors import ConfigError, NasError

ANSWER_SECONDS = 3.0
"""The time that a phone may take to come back when it is asked for."""
NOT_CONNECTED = "not connected"
"""The detail of the failure of a phone that adb does not list."""


@final
class PhonePresence:
    """Checks that a phone is there.

    `seen`: the phone was there before. `expected`: it is known to belong there. Either way its
    absence is a pulled cable; otherwise it may be a wrong serial.
    """

    def __init__(self, adb: Adb) -> None:
        self.adb = adb
        self.seen = False
        self.expected = False

    def check(self) -> None:
        """Raise where the phone is absent or not authorised, or several phones have its serial.

        Raises PhoneTransientError, or ConfigError where the phone was never seen and only another
        name, or an adb server, would help.
        """
        self._ensure_server()
        serial, entries = self.adb.serial, self.adb.server.entries()
        states = [row.state for row in entries if row.serial == serial]
        state = states[0] if states else None
        if len(states) > 1:
            raise self._no_answer(
                f"phone {serial}: {len(states)} phones report this serial, and adb can't tell "
                "them apart; unplug all but one, or name each by HOST:PORT (`adb tcpip 5555` with "
                "one plugged in, then `adb connect HOST`)"
            )
        if state == "device":
            return
        if state is None:
            there = ", ".join(row.serial for row in entries) or "none"
            raise PhoneTransientError(
                f"phone {serial} is not connected; connected: {there} (see `nas devices`)",
                DeviceFailure("device_offline", NOT_CONNECTED),
                Evidence(serial),
            )
        unauthorized = state in ("unauthorized", "authorizing")
        failure = DeviceFailure(
            "unauthorized" if unauthorized else "device_offline", f"adb says {state}"
        )
        advice = ADVICE[failure.failure_class]
        if state.startswith("no permissions"):
            advice = "this user may not use the USB device: add a udev rule for it"
        raise phone_error(failure, Evidence(serial), advice)

    def _ensure_server(self) -> None:
        try:
            self.adb.server.ensure()
        except ConfigError as error:
            raise self._no_answer(str(error)) from error

    def _no_answer(self, message: str) -> NasError:
        """Return the error of an adb that can't reach the phone: transient once it was seen."""
        if self.never_seen:
            return ConfigError(message)
        failure = DeviceFailure("device_offline", message)
        return PhoneTransientError(message, failure, Evidence(self.adb.serial))

    @property
    def never_seen(self) -> bool:
        """Whether an absent phone may be a wrong serial rather than a pulled cable."""
        return not self.seen and not self.expected

    def answer(self) -> None:
        """Raise at once where the phone can't be used: before a long work that needs it.

        Raises ConfigError where adb knows no such serial, PhoneTransientError, with what to do,
        where the phone is listed and can't be used.
        """
        try:
            self.check()
        except PhoneTransientError as error:
            if error.failure.failure_class == "unauthorized":
                raise
            self.adb.server.reconnect(self.adb.serial, ANSWER_SECONDS)
            try:
                self.check()
            except PhoneTransientError as again:
                if again.failure.detail != NOT_CONNECTED:
                    raise
                raise ConfigError(str(again)) from again
