"""The chips that `npu:CHIP` may name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from nas.errors import ConfigError, unknown

PREFIX = "npu:"
FIGURES = ("ddr_read_mb", "ddr_write_mb", "spill_mb", "fill_mb", "context_mb")
"""What an NPU's compiler tells beside a latency; MB of 10^6 bytes."""
PARTLY = "?partly=allowed"
"""Behind a chip's name: networks that are cut between NPU and CPU are allowed; no latencies."""
CUT_FIGURES = ("cpu_operations", "npu_pieces")
"""What such a device tells: operations that are left to the CPU, and the pieces on the NPU."""
ESTIMATED_AS = 52
"""The compiler's number of SA8255: phones' latencies are fitted to its simulator's estimates."""


@final
@dataclass(frozen=True)
class Chip:
    """One chip: `number` is the compiler's own, `hexagon` the architecture of its NPU.

    `simulated`: the vendor's simulator knows this very chip. For the others a latency is modelled
    from what was published for `published_device`, None where nothing was.
    """

    name: str
    title: str
    number: int
    hexagon: str
    stands_for: str
    published_device: str | None
    simulated: bool = False

    @property
    def spec(self) -> str:
        """The device's name: "npu:sm8650"."""
        return f"{PREFIX}{self.name}"

    @property
    def compiler_name(self) -> str:
        """What the compiler calls the chip: "SM8650"."""
        return self.name.upper()

    @property
    def estimated_as(self) -> int:
        """The compiler's number of the chip whose simulator stands for this one."""
        return self.number if self.simulated else ESTIMATED_AS


CHIPS = {
    chip.name: chip
    for chip in (
        Chip("sm8450", "Snapdragon 8 Gen 1", 36, "v69", "Galaxy S22", "Samsung Galaxy S22 5G"),
        Chip("sm8550", "Snapdragon 8 Gen 2", 43, "v73", "Galaxy S23", "QCS8550 (Proxy)"),
        Chip("sm8650", "Snapdragon 8 Gen 3", 57, "v75", "Galaxy S24", "Samsung Galaxy S24"),
        Chip("sm8750", "Snapdragon 8 Elite", 69, "v79", "Galaxy S25", "Samsung Galaxy S25"),
        Chip("sm8850", "Snapdragon 8 Elite Gen 5", 87, "v81", "Galaxy S26", "Samsung Galaxy S26"),
        Chip("sa8255", "SA8255P", 52, "v73", "cars", None, simulated=True),
        Chip("sa8295", "SA8295P", 39, "v68", "cars", "SA8295P ADP"),
        Chip("qcs8550", "QCS8550", 66, "v73", "embedded boards", "QCS8550 (Proxy)"),
        Chip("qcs9075", "QCS9075", 77, "v73", "IQ-9075 EVK", None, simulated=True),
    )
}
"""By name. Every one is known to LiteRT's compiler and has a source of latencies."""


def chip_named(spec: str) -> Chip:
    """The chip of a device `npu:CHIP`, or with `PARTLY` behind it.

    Raises ConfigError, with the nearest name, where there is no such chip, and for other options.
    """
    name, _, options = spec.removeprefix(PREFIX).lower().partition("?")
    if options not in ("", PARTLY[1:]):
        raise ConfigError(f"{spec}: an NPU takes one option: {PREFIX}{name}{PARTLY}")
    if name not in CHIPS:
        raise unknown("chip", name, CHIPS)
    return CHIPS[name]
