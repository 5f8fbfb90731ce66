"""`python -m tests.emulated_phone`: start emulated phones by hand, and switch their faults.

python -m tests.emulated_phone start modern pixel4-like    # runs until Ctrl-C
python -m tests.emulated_phone fault FOLDER unplug --seconds 5
python -m tests.emulated_phone models FOLDER               # small files to try
python -m tests.emulated_phone libraries FOLDER            # stand-ins for Qualcomm's libraries
python -m tests.emulated_phone profiles
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from tests.emulated_phone import faults
from tests.emulated_phone.profiles import PROFILES, Profile


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.emulated_phone")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="start phones and connect them to adb")
    start.add_argument("profile", nargs="+", help="a profile's name, or a .json file")
    start.add_argument("--adb-port", type=int, help="use the adb server on this port")
    start.add_argument("--wait-scale", type=float, help="wait this share of modelled latencies")
    fault = commands.add_parser("fault", help="switch a fault on")
    fault.add_argument("folder", type=Path, help="the folder that `start` printed")
    fault.add_argument("kind", choices=list(faults.KINDS))
    words = "a regular expression on the service, or on the tool's arguments"
    fault.add_argument("--match", default="", help=words)
    fault.add_argument("--times", type=int, default=1)
    fault.add_argument("--seconds", type=float, default=1.0)
    written = commands.add_parser("models", help="write small .tflite files to try")
    written.add_argument("folder", type=Path)
    libraries = commands.add_parser("libraries", help="write stand-ins for an NPU's libraries")
    libraries.add_argument("folder", type=Path)
    libraries.add_argument("--hexagon", default="75", help="the generation of Qualcomm's NPU")
    commands.add_parser("profiles", help="list profiles and faults")
    given = parser.parse_args(arguments)
    if given.command == "profiles":
        return _list()
    if given.command == "models":
        return _models(given.folder)
    if given.command == "libraries":
        from tests.emulated_phone.libraries import write_qualcomm

        print(write_qualcomm(given.folder, given.hexagon))
        return 0
    if given.command == "fault":
        switched = faults.Fault(given.kind, given.match, given.times, given.seconds)
        print(faults.inject(given.folder / "faults", switched))
        return 0
    return _start(given.profile, given.adb_port, given.wait_scale)


def _list() -> int:
    for name, profile in PROFILES.items():
        accelerators = ", ".join(profile.accelerators) or "none"
        print(f"{name:12} Android {profile.android}, tool of {profile.tool}, {accelerators}")
    for kind, text in faults.KINDS.items():
        print(f"fault {kind:13} {text}")
    return 0


def _models(folder: Path) -> int:
    from tests.emulated_phone import models

    folder.mkdir(parents=True, exist_ok=True)
    print(models.small_unet(folder / "unet.tflite", 64, 8), "a U-Net with a transposed conv")
    print(models.plain(folder / "plain.tflite", 4, 8, 64), "four convolutions")
    print(models.back_projection(folder / "dbpn-like.tflite"), "a deconvolution of kernel 8/4")
    return 0


def _profile(name: str) -> Profile:
    if name in PROFILES:
        return PROFILES[name]
    if name.endswith(".json"):
        return Profile.from_json(Path(name).read_text())
    raise SystemExit(f"unknown profile {name!r}. Valid: {', '.join(PROFILES)}")


def _start(names: list[str], adb_port: int | None, wait_scale: float | None) -> int:
    from nas.devices.adb.server import AdbServer
    from tests.emulated_phone.phone import EmulatedPhone, describe
    from tests.emulated_phone.server import PrivateAdbServer

    profiles = [_profile(name) for name in names]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the phones and the server, too
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        port = adb_port or stack.enter_context(PrivateAdbServer()).port
        server = AdbServer("127.0.0.1", port)
        print(f"export ANDROID_ADB_SERVER_PORT={port}", flush=True)
        for profile in profiles:
            if wait_scale is not None:
                profile = replace(profile, wait_scale=wait_scale)
            phone = stack.enter_context(EmulatedPhone(profile))
            server.connect(phone.address)
            print(describe(phone), flush=True)
        print("running; all numbers are synthetic; Ctrl-C ends it", file=sys.stderr, flush=True)
        threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
