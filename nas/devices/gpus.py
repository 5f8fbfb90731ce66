"""Which devices of a study may be GPUs under LiteRT: files are made so that these take them."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl


def may_use_gpu(devices: Iterable[str]) -> bool:
    """Whether one of the devices is LiteRT's GPU, or a phone that may choose its own GPU.

    A phone without a named delegate chooses by its Android, which is not asked here: the same study
    has the same files wherever its phones are. The paper's protocol is NNAPI's.

    >>> may_use_gpu(["host", "adb:A?delegate=nnapi"]), may_use_gpu(["adb:A?delegate=gpu"])
    (False, True)
    """
    return any(_may_use_gpu(device) for device in devices)


def _may_use_gpu(device: str) -> bool:
    kind, _, rest = device.partition(":")
    if kind.partition("?")[0] == "gpu":
        return True
    options = dict(parse_qsl(rest.partition("?")[2]))
    default = "nnapi" if options.get("protocol") == "paper" else "gpu"
    return kind == "adb" and options.get("delegate", default) == "gpu"
