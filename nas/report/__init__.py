"""Reports show a run as one page that can be read offline, as pictures, and as models to ship.

A name is loaded when it is asked for, so that a module of this room costs no more than itself.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.report.choice import RunFront, open_front
    from nas.report.report_data import ReportData, gather
    from nas.report.write import write_report

__all__ = ["ReportData", "RunFront", "gather", "open_front", "write_report"]
_HOMES = {
    "ReportData": "report_data",
    "RunFront": "choice",
    "gather": "report_data",
    "open_front": "choice",
    "write_report": "write",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module; AttributeError for any other name."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
