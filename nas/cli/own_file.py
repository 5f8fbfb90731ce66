"""A user's own .py file: the names that it defines, with classes that workers can import."""

from __future__ import annotations

import importlib
import importlib.util
import runpy
import sys
from pathlib import Path
from typing import Any

from nas.errors import ConfigError


def own_values(path: Path) -> dict[str, Any]:
    """Return the names that a user's file defines, its classes such that workers can import them.

    For that the file's name must belong to no other module; else the file is only run. Raises
    ConfigError where it fails.
    """
    name, folder = path.stem, str(path.parent.resolve())
    sys.path.append(folder)
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    try:
        if spec is None or Path(spec.origin or "").resolve() != path.resolve():
            sys.path.remove(folder)
            return runpy.run_path(str(path))
        return vars(importlib.import_module(name))
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"{path} can't be run: {type(error).__name__}: {error}") from error
