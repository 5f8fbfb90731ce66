"""Opens a page for the user."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path

from nas.cli.console import note


def open_page(page: Path) -> None:
    """Show a page in the user's browser; say where it is where no browser can be started.

    Programs without a window (lynx, w3m) do not count: they would take the terminal.
    """
    address = page.resolve().as_uri()
    has_screen = (
        sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    if not (has_screen and webbrowser.open(address)):
        note(f"no browser to start here; open {address}")
