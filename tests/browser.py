"""A real browser for tests of pages, where the machine has one."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-pipe",
)  # fmt: skip
LIMIT_S = 240
"""How long a page may take to open and to answer, on a machine that is busy with other tests."""

START = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); "
START += "os.execv(sys.argv[3], sys.argv[3:])"
"""A browser reads commands from descriptor 3 and answers on 4."""


class DevTools:
    """A browser that was started, asked over a pipe by Chrome's DevTools protocol.

    Its clock is the real one: a page draws as it does for a user, however busy the machine is.
    """

    def __init__(self, program: str, options: list[str]) -> None:
        theirs_in, self._commands = os.pipe()
        self._answers, theirs_out = os.pipe()
        start = [sys.executable, "-c", START, str(theirs_in), str(theirs_out), program, *options]
        self.process = subprocess.Popen(
            start,
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._read, self._number = b"", 0
        self._session: dict[str, str] = {}
        self._events: set[str] = set()

    def open(self, address: str) -> None:
        """Open a page and wait until it is loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        self.call("Page.enable")
        self.call("Page.navigate", url=address)
        while "Page.loadEventFired" not in self._events:
            self._message()

    def value(self, code: str) -> Any:
        """Return what an expression is worth, or what its promise was kept with."""
        given = self.call(
            "Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in given, given["exceptionDetails"]
        return given["result"].get("value")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give a command; returns its answer."""
        self._number += 1
        said = {"id": self._number, "method": method, "params": parameters, **self._session}
        os.write(self._commands, json.dumps(said).encode() + b"\0")
        while (message := self._message()).get("id") != self._number:
            pass
        assert "error" not in message, f"{method}: {message.get('error')}"
        return dict(message["result"])

    def close(self) -> None:
        """End the browser."""
        self.process.kill()
        self.process.wait()
        os.close(self._commands)
        os.close(self._answers)

    def _message(self) -> dict[str, Any]:
        until = time.monotonic() + LIMIT_S
        while b"\0" not in self._read:
            ready = select.select([self._answers], [], [], max(0.0, until - time.monotonic()))[0]
            assert ready, f"the browser said nothing for {LIMIT_S} s"
            got = os.read(self._answers, 1 << 16)
            assert got, f"the browser ended with exit code {self.process.wait()}"
            self._read += got
        message, _, self._read = self._read.partition(b"\0")
        found = dict(json.loads(message))
        self._events.add(found.get("method", ""))
        return found


AXE = (
    "const found = await axe.run(document, {resultTypes: ['violations']});"
    "return found.violations.map((one) => [one.id, one.nodes.slice(0, 3).map((node) => "
    "`${node.target}: ${(node.any[0] || node.all[0] || node.none[0] || {}).message}`)]);"
)
"""Runs axe-core over the page; returns each broken rule with some of the elements that break it."""


def axe_violations(page: Path, width: int = 1400, dark: bool = False) -> Any:
    """The rules of axe-core that a page breaks; skips where no browser or no axe-core is.

    axe-core is looked for in `NAS_AXE` (the path of axe.min.js) and in node_modules, here and
    where npm keeps what was installed for everybody.
    """
    roots = (Path(__file__).parents[1], Path("/usr/lib"), Path("/usr/local/lib"))
    named = os.environ.get("NAS_AXE")
    paths = [Path(named)] if named else []
    paths += [root / "node_modules/axe-core/axe.min.js" for root in roots]
    script = next((path for path in paths if path.exists()), None)
    if script is None:
        pytest.skip("no axe-core: npm install axe-core, or NAS_AXE=PATH/axe.min.js")
    return probe(page, AXE, width, dark=dark, script=script.read_text())


def probe(
    page: Path,
    code: str,
    width: int = 1400,
    height: int = 12_000,
    dark: bool = False,
    script: str = "",
) -> Any:
    """What JavaScript returns in a page that was opened, as JSON; skips where no browser is.

    The window is high, so that everything is in sight. `script` runs first. Raises AssertionError
    with what JavaScript raised.
    """
    found = (shutil.which(name) for name in PROGRAMS)
    program = next((path for path in found if path), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(PROGRAMS)} is installed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = [*OPTIONS, f"--user-data-dir={profile}", f"--window-size={width},{height}"]
        options += ["--blink-settings=preferredColorScheme=0"] if dark else []
        browser = DevTools(program, options)
        try:
            browser.open(page.absolute().as_uri())
            if script:
                browser.value(f"{script}\n;0")
            return browser.value(f"(async () => {{ {code} }})()")
        finally:
            browser.close()
