"""What a node of a cluster must have in common with the driver to work for it."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.data import Dataset
from nas.errors import NasError
from nas.storage.run_folder import RunFolder
from nas.system.environment import versions
from nas.system.files import write_atomically

COMPARED = ("python", "portable-nas", "tensorflow", "tf_keras", "ai-edge-litert")
CLOCK_SECONDS = 5.0


@dataclass(frozen=True)
class NodeCheck:
    """What a node must see as the driver does, so that what it makes is found again."""

    run: Path
    token: str
    dataset: Dataset
    identity: Mapping[str, Any]
    versions: Mapping[str, str]
    folder: str
    path: tuple[str, ...]

    @classmethod
    def of(cls, run: RunFolder, dataset: Dataset) -> NodeCheck:
        """Return the check for this driver, and leave a token in the run's folder."""
        token = f"{socket.gethostname()} {os.getpid()} {time.time_ns()}"
        write_atomically(run.path / ".cluster-token", lambda file: file.write(token.encode()))
        path = tuple(entry or os.getcwd() for entry in sys.path)
        return cls(run.path, token, dataset, dataset.identity(), versions(), os.getcwd(), path)

    def complaint(self) -> str:
        """Say why this machine can't work for that driver; "" where it can."""
        with contextlib.suppress(OSError):
            os.chdir(self.folder)  # paths may be relative
        mine = versions()
        other = [n for n in COMPARED if mine[n] != self.versions[n]]
        if other:
            rows = ", ".join(f"{n} {mine[n]} (the driver has {self.versions[n]})" for n in other)
            return f"it has {rows}; install the same versions there"
        try:
            seen = (self.run / ".cluster-token").read_text()
        except OSError as error:
            seen = str(error.strerror)
        if seen != self.token:
            return (
                f"it does not see the run's folder {self.run} as the driver does; share it under "
                "the same path on all machines"
            )
        try:
            same = self.dataset.identity() == self.identity
        except NasError as error:
            return f"it can't read the pictures: {error}"
        return "" if same else f"its pictures of {self.dataset.spec!r} differ from the driver's"
