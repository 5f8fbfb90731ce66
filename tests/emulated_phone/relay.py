"""A relay to an adb server that can be closed and opened, in place of one on another computer."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from tests.emulated_phone.adbd import Listener

HOST = "127.0.0.2"
"""A name of this computer that doesn't say so."""


class Relay:
    """Hands every connection on to `port` of this computer; `port` is its own."""

    def __init__(self, port: int) -> None:
        self.pause = 0.0
        """The seconds to wait after each kilobyte."""
        self._target = port
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = Listener(self._serve, host=HOST)
        self.port = self._listener.port

    def close(self) -> None:
        """Refuse connections, and cut the open ones, as a network that is gone does."""
        self._listener.close()
        with self._lock:
            sockets, self._open = self._open, []
        for connection in sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def open(self) -> None:
        """Take connections again, on the same port."""
        self._listener.open()

    def _serve(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self._target), 10)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        with self._lock:
            self._open += [near, far]
        back = threading.Thread(target=self._hand_on, args=(far, near), daemon=True)
        back.start()
        self._hand_on(near, far)
        back.join()
        for connection in (near, far):
            connection.close()

    def _hand_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1024 if self.pause else 64 * 1024):
                target.sendall(data)
                time.sleep(self.pause)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
