"""`nas node` makes this machine, its cores and its phones part of a cluster."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from nas.cli.console import note
from nas.errors import ConfigError

PORT = 6379


def node(
    address: Annotated[
        str | None, typer.Option(help="HOST:PORT of the cluster; without it, start a new one.")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of a new cluster.")] = PORT,
    cores: Annotated[
        int | None, typer.Option(min=0, help="To train on.", show_default="all")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="A folder for runs that must be reachable here, too.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Pictures that must be readable here.")] = None,
) -> None:
    """Make this machine a node of a Ray cluster, with the phones on its USB; until Ctrl-C.

    Checked before it counts: versions, the clock, and, where given, the folders.
    """
    from nas.execution.ray.node import compare_with_head, start_node

    _check(run, data)
    phones = _phones()
    process, cluster = start_node(address, port, cores, phones)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        if address is not None:
            complaints = compare_with_head(cluster)
            if complaints:
                raise ConfigError(f"this node does not fit in: {'; '.join(complaints)}")
        _say(f"node of {cluster}; cores: {_cores(cores)}, phones: {', '.join(phones) or 'none'}")
        if address is None:
            _say(f"join other machines:  nas node --address {cluster}")
            _say("  (each needs this machine's ~/.ray/auth_token, at the same place)")
        _say(f"search on all:        nas search STUDY --out SHARED_FOLDER --ray {cluster}")
        code = process.wait()
        if code not in (0, -signal.SIGTERM):
            raise ConfigError(f"the node ended with exit code {code}: its cluster may be gone")
    except KeyboardInterrupt:
        _say("leaving the cluster; what ran here is tried again elsewhere")
    finally:
        process.terminate()
        process.wait()


def _check(run: Path | None, data: str | None) -> None:
    """Raise ConfigError or DataError for folders that are not there."""
    from nas.data import open_dataset

    if run is not None and not (run.is_dir() and os.access(run, os.W_OK)):
        raise ConfigError(f"--run {run}: no folder here that can be written; mount it first")
    if data is not None:
        open_dataset(data).identity()


def _phones() -> list[str]:
    """Return the serials of the phones that adb sees ready; none where there is no adb."""
    from nas.devices.adb.server import AdbServer
    from nas.errors import NasError

    try:
        server = AdbServer.from_environment()
        server.ensure()
        return [entry.serial for entry in server.entries() if entry.state == "device"]
    except NasError as error:
        _say(f"no phones: {error}")
        return []


def _cores(cores: int | None) -> int:
    from nas.cli.search import available_cores

    return available_cores() if cores is None else cores


def _say(text: str) -> None:
    note(text)
