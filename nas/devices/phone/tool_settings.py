"""Further settings of a launch: precision, strictness, the NPU's folders, files of results.

They become flags of the benchmark tool, beside those of the delegate.
"""

from __future__ import annotations

import posixpath
from typing import Literal, get_args

from nas.devices.delegate import Delegate
from nas.devices.phone.benchmark_tool import CACHE_FOLDER, Method, Tool
from nas.devices.phone.npu_chips import NpuChip
from nas.devices.phone.npu_libraries import Libraries
from nas.errors import ConfigError

Precision = Literal["fp16", "fp32"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
"""The precisions that float32 networks may be computed in."""
COMPILED_FOLDER = f"{CACHE_FOLDER}/compiled"
"""The folder on a phone for what its NPU's compiler made; it is emptied before a measurement."""
RESULT_FILE = f"{CACHE_FOLDER}/result.pb"
"""The file on a phone that the CompiledModel tool writes its figures to."""
RUNTIME_FILE = f"{CACHE_FOLDER}/runtime.pb"
"""The file on a phone that it writes the placement of each operation to."""
_GPU_FIRST_SDK = 35


def default_delegate(sdk: int | None) -> Delegate:
    """Return the delegate of a phone that none was named for: NNAPI is deprecated since Android 15.

    `sdk` is Android's API level; a phone that does not tell it gets NNAPI.

    >>> str(default_delegate(34)), str(default_delegate(35))
    ('nnapi', 'gpu')
    """
    return Delegate("gpu" if sdk is not None and sdk >= _GPU_FIRST_SDK else "nnapi")


def check_settings(
    delegate: Delegate, method: Method, precision: Precision | None, strict: bool
) -> None:
    """Raise ConfigError where a setting makes no sense with a delegate or a protocol."""
    if precision is not None and delegate.kind not in ("gpu", "nnapi"):
        raise ConfigError(
            f"--precision {precision}: the delegate {delegate} takes none; gpu and nnapi do"
        )
    if precision == "fp32" and delegate.kind == "nnapi" and method == "paper":
        raise ConfigError("--precision fp32: the paper's protocol is in fp16 (--allow_fp16=true)")
    if strict and delegate.kind == "cpu":
        raise ConfigError("--strict: on the CPU there is nothing to be strict about")


def setting_flags(
    tool: Tool, delegate: Delegate, precision: Precision | None, strict: bool
) -> dict[str, str]:
    """Return the flags for the precision, and for refusing operations on the CPU."""
    flags: dict[str, str] = {}
    if precision is not None and delegate.kind == "gpu":
        if tool.compiled_model:
            flags["gpu-precision"] = precision
        else:
            flags["gpu_precision_loss_allowed"] = "false" if precision == "fp32" else "true"
    if precision == "fp32" and delegate.kind == "nnapi":
        names = [name for name in ("allow_fp16", "nnapi_allow_fp16") if tool.knows(name)]
        flags |= dict.fromkeys(names or ["nnapi_allow_fp16"], "false")
    if strict:
        flags["require_full_delegation"] = "true"
        if tool.compiled_model:
            flags["use_cpu"] = "false"  # with both true it aborts
    return flags


def npu_flags(tool: Tool, chip: NpuChip, libraries: Libraries, ahead: bool) -> dict[str, str]:
    """Return the flags for the vendor's libraries; `ahead`: the file is compiled already."""
    flags = {"dispatch_library_path": libraries.folder}
    if not ahead:
        flags["compiler_plugin_library_path"] = libraries.folder
        flags["compiler_cache_path"] = COMPILED_FOLDER
    if chip.vendor == "MediaTek" and tool.knows("mediatek_nerun_pilot_version"):
        flags["mediatek_nerun_pilot_version"] = f"version{chip.generation.removeprefix('v')}"
    return flags


def file_flags(tool: Tool) -> dict[str, str]:
    """Return the flags by which the CompiledModel tool writes its files; none of an older one."""
    if not tool.compiled_model:
        return {}
    files = {"result_file_path": RESULT_FILE, "model_runtime_info_output_file": RUNTIME_FILE}
    return {name: path for name, path in files.items() if tool.knows(name)}


def computed_in(tool: Tool, delegate: Delegate, precision: Precision | None) -> str | None:
    """Tell the precision of a float32 network's arithmetic; None where the vendor decides."""
    if precision is not None:
        return precision
    match delegate.kind:
        case "gpu":
            return "fp16, the tool's default"
        case "nnapi" if tool.knows("allow_fp16") or tool.knows("nnapi_allow_fp16"):
            return "fp16, allowed"
        case "cpu":
            return "fp32"
        case _:
            return None


def environment_prefix(mask: str | None, libraries: Libraries | None) -> str:
    """Write what stands before the program: its cores, and where it finds libraries."""
    words = [f"taskset {mask}"] if mask else []
    if libraries is not None:
        pairs = (f"{name}={value}" for name, value in libraries.environment.items())
        words += ["env", *pairs]
    return " ".join(words)


def fresh_files(tool: Tool) -> str:
    """Write the script that removes the files of an earlier launch."""
    names = " ".join(posixpath.basename(path) for path in file_flags(tool).values())
    return f"(cd {CACHE_FOLDER} && rm -f {names}) 2>/dev/null" if names else "true"
