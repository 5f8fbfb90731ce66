"""A Ray cluster: how it is joined, and what it has. The one module that imports Ray, late."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import ConfigError
from nas.execution.ray.head import HeadWatch

LOCAL = "local"
CONNECT_SECONDS = 5.0
CLIENT = "ray://"
PHONE = "phone:"
_QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_NUM_REDIS_GET_RETRIES": "3",  # seconds, instead of 20, until a wrong token is told
}
_SETTINGS = 4  # a frame's type
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0))
_SERVICE = "/ray.rpc.NodeInfoGcsService/CheckAlive"
"""What the head of every Ray cluster can be asked, whatever it answers."""
TOKEN = Path("~/.ray/auth_token")


def import_ray() -> Any:
    """Import Ray, told to be quiet; ConfigError where Ray is not installed."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if TOKEN.expanduser().exists() or {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ):
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        import ray
        import ray._private.worker as internal
    except ImportError as error:
        raise ConfigError(
            f"Ray can't be imported ({error}); install it: pip install ray"
        ) from error
    # A dead worker is told by us, in one line; Ray tells it in ten, past every setting of its own.
    if hasattr(internal, "print_to_stdstream"):
        internal.print_to_stdstream = lambda *_, **__: None
    _show_token(ray)
    return ray


def _show_token(ray: Any) -> None:
    """Have Ray show its token if it should: by itself it looks once, at its import.

    The caller's program may have imported Ray before there was a token.
    """
    inner = ray._raylet
    wanted = os.environ.get("RAY_AUTH_MODE", "").lower() == "token" and not ray.is_initialized()
    if wanted and inner.get_authentication_mode() != inner.AuthenticationMode.TOKEN:
        inner.Config.initialize("")
        inner.AuthenticationTokenLoader.instance().reset_cache()


def connect(address: str, resources: set[str]) -> Any:
    """Join a cluster, or start one here with these resources; returns the module `ray`.

    Raises ConfigError where this process is in a cluster already, the address does not answer, or
    the cluster has other versions.
    """
    ray = import_ray()
    if ray.is_initialized():
        raise ConfigError(
            "this process has joined a Ray cluster already; call ray.shutdown() before the search"
        )
    common: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.CRITICAL,
        "namespace": f"portable-nas-{os.getpid()}",
    }
    if address == LOCAL:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        ray.init(
            address="local",
            num_cpus=cores,
            num_gpus=None,
            resources=dict.fromkeys(resources, 1),
            include_dashboard=False,
            object_store_memory=200_000_000,
            **common,
        )
        return ray
    answers(address)
    check_service(address)
    try:
        ray.init(address=address, **common)
    except (RuntimeError, ConnectionError, OSError, ValueError) as error:
        raise ConfigError(why_not(address, error)) from error
    return ray


def answers(address: str) -> tuple[str, int]:
    """Return host and port of an address that answers; ConfigError otherwise, within seconds."""
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    if address.startswith(CLIENT):
        raise ConfigError(
            f"Ray's address {address!r} is that of a Ray Client's server, which can't be searched "
            f"on: give the head itself, as HOST:PORT without {CLIENT}; `nas node` prints it, and "
            f"its port is 6379 unless another was chosen{_unknown_host(host)}"
        )
    if not host or "/" in host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(f"Ray's address {address!r}: expected HOST:PORT, as `nas node` prints it")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS) as connection:
            is_ray = "RAY_USE_TLS" in os.environ or _speaks_grpc(connection)
    except (socket.gaierror, UnicodeError) as error:
        raise ConfigError(
            f"Ray's address {address!r}: the host {host!r} is unknown here; check it, or give "
            "the IP address, as `nas node` prints it"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"no Ray cluster answers at {address} ({error.strerror or error}); start one with "
            "`nas node`, and look whether a firewall is between"
        ) from error
    if not is_ray:
        raise _no_ray(address)
    return host, int(port)


def check_service(address: str) -> None:
    """Raise ConfigError where another gRPC server than Ray's answers: Ray would try for minutes."""
    if "RAY_USE_TLS" in os.environ:
        return
    import grpc  # comes with TensorFlow

    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            channel.unary_unary(_SERVICE)(b"", timeout=CONNECT_SECONDS)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNIMPLEMENTED:
                raise _no_ray(address) from error


def _no_ray(address: str) -> ConfigError:
    return ConfigError(
        f"what answers at {address} is no Ray cluster; `nas node` prints its own address"
    )


