"""This machine as a node of a Ray cluster: started by Ray's own command, ended with its parent."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

from nas.errors import ConfigError
from nas.execution.ray.cluster import (
    PHONE,
    TOKEN,
    answers,
    check_service,
    connect,
    import_ray,
    why_not,
)
from nas.execution.ray.node_check import CLOCK_SECONDS, COMPARED
from nas.system.environment import versions

RAY = (sys.executable, "-m", "ray.scripts.scripts")


def start_node(
    address: str | None, port: int, cores: int | None, phones: list[str]
) -> tuple[subprocess.Popen[bytes], str]:
    """Make this machine a node: of the cluster at `address`, or, with None, of a new one.

    `phones` are serials. Returns the node's process, which ends the node when it is terminated or
    killed, and the cluster's address. Raises ConfigError where Ray does not start, with why.
    """
    if address is None and os.environ.get("RAY_AUTH_MODE", "token").lower() == "token":
        _make_token()  # first: Ray decides at its import whether it shows one
    import_ray()
    resources = json.dumps({PHONE + serial: 1 for serial in phones})
    options = ["--block", "--disable-usage-stats", "--resources", resources]
    options += ["--object-store-memory", "200000000"]
    options += ["--num-cpus", str(cores)] if cores is not None else []
    if address is None:
        options += ["--head", "--port", str(port), "--include-dashboard", "false"]
    else:
        answers(address)
        check_service(address)
        options += ["--address", address]
    said = tempfile.TemporaryFile()  # noqa: SIM115
    process = subprocess.Popen(
        [*RAY, "start", *options],
        stdout=said,
        stderr=said,
        start_new_session=True,
        preexec_fn=_end_with_parent,
    )
    while True:
        said.seek(0)
        text = said.read().decode(errors="replace")
        if "will now block forever" in text:
            found = re.search(r"Local node IP: (\S+)", text)
            return process, address or f"{found[1] if found else '127.0.0.1'}:{port}"
        if process.poll() is not None:
            raise ConfigError(_why_not_started(address, text))
        time.sleep(0.1)


def _make_token() -> None:
    """Write a token where Ray looks for one; ConfigError where none can be written."""
    environment = {**os.environ, "RAY_AUTH_MODE": "token"}
    made = subprocess.run(
        [*RAY, "get-auth-token", "--generate"], capture_output=True, text=True, env=environment
    )
    if made.returncode:
        import_ray()  # where that is why, it says so
        lines = made.stderr.strip().splitlines() or [f"exit code {made.returncode}"]
        raise ConfigError(
            f"Ray can't keep the new cluster's token in {TOKEN} ({lines[-1][:300]}); HOME must be "
            "a folder that can be written"
        )


def _end_with_parent() -> None:
    """Have this process terminated when its parent dies, however that happens (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _why_not_started(address: str | None, text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if address is not None:
        return why_not(address, RuntimeError(text))
    told = [line for line in lines if "Error: " in line] or lines or ["it said nothing"]
    return f"Ray does not start here: {told[-1][:300]}"


def compare_with_head(address: str) -> list[str]:
    """Say what of this machine does not fit the cluster's first node; empty where all does.

    Raises ConfigError where the cluster can't be joined.
    """
    ray = connect(address, set())
    try:
        head = next(
            row["NodeID"]
            for row in ray.nodes()
            if row["Alive"] and "node:__internal_head__" in row["Resources"]
        )
        affinity = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        options = {"num_cpus": 0, "scheduling_strategy": affinity(head, soft=False)}
        asked = time.time()
        theirs, now = ray.get(ray.remote(_about).options(**options).remote(), timeout=60)
        found = []
        if not asked - CLOCK_SECONDS < now < time.time() + CLOCK_SECONDS:
            found.append(f"this clock is {asked - now:+.0f} s off the first node's: set it (NTP)")
        mine = versions()
        return found + [
            f"{n} is {mine[n]} here, {theirs[n]} on the first node: install the same"
            for n in COMPARED
            if mine[n] != theirs[n]
        ]
    finally:
        ray.shutdown()


def _about() -> tuple[dict[str, str], float]:
    return versions(), time.time()
