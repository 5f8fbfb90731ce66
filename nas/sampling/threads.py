"""One thread for small matrices: more cost more than they save, most of all on a busy machine."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

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


@contextmanager
def one_thread() -> Iterator[None]:
    """Matrices are worked on by one thread inside, where the libraries can be told so."""
    before = [(set_threads, threads()) for threads, set_threads in _libraries()]
    for set_threads, _ in before:
        set_threads(1)
    try:
        yield
    finally:
        for set_threads, count in before:
            set_threads(count)
