"""What a shell offers for a value: studies, devices, networks, precisions, figures, runs.

Nothing in here may fail or be slow: an import is done when a value is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any


def _matching(values: Iterable[str], incomplete: str) -> list[str]:
    return [value for value in values if value.startswith(incomplete)]


def kinds(incomplete: str) -> list[str]:
    """Offer the kinds of JSON documents."""
    from nas.cli.documents import KINDS

    return _matching(KINDS, incomplete)


def studies(incomplete: str) -> list[str]:
    """Offer the studies that come with the project, and the .py files here."""
    from studies import STUDIES

    return _matching([*STUDIES, *(path.name for path in Path().glob("*.py"))], incomplete)


def devices(incomplete: str) -> list[str]:
    """Offer the host, NPUs, GPUs, the paper's phones, and phones that adb lists by now."""
    from nas.devices.gpu.device import SPECS
    from nas.devices.npu.chips import CHIPS
    from nas.devices.paper_phones.device import PREFIX
    from nas.devices.paper_phones.published import phones

    known = ["host", *(chip.spec for chip in CHIPS.values()), *SPECS]
    known += [f"{PREFIX}{phone.phone}" for phone in phones()]
    return _matching([*known, *_connected()], incomplete)


def _connected() -> list[str]:
    """Return the phones of a server that is up; none is started for a completion."""
    try:
        from nas.devices.adb.server import AdbServer

        return [f"adb:{entry.serial}" for entry in AdbServer.from_environment().entries()]
    except Exception:  # no server, no adb, a port of somebody else's: nothing to offer
        return []


def networks(incomplete: str) -> list[str]:
    """Offer the networks that have a name, and the .json files here."""
    from search_spaces import ARCHITECTURES

    return _matching([*ARCHITECTURES, *(path.name for path in Path().glob("*.json"))], incomplete)


def precisions(incomplete: str) -> list[str]:
    """Offer the precisions."""
    from typing import get_args

    from nas.networks.candidate import Precision

    return _matching(get_args(Precision), incomplete)


def data_sets(incomplete: str) -> list[str]:
    """Offer the forms of a data set's name."""
    return _matching(["photos", "reds:", "gopro:", "pairs:"], incomplete)


def states(incomplete: str) -> list[str]:
    """Offer the states in which a trial can end."""
    from typing import get_args

    from nas.study.trial_result import State

    return _matching(get_args(State), incomplete)


def trackers(incomplete: str) -> list[str]:
    """Offer the trackers of experiments."""
    from nas.report.trackers import TRACKERS

    return _matching(TRACKERS, incomplete)


def runs(incomplete: str) -> list[str]:
    """Offer the folders below runs/ that hold a run."""
    return _matching(
        sorted(str(path.parent) for path in Path("runs").glob("*/run.json")), incomplete
    )


def figures(ctx: Any, incomplete: str) -> list[str]:
    """Offer the figures that the command's run has."""
    return _matching(_figures(ctx.params.get("run")), incomplete)


def budgets(ctx: Any, incomplete: str) -> list[str]:
    """Offer the costs that the command's run has, each with "="."""
    from nas.study.objectives import is_logarithmic

    costs = [figure for figure in _figures(ctx.params.get("run")) if is_logarithmic(figure)]
    return _matching([f"{name}=" for name in costs], incomplete)


def _figures(run: Any) -> list[str]:
    from nas.errors import NasError
    from nas.report.choice import open_front
    from nas.storage.run_folder import RunFolder

    try:
        return open_front(RunFolder(Path(run))).figures if run else []
    except NasError:
        return []
