"""Profiles of emulated phones: chip, accelerators, the operations that these take, and speeds.

The three named after the paper's phones behave like them where its Tables 2 to 4 tell (which
operations fall back, which networks fail); their latencies are made up and only follow the order of
magnitude.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

FLOATS = ("float32",)
INT8 = ("int8", "uint8")
NNAPI_TYPES = (*FLOATS, *INT8, "int32", "bool")


@dataclass(frozen=True)
class Rule:
    """Operations that no accelerator of the phone takes (`action` "fall-back"), or that make the
    whole model fail ("fail"). Every condition that is set must hold.

    `after`: an input comes straight from one of these operations, or, with `after_fallen`, from one
    of them that fell back itself. `min_elements` counts the output's elements.
    """

    op: str
    action: str = "fall-back"
    types: tuple[str, ...] = NNAPI_TYPES
    after: tuple[str, ...] = ()
    after_fallen: bool = False
    min_elements: int = 0
    min_inputs: int = 0
    kernel_over_stride: bool = False


@dataclass(frozen=True)
class Profile:
    """One kind of phone.

    `half_precision`: where 16 bits are allowed for float32 (`allow_fp16`), an accelerator's output
    is rounded to them; what it computes before is this machine's. `load` is that of a phone that
    does nothing, `allowed_khz` what its vendor allows of `max_frequencies_khz`.

    `tool` is "2020" or "2026" for the classic tool, "compiled-model" for LiteRT's. For the latter:
    `npu` is the vendor of the NPU, `npu_unsupported` are the operations that its compiler does not
    take, `npu_fault` is "jit" where that compiler fails, `gpu_unsupported` are the operations that
    the GPU does not take, `gpu_built_in` says whether the tool contains LiteRT's GPU library, and
    `tool_lacks` names flags that an older tool does not know.
    """

    name: str
    manufacturer: str
    model: str
    chip: str
    android: str
    sdk: int
    accelerators: tuple[str, ...]
    rules: tuple[Rule, ...] = ()
    max_pixels: int | None = None
    tool: str = "2026"
    timing: str = "modelled"
    wait_scale: float = 0.0
    gmacs_per_s: float = 150.0
    reference_gmacs_per_s: float = 4.0
    cpu_gmacs_per_s: float = 30.0
    launch_noise: float = 0.01
    max_frequencies_khz: tuple[int, ...] = (1800000,) * 4 + (2400000,) * 3 + (2840000,)
    allowed_khz: tuple[int, ...] | None = None
    capacities: tuple[int, ...] | None = (250,) * 4 + (870,) * 3 + (1024,)
    abis: tuple[str, ...] = ("arm64-v8a", "armeabi-v7a")
    temperature: tuple[tuple[float, float], ...] = ((0.0, 31.0),)
    hot_celsius: float = 43.0
    battery: int = 83
    has_battery: bool = True
    charging: bool = True
    load: float = 1.2
    external_libraries: tuple[str, ...] = ()
    gpu: bool = True
    hexagon: bool = False
    half_precision: bool = False
    npu: str = ""
    npu_unsupported: tuple[str, ...] = ()
    npu_fault: str = ""
    gpu_unsupported: tuple[str, ...] = ()
    gpu_built_in: bool = True
    tool_lacks: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the profile as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Profile:
        """Read the profile that `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        values["rules"] = tuple(
            Rule(**{key: tuple(v) if isinstance(v, list) else v for key, v in rule.items()})
            for rule in values["rules"]
        )
        for key, value in values.items():
            if isinstance(value, list):
                values[key] = tuple(tuple(v) if isinstance(v, list) else v for v in value)
        return cls(**values)


_DBPN = Rule("TRANSPOSE_CONV", "fail", kernel_over_stride=True)

MATE30 = Profile(
    name="mate30-like",
    manufacturer="emulated",
    model="Mate30-like",
    chip="kirin990-like",
    android="10",
    sdk=29,
    accelerators=("armnn", "liteadaptor"),
    tool="2020",
    max_frequencies_khz=(1950000,) * 4 + (2360000,) * 2 + (2860000,) * 2,
    capacities=None,
    half_precision=True,
    max_pixels=1280 * 720,
    gmacs_per_s=300.0,
    reference_gmacs_per_s=0.08,
    rules=(
        Rule("TRANSPOSE_CONV"),
        Rule("MUL"),
        Rule("RESIZE_NEAREST_NEIGHBOR"),
        Rule("PRELU", types=INT8),
        Rule("RESIZE_BILINEAR", types=INT8),
        _DBPN,
    ),
)
RENO3 = Profile(
    name="reno3-like",
    manufacturer="emulated",
    model="Reno3-like",
    chip="mt6885-like",
    android="10",
    sdk=29,
    accelerators=("neuron-ann",),
    tool="2020",
    max_frequencies_khz=(2000000,) * 4 + (2200000,) * 4,
    capacities=(300,) * 4 + (1024,) * 4,
    half_precision=True,
    max_pixels=1600 * 900,
    gmacs_per_s=160.0,
    external_libraries=("libneuron_delegate.so",),
    rules=(_DBPN,),
)
PIXEL4 = Profile(
    name="pixel4-like",
    manufacturer="emulated",
    model="Pixel4-like",
    chip="sm8150-like",
    android="10",
    sdk=29,
    accelerators=("google-edgetpu", "qti-default", "qti-dsp", "qti-gpu", "qti-hta"),
    tool="2020",
    half_precision=True,
    max_pixels=1280 * 720,
    gmacs_per_s=90.0,
    reference_gmacs_per_s=2.5,
    hexagon=True,
    rules=(
        Rule("TRANSPOSE_CONV"),
        Rule("CONCATENATION", types=FLOATS, after=("TRANSPOSE_CONV",)),
        Rule("CONCATENATION", types=FLOATS, min_elements=68_000_000),
        Rule("CONCATENATION", types=INT8),
        Rule("CONV_2D", types=FLOATS, after=("CONCATENATION",), after_fallen=True),
        Rule("MUL"),
        Rule("RESIZE_NEAREST_NEIGHBOR"),
        Rule("CONV_2D", after=("MUL", "RESIZE_NEAREST_NEIGHBOR"), after_fallen=True),
        Rule("MAX_POOL_2D", kernel_over_stride=True),
        Rule("SPACE_TO_DEPTH"),
        Rule("DEPTH_TO_SPACE"),
        Rule("CONCATENATION", "fail", min_inputs=6),
        _DBPN,
    ),
)
MODERN = Profile(
    name="modern",
    manufacturer="emulated",
    model="Modern",
    chip="modern-npu",
    android="14",
    sdk=34,
    accelerators=("vendor-npu",),
    half_precision=True,
    rules=(Rule("TRANSPOSE_CONV"), Rule("PRELU", types=INT8)),
)
PICKY = replace(
    MODERN,
    name="picky",
    model="Picky",
    gmacs_per_s=40.0,
    rules=(*MODERN.rules, Rule("DEPTH_TO_SPACE", "fail")),
)
HOST_SPEED = Profile(
    name="host-speed",
    manufacturer="emulated",
    model="Host-speed",
    chip="this-machine",
    android="14",
    sdk=34,
    accelerators=("vendor-npu",),
    timing="real",
)
NO_NNAPI = Profile(
    name="no-nnapi",
    manufacturer="emulated",
    model="No-NNAPI",
    chip="old",
    android="8.0",
    sdk=26,
    accelerators=(),
)
GPU_2024 = Profile(
    name="gpu-2024",
    manufacturer="emulated",
    model="Gpu-2024",
    chip="Tensor G3",
    android="15",
    sdk=35,
    accelerators=("google-edgetpu",),
    tool="compiled-model",
    gmacs_per_s=220.0,
    gpu_unsupported=("RESIZE_NEAREST_NEIGHBOR", "DEPTH_TO_SPACE", "MIRROR_PAD"),
)
NPU_2025 = Profile(
    name="npu-2025",
    manufacturer="emulated",
    model="Npu-2025",
    chip="SM8650",
    android="16",
    sdk=36,
    accelerators=(),
    tool="compiled-model",
    gmacs_per_s=900.0,
    npu="Qualcomm",
)
NPU_ON_CPU = replace(NPU_2025, name="npu-on-cpu", model="Npu-on-CPU", npu_fault="jit")

PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        MATE30,
        RENO3,
        PIXEL4,
        MODERN,
        PICKY,
        HOST_SPEED,
        NO_NNAPI,
        GPU_2024,
        NPU_2025,
        NPU_ON_CPU,
    )
}
