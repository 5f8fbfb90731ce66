"""Keeps the log lines of native libraries off the terminal without losing a word that matters.

TensorFlow's and LiteRT's C++ write to file descriptor 2 directly, partly before any setting of
theirs is read, so only a redirection of the descriptor helps. Lines that are known to be noise are
dropped; every other line is written out when the redirection ends, and all of them are when it ends
with an exception. Meanwhile Python's own `sys.stderr` goes where it went, so that progress bars and
warnings of other threads are neither delayed nor lost. Importing this module is cheap.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr
from typing import IO, Any, TextIO

# Whole lines that inform about nothing a user could act on, by the sentences that name them.
_NOISE = re.compile(
    rb"All log messages before absl::InitializeLog"
    rb"|oneDNN custom operations are on"
    rb"|To turn them off, set the environment variable"
    rb"|Could not find cuda drivers|cuda_platform\.cc|cudart_stub\.cc|failed call to cuInit"
    rb"|This TensorFlow binary is optimized|To enable the following instructions"
    rb"|TF-TRT Warning|computation_placer\.cc|cuda_(?:fft|dnn|blas)\.cc"
    rb"|fully_quantize: \d+, inference_type"
    rb"|Created TensorFlow Lite XNNPACK delegate"
    rb"|Ignored (?:output_format|drop_control_dependency)"
    rb"|MLIR V1 optimization pass is not enabled|tf_tfl_flatbuffer_helpers\.cc"
)


class _Redirection:
    """Descriptor 2 of this process, redirected while anybody needs it: threads share one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.failed = False
        self.captured: IO[bytes] | None = None
        self.python_stderr = ExitStack()
        # A second descriptor of the true standard error, and Python's stream on it. They stay open
        # for good: logging handlers that are made meanwhile keep the stream.
        self.descriptor: int | None = None
        self.stream: TextIO | None = None

    def enter(self) -> None:
        with self.lock:
            if self.users == 0:
                self._begin()
            self.users += 1

    def leave(self, failed: bool) -> None:
        with self.lock:
            self.users -= 1
            self.failed |= failed
            if self.users == 0:
                self._end()

    def _begin(self) -> None:
        _flush(sys.stderr)
        self.failed = False
        try:
            if self.descriptor is None or self.stream is None:
                self.descriptor = os.dup(2)
                self.stream = open(  # noqa: SIM115 (stays open)
                    self.descriptor, "w", encoding="utf-8", errors="replace", buffering=1
                )
            else:
                os.dup2(2, self.descriptor, inheritable=False)
            self.captured = tempfile.TemporaryFile()  # noqa: SIM115 (closed by _end)
        except OSError:  # no descriptor 2, or no room: then there is nothing to hide or no way to
            return
        os.dup2(self.captured.fileno(), 2)
        if _is_descriptor_2(sys.stderr):
            self.python_stderr.enter_context(redirect_stderr(self.stream))

    def _end(self) -> None:
        if self.captured is None or self.descriptor is None:
            return
        self.python_stderr.close()
        _flush(self.stream)
        os.dup2(self.descriptor, 2)
        self.captured.seek(0)
        lines = self.captured.read().splitlines(keepends=True)
        self.captured.close()
        self.captured = None
        kept = lines if self.failed else [line for line in lines if not _NOISE.search(line)]
        _write_all(2, b"".join(kept))


_redirection = _Redirection()


@contextmanager
def quiet_native_logs() -> Iterator[None]:
    """Keep known noise of native code off the terminal while the block runs.

    It is safe to nest it and to use it in several threads at once; exceptions pass unchanged.
    """
    _redirection.enter()
    failed = False
    try:
        yield
    except Exception:
        failed = True
        raise
    finally:
        _redirection.leave(failed)


def _is_descriptor_2(stream: Any) -> bool:
    try:
        return bool(stream.fileno() == 2)
    except (AttributeError, OSError, ValueError):  # None, replaced by an object, or closed
        return False


def _flush(stream: Any) -> None:
    try:
        stream.flush()
    except (AttributeError, OSError, ValueError):
        return


def _write_all(descriptor: int, content: bytes) -> None:
    try:
        while content:
            content = content[os.write(descriptor, content) :]
    except OSError:  # the terminal is gone: nobody is left to tell
        return