def _unknown_host(host: str) -> str:
    """Say what to add to a message where nobody knows the host; empty where somebody does."""
    name = host or "it"
    try:
        socket.getaddrinfo(host, None) if host else None
    except (OSError, UnicodeError):
        return f". (The host {name!r} is unknown here, too)"
    return ""


def _speaks_grpc(connection: socket.socket) -> bool:
    """Return whether the other end begins as HTTP/2 does (RFC 9113, 3.4)."""
    said = b""
    with contextlib.suppress(OSError):
        connection.sendall(_PREFACE)
        while len(said) < 9:
            more = connection.recv(64)
            if not more:
                break
            said += more
    return len(said) >= 9 and said[3] == _SETTINGS


def why_not(address: str, error: Exception) -> str:
    """Say in one line why a cluster could not be joined, from what Ray raised."""
    text = _without_traceback(f"{error} {error.__cause__ or ''}")
    if "AuthToken" in text or "authentication token" in text:
        return (
            f"the cluster at {address} wants its token: copy {TOKEN} from the machine on which it "
            "was started to the same place here"
        )
    if "ersion" in text and "mismatch" in text:
        return f"the cluster at {address} has other versions than this machine: {text}"
    return (
        f"can't join the cluster at {address}: {text[:300]}. Is this machine a node of it? "
        f"`nas node --address {address}` makes it one"
    )


def _without_traceback(text: str) -> str:
    """Return a text as one line; of a traceback in it only what was raised stays."""
    lines = [line for line in text.splitlines() if line.strip()]
    if any(line.startswith("Traceback") for line in lines):
        lines = [line for line in lines if not line.startswith((" ", "Traceback"))]
    return " ".join(" ".join(lines).split())


@dataclass(frozen=True)
class Node:
    """A living node of the cluster."""

    id: str
    host: str
    resources: Mapping[str, float]


class Cluster:
    """The nodes of a cluster, and what a worker takes of them; asked once a second at most."""

    def __init__(self, ray: Any, threads: int, head: HeadWatch | None = None) -> None:
        self.ray = ray
        self.head = head
        self.here: str = ray.get_runtime_context().get_node_id()
        self.threads = threads
        self._nodes: list[Node] = []
        self._asked = 0.0
        self.per_worker = {"CPU": float(threads)}
        if any(node.resources.get("GPU") for node in self.nodes()):
            self.per_worker["GPU"] = 1.0

    @property
    def head_silent(self) -> bool:
        """Whether the cluster's head is silent now: most calls of Ray's would wait for it."""
        return self.head is not None and self.head.silent

    def look_again(self) -> None:
        """Let the next call of `nodes` ask Ray, however short ago it was asked."""
        self._asked = 0.0

    def nodes(self) -> list[Node]:
        """Return the living nodes; while the head does not answer, those that lived before."""
        if self.head_silent:
            return self._nodes
        if time.monotonic() - self._asked > 1.0:
            self._nodes = [
                Node(row["NodeID"], row["NodeManagerHostname"], row["Resources"])
                for row in self.ray.nodes()
                if row["Alive"]
            ]
            self._asked = time.monotonic()
        return self._nodes

    def room(self, node: Node) -> int:
        """Return how many workers an empty node has room for."""
        return int(min(node.resources.get(n, 0.0) // x for n, x in self.per_worker.items()))

    def phones(self) -> list[str]:
        """Return the resources of phones that nodes have announced."""
        return sorted(n for node in self.nodes() for n in node.resources if n.startswith(PHONE))

    def check(self, workers: int | None, phones: list[str]) -> int:
        """Return the number of workers; ConfigError where so many, or a phone, can't be had."""
        there = self.phones()
        missing = [phone for phone in phones if phone not in there]
        if missing:
            raise ConfigError(
                f"the cluster has no {', '.join(missing)}; it has "
                f"{', '.join(there) or 'no phone'}. `nas node`, on the machine that a phone hangs "
                "on, announces it"
            )
        most = sum(self.room(node) for node in self.nodes())
        needs = ", ".join(f"{amount:g} {name}" for name, amount in self.per_worker.items())
        if most < (workers or 1):
            rows = ", ".join(
                f"{node.host}: {node.resources.get('CPU', 0):g} CPU" for node in self.nodes()
            )
            raise ConfigError(
                f"{workers or 1} workers of {needs} each are asked for, but the cluster has room "
                f"for {most} ({rows})"
            )
        return workers or most
