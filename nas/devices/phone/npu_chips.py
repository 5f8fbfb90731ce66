"""The phone chips whose NPUs LiteRT can use, and the libraries that each of them needs.

The chips and the libraries' names are those of LiteRT's own vendor tables of August 2026.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import final

AOT_OPERATION = "CUSTOM DISPATCH_OP"
"""The operation of a file that was compiled for an NPU ahead of time."""
_QUALCOMM = {
    "v81": "SM8850 SM8845 SM8845P SW6100 SC8480XP SAR2230P",
    "v79": "SM8750 SXR2330P",
    "v75": "SM8650 QCS8625 QCS8300 QCS8275",
    "v73": "SM8635 SM8550 SM7675 SM7550 SM7435 SM6450 QCM6690 QCS6690 QCS9100 QCS9075 SSG2125P "
    "SSG2115P SAR2130P QCM8550LA QCM8550LE SC8380XP SXR1230P SA8255",
    "v69": "SM8475 SM8450 SM7475 SM7450 SM7425 SXR2230P SXR2250P",
}
_MEDIATEK = {
    "v9": "MT6993",
    "v8": "MT6895 MT6897 MT6983 MT6985 MT6989 MT6991 MT8171 MT8188 MT8189 MT8196",
}
_GOOGLE = {"g3": "TENSOR G3", "g4": "TENSOR G4", "g5": "TENSOR G5", "g6": "TENSOR G6"}
_SAMSUNG = {"e9955": "E9955 S5E9955", "e9965": "E9965 S5E9965"}
GPU_ACCELERATORS = (
    "libLiteRtGpuAccelerator.so",
    "libLiteRtClGlAccelerator.so",
    "libLiteRtOpenClAccelerator.so",
)
"""The libraries of LiteRT's GPU; a tool without it built in loads the first that is there."""
RUNTIME = "libLiteRt.so"
"""LiteRT's runtime, which a tool that does not contain it loads."""


@final
@dataclass(frozen=True)
class NpuChip:
    """A chip with an NPU: its name, LiteRT's name of its vendor, the generation of its NPU.

    The generation is Qualcomm's Hexagon ("v75"), MediaTek's NeuroPilot ("v8"), or the chip itself.
    """

    name: str
    vendor: str
    generation: str

    @property
    def hexagon(self) -> str | None:
        """The number of Qualcomm's Hexagon, such as "75"; None for the other vendors."""
        return self.generation.removeprefix("v") if self.vendor == "Qualcomm" else None

    @property
    def compiler_name(self) -> str:
        """What LiteRT's compiler calls a chip of Qualcomm's: "SM8550" of an SM8550-AC."""
        return _plain(self.name)

    @property
    def mode(self) -> str | None:
        """The vendor's performance mode that the tool itself sets; None where it sets none."""
        modes = {"Qualcomm": "burst", "MediaTek": "turbo boost", "GoogleTensor": "burst"}
        return modes.get(self.vendor)

    @property
    def dispatch(self) -> str:
        """The library that runs what was compiled."""
        return f"libLiteRtDispatch_{self.vendor}.so"

    @property
    def plugin(self) -> str:
        """The library that compiles on the phone; a file compiled ahead of time needs none."""
        vendor = "google_tensor" if self.vendor == "GoogleTensor" else self.vendor
        return f"libLiteRtCompilerPlugin_{vendor}.so"

    @property
    def needed(self) -> tuple[tuple[str, ...], ...]:
        """The libraries to put on the phone; each entry lists names of which one will do."""
        names: list[tuple[str, ...]] = [(self.dispatch,), (self.plugin,)]
        if self.hexagon is not None:
            names += [("libQnnSystem.so",), ("libQnnHtp.so",), ("libQnnHtpPrepare.so",)]
            names += [(f"libQnnHtpV{self.hexagon}Stub.so",), (f"libQnnHtpV{self.hexagon}Skel.so",)]
        if self.vendor == "MediaTek":
            new = ("libneuronusdk_adapter.9.mtk.so", "libneuronusdk_adapter.so")
            names += [new if self.generation == "v9" else ("libneuronusdk_adapter.mtk.so",)]
        return tuple(names)

    @property
    def useful(self) -> tuple[str, ...]:
        """Libraries that are sent, too, where they are at hand."""
        own = ("libQnnIr.so", "libQnnSaver.so") if self.vendor == "Qualcomm" else ()
        return (RUNTIME, *own)

    @property
    def on_the_phone(self) -> str | None:
        """The library that the phone's own system must have; None where none is known."""
        own = {"GoogleTensor": "libedgetpu_litert.so", "Samsung": "libenn_public_api_cpp.so"}
        return own.get(self.vendor)


def npu_chip(name: str) -> NpuChip | None:
    """Find a chip by what a phone calls it (`ro.soc.model`); None where no vendor lists it.

    >>> npu_chip("SM8650").generation, npu_chip("MT6983Z/TCZA").vendor, npu_chip("kirin990")
    ('v75', 'MediaTek', None)
    """
    wanted = _plain(name)
    for vendor, table in _VENDORS.items():
        for generation, names in table.items():
            known = [names] if vendor == "GoogleTensor" else names.split()
            if wanted in known:
                return NpuChip(name, vendor, generation)
    return None


def _plain(name: str) -> str:
    """Return a chip's name as LiteRT's tables have it."""
    wanted = (
        re.sub(r"[_/\s].*", "", name.upper()) if name.upper().startswith("MT") else name.upper()
    )
    wanted = re.sub(r"^(MT\d{4})[A-Z]$", r"\1", wanted)
    return re.sub(r"^QTI ", "", wanted).partition("-")[0]  # "SM8550-AC" is an SM8550


_VENDORS = {
    "Qualcomm": _QUALCOMM,
    "MediaTek": _MEDIATEK,
    "GoogleTensor": _GOOGLE,
    "Samsung": _SAMSUNG,
}
VENDORS = ("Qualcomm", "MediaTek", "Google Tensor", "Samsung")
"""The vendors whose chips are known, as people write them."""
