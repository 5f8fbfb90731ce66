"""Whether the head of a Ray cluster still answers, and what becomes of a search when it does not.

Ray itself waits a minute for a head that is gone and then ends the driver's process, without a word
that a user could act on. Here a thread asks first.
"""

from __future__ import annotations

import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import final

from nas.errors import ClusterError, ConfigError

ASK_SECONDS = 2.0
PATIENCE_SECONDS = 30.0
"""A head may be started again, or a cable pulled for a moment; Ray itself gives up after 60 s."""
STUCK_SECONDS = 10.0
"""How long the search may take to notice: it may hang in a call of Ray that waits for the head."""


@final
class HeadWatch:
    """Asks the head at an address until `close`; `ask` raises ConfigError where it is silent.

    Where the search does not stop by itself, `give_up` ends the process.
    """

    def __init__(
        self,
        address: str,
        run: Path,
        ask: Callable[[str], object],
        give_up: Callable[[ClusterError], None] | None = None,
    ) -> None:
        self._address, self._run, self._ask = address, run, ask
        self._give_up = give_up or end_process
        self._silent_since: float | None = None
        self._closed = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def silent(self) -> bool:
        """Whether the head gave no answer when it was asked last: calls of Ray's would wait."""
        return self._silent_since is not None

    @property
    def lost(self) -> bool:
        """Whether the head has been silent for too long."""
        since = self._silent_since
        return since is not None and time.monotonic() - since > PATIENCE_SECONDS

    def check(self) -> None:
        """Raise ClusterError, with how to go on, where the head is gone."""
        if self.lost:
            raise self._error()

    def close(self) -> None:
        """Stop asking."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(ASK_SECONDS):
            try:
                self._ask(self._address)
                self._silent_since = None
            except ConfigError:
                self._silent_since = self._silent_since or time.monotonic()
            if self.lost and not self._closed.wait(STUCK_SECONDS):
                self._give_up(self._error())
                return

    def _error(self) -> ClusterError:
        return ClusterError(
            f"the Ray cluster at {self._address} is gone: its head has not answered for "
            f"{PATIENCE_SECONDS:.0f} s. The run in {self._run} is kept, and nothing finished is "
            f"lost: {how_to_go_on(sys.argv)}"
        )


def how_to_go_on(arguments: Sequence[str]) -> str:
    """Return the commands that go on with a run, on a new cluster and without one."""
    if Path(arguments[0]).name != "nas":
        return "search in the same folder again, once a head runs there, or without `ray`"
    own = [argument for argument in arguments[1:] if not argument.startswith("--ray=")]
    if "--ray" in own:
        place = own.index("--ray")
        following = own[place + 1] if place + 1 < len(own) else ""
        has_value = ":" in following or following == "local"
        del own[place : place + 1 + has_value]
    return (
        f"start a head again (`nas node`) and give the same command, with its address, or go on "
        f"without Ray: `{shlex.join(['nas', *own])}`"
    )


def end_process(error: ClusterError) -> None:
    """Say why and end this process: a call of Ray's that never returns holds the main thread."""
    print(f"error: {error}", file=sys.stderr, flush=True)
    os._exit(error.exit_code)
