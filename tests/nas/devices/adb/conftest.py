"""One emulated phone, and the connection to it."""

from __future__ import annotations

import pytest

from nas.devices.adb.connection import Adb
from nas.devices.adb.server import AdbServer
from tests.emulated_phone.phone import EmulatedPhone
from tests.helpers.phones import StartPhone, adb_of

REMOTE = "/data/local/tmp/portable-nas/a b;'$(touch hurt)\".bin"


@pytest.fixture
def phone(start_phone: StartPhone) -> EmulatedPhone:
    return start_phone()


@pytest.fixture
def adb(phone: EmulatedPhone, adb_server: AdbServer) -> Adb:
    return adb_of(phone, adb_server)
