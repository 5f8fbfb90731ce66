"""The emulated phone: its files below a folder, its state as `dumpsys` tells it, its services."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.emulated_phone import faults
from tests.emulated_phone.adbd import Listener, Service, Stream, StreamClosedError, Transport
from tests.emulated_phone.faults import Fault
from tests.emulated_phone.profiles import Profile
from tests.emulated_phone.programs import write_programs, write_tool
from tests.emulated_phone.services import Shell, Sync, end_session, remove_tree

_MAPPED = re.compile(r"(?<![\w./-])/(?=(?:data|sdcard|storage|sys|system|vendor)(?:/|\b))")
_LOADAVG = "/proc/loadavg"
PATH_VARIABLE = "EMULATED_PHONE_PATH"
"""Where the phone's programs are; a folder with mksh as `sh` and toybox makes it more like one."""
TOOL_PATH = "/data/local/tmp/benchmark_model"


class EmulatedPhone:
    """One phone on one TCP port; `address` is what `adb connect` takes and its serial."""

    def __init__(
        self,
        profile: Profile,
        folder: Path | None = None,
        port: int = 0,
        cache: Path | None = None,
    ) -> None:
        """Set up a phone; `cache` keeps what the tool knows of a model, and phones may share it."""
        self.profile = profile
        self._own_folder = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="emulated-phone-"))
        self.root = self.folder / "root"
        self.cache = cache or self.folder / "cache"
        self.faults = self.folder / "faults"
        self._transports: list[Transport] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        self._state: dict[str, Any] = {}
        self._started = time.monotonic()
        self._stopping = threading.Event()
        self.boot_id = uuid.uuid4().hex
        self.opened: list[str] = []
        self.on_open: Callable[[], object] = lambda: None
        self._build()
        self.listener = Listener(self._serve, port)
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def address(self) -> str:
        """The host and the port, as adb names the device."""
        return f"127.0.0.1:{self.listener.port}"

    def path(self, name: str) -> Path:
        """Return the file that stands for the phone's file `name`."""
        return self.root / name.lstrip("/")

    def inject(self, kind: str, match: str = "", times: int = 1, seconds: float = 1.0) -> Path:
        """Switch a fault on."""
        return faults.inject(self.faults, Fault(kind, match, times, seconds))

    def set_state(self, **values: Any) -> None:
        """Overrule what the phone tells of itself: battery, celsius, awake, load, cap_khz.

        A load above the profile's is work that keeps cores busy.
        """
        self._state.update(values)

    def unplug(self) -> None:
        """Pull the cable."""
        self.listener.close()
        with self._lock:
            transports, self._transports = self._transports, []
        for transport in transports:
            transport.shutdown()

    def plug(self) -> None:
        """Put the cable back."""
        self.listener.open()

    def reboot(self) -> None:
        """End every process and get a new boot id; the cable stays."""
        self.kill_processes()
        self.boot_id = uuid.uuid4().hex

    def kill_processes(self) -> None:
        """End everything that runs on the phone."""
        with self._lock:
            processes, self._processes = self._processes, []
        for process in processes:
            end_session(process)

    def running(self) -> list[str]:
        """List the command lines of all that still runs on the phone."""
        alive = [process for process in self._processes if process.poll() is None]
        return [" ".join(map(str, process.args)) for process in alive]  # type: ignore[arg-type]

    def files(self) -> list[str]:
        """List every file below /data/local/tmp, by the phone's names."""
        base = self.path("/data/local/tmp")
        return sorted(str(f.relative_to(self.root)) for f in base.rglob("*") if f.is_file())

    def stop(self) -> None:
        """Switch the phone off and remove its folder."""
        self._stopping.set()
        self.unplug()
        self.kill_processes()
        if self._own_folder:
            remove_tree(self.folder)

    def __enter__(self) -> EmulatedPhone:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _build(self) -> None:
        for name in ("data/local/tmp", "sdcard", "vendor/lib64"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        for name in ("bin", "props", "dumpsys", "faults"):
            (self.folder / name).mkdir(exist_ok=True)
        self.cache.mkdir(exist_ok=True)
        (self.folder / "profile.json").write_text(self.profile.to_json())
        (self.folder / "logcat.txt").touch()
        for number, khz in enumerate(self.profile.max_frequencies_khz):
            cpu = self.root / f"sys/devices/system/cpu/cpu{number}"
            (cpu / "cpufreq").mkdir(parents=True, exist_ok=True)
            (cpu / "cpufreq/cpuinfo_max_freq").write_text(f"{khz}\n")
            if self.profile.capacities:
                (cpu / "cpu_capacity").write_text(f"{self.profile.capacities[number]}\n")
        own = ("libOpenCL.so",) if self.profile.gpu else ()
        for library in (*self.profile.external_libraries, *own):
            (self.root / "vendor/lib64" / library).touch()
        write_programs(self.folder, self.profile)
        write_tool(self.path(TOOL_PATH), self.profile.tool, self.profile.tool_lacks)
        self.render()

    def celsius(self) -> float:
        """Return the skin temperature now, by the profile's curve over the time since the start."""
        if "celsius" in self._state:
            return float(self._state["celsius"])
        curve, now = self.profile.temperature, time.monotonic() - self._started
        for (start, low), (end, high) in pairwise(curve):
            if start <= now < end:
                return low + (high - low) * (now - start) / (end - start)
        return curve[-1][1] if now >= curve[-1][0] else curve[0][1]

    def render(self) -> None:
        """Write what `dumpsys` and `/sys` tell at this moment."""
        profile, state = self.profile, self._state
        celsius = self.celsius()
        status = 3 if celsius > profile.hot_celsius else 0
        folder = self.folder / "dumpsys"
        (folder / "thermalservice").write_text(
            f"IsStatusOverride: false\nThermal Status: {status}\nCached temperatures:\n"
            "\tTemperature{mValue=99.0, mType=3, mName=stale, mStatus=0}\nHAL Ready: true\n"
            "Current temperatures from HAL:\n"
            f"\tTemperature{{mValue={celsius:.1f}, mType=3, mName=skin, mStatus={status}}}\n"
            f"\tTemperature{{mValue={celsius + 4:.1f}, mType=0, mName=CPU0, mStatus=0}}\n"
            "\tTemperature{mValue=-274.0, mType=2, mName=broken, mStatus=0}\n"
            "Current cooling devices from HAL:\n"
            "\tCoolingDevice{mValue=0, mType=2, mName=thermal-cpufreq-0}\n"
        )
        level = state.get("battery", profile.battery) if profile.has_battery else 0
        charging = "true" if state.get("charging", profile.charging) else "false"
        (folder / "battery").write_text(
            "Current Battery Service state:\n  AC powered: false\n"
            f"  USB powered: {charging}\n  Wireless powered: false\n  status: 2\n"
            f"  present: {'true' if profile.has_battery else 'false'}\n"
            f"  level: {level}\n  scale: 100\n  temperature: {285 if profile.has_battery else 0}\n"
        )
        awake = "Awake" if state.get("awake", True) else "Asleep"
        (folder / "power").write_text(f"POWER MANAGER\n  mWakefulness={awake}\n")
        cores, idle = len(profile.max_frequencies_khz), profile.load
        load = float(state.get("load", idle))
        busy = min(1.0, max(0.0, load - idle) / cores)
        (self.folder / "loadavg").write_text(
            f"{load:.2f} {idle:.2f} {idle:.2f} {1 + round(busy * cores)}/900 4711\n"
        )
        (self.folder / "busy_permille").write_text(f"{round(1000 * busy)}\n")
        (self.folder / "boot_id").write_text(self.boot_id + "\n")
        for number, khz in enumerate(profile.max_frequencies_khz):
            usual = profile.allowed_khz[number] if profile.allowed_khz else khz
            cap = min(usual, int(state.get("cap_khz", khz)), khz // 2 if status else khz)
            cpu = self.root / f"sys/devices/system/cpu/cpu{number}/cpufreq"
            (cpu / "scaling_max_freq").write_text(f"{cap}\n")

    def _banner(self) -> str:
        name = re.sub(r"\W", "_", self.profile.model)
        return (
            f"device::ro.product.name={name};ro.product.model={name};ro.product.device={name};"
            "features=shell_v2,cmd"
        )

    def _serve(self, connection: socket.socket) -> None:
        transport = Transport(
            connection, self._banner(), lambda name: self.open(name), self._authorized
        )
        with self._lock:
            self._transports.append(transport)
        transport.run()

    def _authorized(self) -> bool:
        return faults.active(self.faults, "unauthorized") is None

    def _watch(self) -> None:
        while not self._stopping.wait(0.1):
            for kind in ("unplug", "reboot"):
                if fault := faults.take(self.faults, kind, bare=True):
                    self._go_away(fault)

    def _go_away(self, fault: Fault) -> None:
        self.unplug()
        if fault.kind == "reboot":
            self.reboot()
        if not self._stopping.wait(fault.seconds):
            self.plug()

    def open(self, name: str) -> Service | None:
        self.opened.append(name)
        self.on_open()
        for kind in ("unplug", "reboot"):
            if fault := faults.take(self.faults, kind, name):
                threading.Thread(target=self._go_away, args=(fault,), daemon=True).start()
                return None
        if faults.take(self.faults, "close", name):
            return lambda stream: None
        service = self._service(name)
        if service and (fault := faults.take(self.faults, "hang", name)):
            return _delayed(service, fault.seconds)
        if service and (fault := faults.take(self.faults, "dribble", name)):
            return _dribble(fault.seconds)
        return service

    def _service(self, name: str) -> Service | None:
        kind, _, command = name.partition(":")
        if kind == "sync":
            return Sync(self.path, self._is_full, self._cut)
        if kind.split(",")[0] == "shell":
            self.render()
            translate: tuple[Callable[[str], str], Callable[[bytes], bytes]] = (
                self._inward,
                self._outward,
            )
            return Shell(
                command, self._environment(), translate, self._remember, framed="v2" in kind
            )
        if kind == "reboot":
            return lambda stream: self._go_away(Fault("reboot", seconds=0.5))
        return None

    def _is_full(self) -> bool:
        return faults.active(self.faults, "full") is not None

    def _cut(self) -> str | None:
        for where in ("transport", "stream"):
            if faults.take(self.faults, "cut", where):
                return where
        return None

    def _remember(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._processes = [p for p in self._processes if p.poll() is None]
            self._processes.append(process)

    def _inward(self, command: str) -> str:
        """Replace the phone's folders in a command by those that stand for them."""
        text = command.replace(_LOADAVG, str(self.folder / "loadavg"))
        text = text.replace("cat /proc/stat", "procstat")
        text = text.replace("/proc/sys/kernel/random/boot_id", str(self.folder / "boot_id"))
        return _MAPPED.sub(lambda _: f"{self.root}/", text)

    def _outward(self, data: bytes) -> bytes:
        return data.replace(str(self.root).encode(), b"")

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.folder / 'bin'}:{os.environ.get(PATH_VARIABLE, '/usr/bin:/bin')}",
            "HOME": str(self.path("/data/local/tmp")),
            "EMULATED_PHONE": str(self.folder),
            "EMULATED_CACHE": str(self.cache),
            "LANG": "C.UTF-8",
            "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
        }


def _delayed(service: Service, seconds: float) -> Service:
    def serve(stream: Stream) -> None:
        if stream.closed.wait(seconds):
            raise StreamClosedError
        service(stream)

    return serve


def _dribble(seconds: float) -> Service:
    def serve(stream: Stream) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            stream.write(b"\x01\x01\x00\x00\x00x")
            time.sleep(0.2)

    return serve


def describe(phone: EmulatedPhone) -> str:
    """Describe a running phone in one line of JSON, for a terminal or a script."""
    return json.dumps(
        {
            "serial": phone.address,
            "profile": phone.profile.name,
            "folder": str(phone.folder),
            "pid": os.getpid(),
        }
    )
