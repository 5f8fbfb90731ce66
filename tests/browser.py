"""A real browser for tests of pages, where the machine has one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from html import unescape
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--virtual-time-budget=20000", "--dump-dom",
)  # fmt: skip
PROBE = """
<script id="probe">
addEventListener("load", () => setTimeout(() => {
  const say = (value) => {
    const element = document.createElement("pre");
    element.id = "probed";
    element.textContent = JSON.stringify(value);
    document.body.append(element);
  };
  const broken = (error) => say({ broken: `${error}\n${error.stack}` });
  try { Promise.resolve((async () => { CODE })()).then(say, broken); }
  catch (error) { broken(error); }
}, 500));
</script>
</body>"""


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
        copy = page.with_name(f"probed-{page.name}")
        head, _, tail = page.read_text().rpartition("</body>")
        first = f"<script>{script}</script>" if script else ""
        copy.write_text(head + first + PROBE.replace("CODE", code) + tail)
        options = [*OPTIONS, f"--user-data-dir={profile}", f"--window-size={width},{height}"]
        options += ["--blink-settings=preferredColorScheme=0"] if dark else []
        done = subprocess.run(
            [program, *options, copy.absolute().as_uri()],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
    match = re.search(r'<pre id="probed">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match is not None, done.stderr[-2000:]
    seen = json.loads(unescape(match[1]))
    assert not (isinstance(seen, dict) and "broken" in seen), seen["broken"]
    return seen
