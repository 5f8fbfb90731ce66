"""A search, from its first check to its last trial.

`from nas.search import search` is the public way in. It is loaded when it is asked for, so that a
module of this room costs no more than itself.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.search.driver import search
    from nas.search.watcher import Watcher

__all__ = ["Watcher", "search"]
_HOMES = {"search": "driver", "Watcher": "watcher"}


def __getattr__(name: str) -> Any:
    """Load a public name from its module; AttributeError for any other name."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
