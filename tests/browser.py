"""A real browser for tests of pages, where the machine has one."""

from __future__ import annotations

import json
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
  try { Promise.resolve((async () => { CODE })()).then(say, (error) => say(String(error))); }
  catch (error) { say(String(error)); }
}, 500));
</script>
</body>"""


def probe(page: Path, code: str, width: int = 1400, height: int = 12_000) -> Any:
    """What JavaScript returns in a page that was opened, as JSON; skips where no browser is.

    The window is high, so that everything is in sight.
    """
    found = (shutil.which(name) for name in PROGRAMS)
    program = next((path for path in found if path), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(PROGRAMS)} is installed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        copy = page.with_name(f"probed-{page.name}")
        head, _, tail = page.read_text().rpartition("</body>")
        copy.write_text(head + PROBE.replace("CODE", code) + tail)
        done = subprocess.run(
            [program, *OPTIONS, f"--user-data-dir={profile}", f"--window-size={width},{height}",
             copy.absolute().as_uri()],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
    match = re.search(r'<pre id="probed">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match is not None, done.stderr[-2000:]
    return json.loads(unescape(match[1]))
