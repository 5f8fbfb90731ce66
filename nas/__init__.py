"""The machine of portable-nas: everything that is not a search space, an evaluator or a study.

Importing this package is cheap: neither TensorFlow nor Ray is loaded before it is needed.
docs/architecture.md is a map of its rooms.
"""

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final, final

__version__ = "0.1.0"

# Where modules went that studies and programs of users import by an older name.
MOVED: Final = {
    "nas.candidate": "nas.networks.candidate",
    "nas.devices.modelled": "nas.devices.paper_phones.device",
    "nas.devices.modelled_operations": "nas.tflite.operations",
    "nas.evaluation": "nas.study.evaluator",
    "nas.metrics": "nas.study.metric",
    "nas.results": "nas.study.trial_result",
    "nas.schedule": "nas.training.schedule",
}


@final
class _MovedModules(MetaPathFinder, Loader):
    """Finds a module of `MOVED` by its older name, with a warning that says the newer one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for an older name; None for every other module."""
        return ModuleSpec(fullname, self) if fullname in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        """Let the module hand on whatever the newer one has."""
        new = MOVED[module.__name__]
        warnings.warn(
            f"{module.__name__} is {new} now; import that", DeprecationWarning, stacklevel=2
        )
        home = import_module(new)
        module.__dict__["__getattr__"] = lambda name: getattr(home, name)


sys.meta_path.append(_MovedModules())
