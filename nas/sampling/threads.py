"""What threads share: libraries that work on matrices with one thread, and values made once.

More threads cost small matrices more than they save, most of all on a busy machine.
"""

from __future__ import annotations

import ctypes
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Generic, TypeVar, final

Made = TypeVar("Made")
_NAMES = ("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads")


@cache
def _libraries() -> list[tuple[Callable[[], int], Callable[[int], None]]]:
    """What tells and sets the threads of numpy's and of scipy's OpenBLAS, where they have one."""
    from numpy.linalg import _umath_linalg
    from scipy.linalg import _fblas

    found: list[tuple[Callable[[], int], Callable[[int], None]]] = []
    for module in (_umath_linalg, _fblas):
        try:
            library = ctypes.CDLL(module.__file__)
        except OSError:
            continue
        for name in _NAMES:
            if hasattr(library, name.format("set")):
                found.append((library[name.format("get")], library[name.format("set")]))
                break
    return found


_lock = Lock()
_inside = 0
_before: list[tuple[Callable[[int], None], int]] = []
"""While any thread is inside `one_thread`: what to set afterwards."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Matrices are worked on by one thread inside, where the libraries can be told so.

    Several threads may be inside at once: the last one out restores what the first one met.
    """
    global _inside
    with _lock:
        if not _inside:
            _before[:] = [(set_threads, threads()) for threads, set_threads in _libraries()]
            for set_threads, _ in _before:
                set_threads(1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                for set_threads, count in _before:
                    set_threads(count)


@final
class Recent(Generic[Made]):
    """Values by what they were made of: the last `most` that were asked for are not made again."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, Lock()
        self._made: OrderedDict[tuple[bytes, ...], Made] = OrderedDict()

    def of(self, key: tuple[bytes, ...], make: Callable[[], Made]) -> Made:
        """The value of a key, made where it is not known. Two threads may make the same."""
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key]
        value = make()
        with self._lock:
            self._made[key] = value
            while len(self._made) > self._most:
                self._made.popitem(last=False)
        return value

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._made.clear()
