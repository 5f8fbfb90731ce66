"""Two things that threads share: the thread count of matrix libraries, and a cache.

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
    """Return getter and setter of the thread counts of numpy's and scipy's OpenBLAS."""
    from numpy.linalg import _umath_linalg
    from scipy.linalg import _fblas

    functions: list[tuple[Callable[[], int], Callable[[int], None]]] = []
    for module in (_umath_linalg, _fblas):
        try:
            library = ctypes.CDLL(module.__file__)
        except OSError:
            continue
        for name in _NAMES:
            if hasattr(library, name.format("set")):
                functions.append((library[name.format("get")], library[name.format("set")]))
                break
    return functions


_lock = Lock()
_inside = 0
_before: list[tuple[Callable[[int], None], int]] = []
"""Setters with the counts to restore once no thread is inside `one_thread`."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Have matrix libraries use one thread in this context, if they have such a setting.

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
    """A cache of the `most` values that were asked for last, by the bytes they are made from."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, Lock()
        self._made: OrderedDict[tuple[bytes, ...], Made] = OrderedDict()

    def of(self, key: tuple[bytes, ...], make: Callable[[], Made]) -> Made:
        """Return the value of a key, made by `make` if absent. Two threads may make the same."""
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
        """Forget all values."""
        with self._lock:
            self._made.clear()
