"""Rules for where the paper's phones run an operation, derived from its footnotes.

Each rule names the cells that it comes from. The footnotes of all cells follow from the rules; for
what the paper did not run they are the simplest reading of it, no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

from nas.devices.logs.nnapi import REFERENCE
from nas.devices.paper_phones.published import OP_FAILED
from nas.tflite.operations import PICTURE, Operations, Step

FLOATS = ("float32", "float16")
INT8 = ("int8", "uint8")
NNAPI_TYPES = (*FLOATS, *INT8)
"""The data types that NNAPI has operations for."""


@final
@dataclass(frozen=True)
class Rule:
    """A rule about operations that run on the CPU of a phone ("cpu"), or fail there ("fail").

    Every condition that is set must hold. `after`: one of the inputs comes straight from one of
    these; with `after_fallen` from one that runs on the CPU itself. `elements` counts the output.
    """

    op: str
    evidence: str
    outcome: Literal["cpu", "fail"] = "cpu"
    types: tuple[str, ...] = NNAPI_TYPES
    after: tuple[str, ...] = ()
    after_fallen: bool = False
    min_elements: int = 0
    min_inputs: int = 0
    window_over_stride: bool = False

    def holds(self, step: Step, steps: Sequence[Step], fallen: set[int]) -> bool:
        """Whether the rule is about a step of `steps`; `fallen` are the earlier CPU steps."""
        if self.op != step.op or step.dtype not in self.types:
            return False
        if step.elements < self.min_elements or len(step.sources) < self.min_inputs:
            return False
        if self.window_over_stride and not step.window_over_stride:
            return False
        return not self.after or any(
            steps[source].op in self.after and (source in fallen or not self.after_fallen)
            for source in step.sources
            if source != PICTURE
        )


@final
@dataclass(frozen=True)
class PhoneRules:
    """The rules of one phone, and the names of its accelerators.

    `most_pixels` is the largest picture that Figure 4 saw running, its height rounded up to what
    five poolings divide. `int16`: a vendor's runtime does
    16-bit fixed point, which NNAPI has not; without one such a model stays on the CPU altogether.
    `slow_prelu`: PReLU costs as on the CPU where transposed convolutions fall back, although no
    footnote says so: with it Table 3 has 24.2 s more, 56 ns an element of all PReLUs, and Table 4
    pays 58 for quantized ones that do.
    """

    phone: str
    rules: tuple[Rule, ...]
    most_pixels: int
    accelerator: str = "accelerator"
    integer_accelerator: str = "accelerator"
    int16: str | None = None
    slow_prelu: bool = False


_BACK_PROJECTION = Rule(
    "TRANSPOSE_CONV", "Table 2: DBPN fails on every phone", "fail", window_over_stride=True
)
_LARGE = 68_000_000
"""Elements of a concatenation. Those of 88 million (bilinear resizing, Table 3) and, by the widths
assumed for the pruned networks, of 74 (-30 %) fall back on the Pixel 4; those of 44 (SGN,
depth-to-space) and of 62 (-50 %) do not. The bound is in between."""

MATE30 = PhoneRules(
    phone="mate30-pro-5g",
    most_pixels=1280 * 736,
    slow_prelu=True,
    rules=(
        Rule("TRANSPOSE_CONV", "Tables 2 and 3, footnote 1"),
        Rule("MUL", "Table 2, footnote 4"),
        Rule("RESIZE_NEAREST_NEIGHBOR", "Table 2, footnote 4"),
        Rule("PRELU", "Table 4, footnote 2", types=INT8),
        Rule("RESIZE_BILINEAR", "Table 4, footnote 2", types=INT8),
        _BACK_PROJECTION,
    ),
)
RENO3 = PhoneRules(
    phone="reno3-5g",
    most_pixels=1600 * 928,
    accelerator="neuron-ann",
    integer_accelerator="neuron-ann",
    int16="neuropilot",
    rules=(_BACK_PROJECTION,),
)
PIXEL4 = PhoneRules(
    phone="pixel-4",
    most_pixels=1280 * 736,
    integer_accelerator="qti-default",
    rules=(
        Rule("TRANSPOSE_CONV", "Tables 2 and 3, footnote 2"),
        Rule(
            "CONCATENATION", "Tables 2 and 3, footnote 2", types=FLOATS, after=("TRANSPOSE_CONV",)
        ),
        Rule(
            "CONCATENATION", "Table 3, footnote 4", types=FLOATS, min_elements=_LARGE
        ),
        Rule("CONCATENATION", "Table 4, footnote 3", types=INT8),
        Rule(
            "CONV_2D", "Table 3, footnotes 2 and 4", types=FLOATS, after=("CONCATENATION",),
            after_fallen=True,
        ),
        Rule("MUL", "Table 2, footnote 5"),
        Rule("RESIZE_NEAREST_NEIGHBOR", "Table 2, footnote 5"),
        Rule(
            "CONV_2D", "Table 2, footnote 5: some CONV_2D",
            after=("MUL", "RESIZE_NEAREST_NEIGHBOR"), after_fallen=True,
        ),
        Rule("MAX_POOL_2D", "Table 2, footnote 5", window_over_stride=True),
        Rule("SPACE_TO_DEPTH", "Table 2, footnote 6"),
        Rule("DEPTH_TO_SPACE", "Table 2, footnote 6, and Table 3, footnote 3"),
        Rule("CONCATENATION", "Table 2: RDN fails on Pixel 4", "fail", min_inputs=6),
        _BACK_PROJECTION,
    ),
)  # fmt: skip
RULES: dict[str, PhoneRules] = {phone.phone: phone for phone in (MATE30, RENO3, PIXEL4)}
"""The rules of each phone, by the phone's name."""


@final
@dataclass(frozen=True)
class Plan:
    """The steps that run on the CPU, each with its rule, and the failure, None without one.

    A step without a rule falls back because of its type. `code` is NNAPI's result.
    """

    fallen: dict[int, Rule | None]
    failure: str | None = None
    code: str | None = None


def plan(phone: PhoneRules, operations: Operations) -> Plan:
    """Plan where a phone runs a network, and whether it runs the network at all."""
    fallen: dict[int, Rule | None] = {}
    failure = None
    if operations.pixels > phone.most_pixels:
        width, height = operations.size
        failure = f"{width}x{height} is more than the largest picture that ran (Figure 4)"
    code = None
    for number, step in enumerate(operations.steps):
        rules = [r for r in phone.rules if r.holds(step, operations.steps, set(fallen))]
        failing = next((rule for rule in rules if rule.outcome == "fail"), None)
        if failing is not None and failure is None:
            failure, code = f"{step.op} {number} as in {failing.evidence}", OP_FAILED
        if step.dtype == "int16" and phone.int16 is None:
            fallen[number] = None
        elif any(rule.outcome == "cpu" for rule in rules):
            fallen[number] = next(rule for rule in rules if rule.outcome == "cpu")
    return Plan(fallen, failure, code)


def place(phone: PhoneRules, step: Step, fell: bool) -> str:
    """Name the accelerator or the CPU that runs a step; `fell` says that it falls back."""
    if fell:
        return "cpu" if step.dtype == "int16" else REFERENCE
    if step.dtype == "int16" and phone.int16 is not None:
        return phone.int16
    return phone.accelerator if step.dtype in FLOATS else phone.integer_accelerator
