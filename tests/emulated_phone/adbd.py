"""The transport of an emulated adbd: enough of adb's protocol for a real adb server over TCP.

A message is six little-endian words (command, two arguments, length, checksum, magic) and its
data. After CNXN, the host OPENs streams named after services; each side sends one WRTE a stream
and waits for its OKAY before the next.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

CNXN, AUTH, OPEN, OKAY, CLSE, WRTE = (
    int.from_bytes(name, "little")
    for name in (b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"CLSE", b"WRTE")
)
VERSION = 0x01000001
MAX_PAYLOAD = 1024 * 1024


class Service(Protocol):
    def __call__(self, stream: Stream) -> None: ...


class StreamClosedError(Exception):
    """The host closed the stream, or the transport is gone."""


@dataclass
class Stream:
    """The connection of one service, which carries bytes in both directions."""

    transport: Transport
    local: int
    remote: int
    inbox: queue.Queue[bytes | None] = field(default_factory=queue.Queue)
    ready: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(1))
    closed: threading.Event = field(default_factory=threading.Event)
    pending: bytes = b""

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), MAX_PAYLOAD):
            while not self.ready.acquire(timeout=0.5):
                if self.closed.is_set():
                    raise StreamClosedError
            if self.closed.is_set():
                raise StreamClosedError
            self.transport.send(WRTE, self.local, self.remote, data[start : start + MAX_PAYLOAD])

    def read(self, size: int) -> bytes:
        """Read exactly `size` bytes; raises StreamClosedError where the host closes before."""
        while len(self.pending) < size:
            data = self.inbox.get()
            if data is None:
                self.inbox.put(None)
                raise StreamClosedError
            self.pending += data
        data, self.pending = self.pending[:size], self.pending[size:]
        return data

    def close(self) -> None:
        """Tell the host that the service has ended; who still reads from the host is woken."""
        self.inbox.put(None)
        if not self.closed.is_set():
            self.closed.set()
            with contextlib.suppress(OSError):
                self.transport.send(CLSE, self.local, self.remote)

    def drop(self) -> None:
        """Wake the readers and writers of a stream whose host is gone."""
        self.closed.set()
        self.inbox.put(None)
        self.ready.release()


class Transport:
    """The connection of one host, which carries all its streams."""

    def __init__(
        self,
        connection: socket.socket,
        banner: str,
        open_service: Callable[[str], Service | None],
        authorized: Callable[[], bool],
    ) -> None:
        self._connection = connection
        self._banner = banner
        self._open_service = open_service
        self._authorized = authorized
        self._sending = threading.Lock()
        self._streams: dict[int, Stream] = {}
        self._next = 1

    def send(self, command: int, first: int, second: int, data: bytes = b"") -> None:
        header = struct.pack(
            "<6I", command, first, second, len(data), 0, command ^ 0xFFFFFFFF
        )  # this version of the protocol has no checksum
        with self._sending:
            self._connection.sendall(header + data)

    def run(self) -> None:
        """Serve until the connection ends."""
        try:
            while True:
                command, first, second, length, _, _ = struct.unpack("<6I", self._receive(24))
                data = self._receive(length)
                self._take(command, first, second, data)
        except (OSError, EOFError):
            pass
        finally:
            self.shutdown()
            for stream in list(self._streams.values()):
                stream.drop()

    def shutdown(self) -> None:
        """End the connection at once, as a pulled cable does."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _receive(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            data = self._connection.recv(size - len(parts))
            if not data:
                raise EOFError
            parts += data
        return bytes(parts)

    def _take(self, command: int, first: int, second: int, data: bytes) -> None:
        if command in (CNXN, AUTH):
            if self._authorized():
                self.send(CNXN, VERSION, MAX_PAYLOAD, self._banner.encode())
            elif command == CNXN or first != 3:
                self.send(AUTH, 1, 0, os.urandom(20))
        elif command == OPEN:
            self._open(first, data.rstrip(b"\0").decode())
        elif (stream := self._streams.get(second)) is None:
            if command == WRTE:
                self.send(CLSE, 0, first)
        elif command == OKAY:
            stream.ready.release()
        elif command == WRTE:
            stream.inbox.put(data)
            self.send(OKAY, stream.local, stream.remote)
        elif command == CLSE:
            self._streams.pop(second, None)
            stream.drop()

    def _open(self, remote: int, name: str) -> None:
        service = self._open_service(name)
        if service is None:
            self.send(CLSE, 0, remote)
            return
        stream = Stream(self, self._next, remote)
        self._next += 1
        self._streams[stream.local] = stream
        self.send(OKAY, stream.local, remote)
        threading.Thread(target=self._serve, args=(service, stream), daemon=True).start()

    def _serve(self, service: Service, stream: Stream) -> None:
        try:
            service(stream)
        except (StreamClosedError, OSError):
            pass
        finally:
            stream.close()
            self._streams.pop(stream.local, None)


class Listener:
    """A TCP port that hosts connect to; it can be closed, and opened again on the same number."""

    def __init__(
        self, serve: Callable[[socket.socket], None], port: int = 0, host: str = "127.0.0.1"
    ) -> None:
        self._serve = serve
        self.host = host
        self._socket: socket.socket | None = None
        self.port = port
        self.open()

    def open(self) -> None:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((self.host, self.port))
        listening.listen(8)
        self.port = listening.getsockname()[1]
        self._socket = listening
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def close(self) -> None:
        """Refuse connections; `shutdown`, as a blocked `accept` would keep the socket alive."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()
