"""The benchmark tool on a phone: which binary, which flags it knows, the arguments of a run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from nas.devices.adb.connection import Adb
from nas.devices.delegate import DELEGATES, Delegate
from nas.devices.measurement import TimingProtocol
from nas.devices.phone.elf import MACHINES, machine_of, processor_named
from nas.errors import ConfigError, RunError, one_line, unknown
from nas.system.cache import cache_folder
from nas.system.files import read_json, write_json
from nas.system.hashing import content_key, file_sha256

CACHE_FOLDER = "/data/local/tmp/portable-nas"
"""The folder on a phone that holds everything of ours."""
DEFAULT_TOOL = "/data/local/tmp/benchmark_model"
"""The path of an installed tool on a phone, unless another is named."""
_FLAG = re.compile(r"^\s*--?([a-z][a-z0-9_-]*)(?:=|\s|$)", re.MULTILINE)
_EXECUTABLE_TROUBLE = (
    (r"Permission denied", "it has no run permission: `adb shell chmod 755` it"),
    (r"not executable|Exec format error|wrong ELF|syntax error", "it is for another processor"),
    (r"CANNOT LINK|Library not loaded|shared libraries", "it lacks a library on the phone"),
    (r"not found|No such file", "there is no such file on the phone"),
)

NO_SETTINGS: Mapping[str, str] = MappingProxyType({})
"""No further flags."""

Method = Literal["robust", "paper"]


@dataclass(frozen=True)
class Tool:
    """A benchmark tool on a phone: its path there, the flags that it knows, its SHA-256."""

    path: str
    flags: frozenset[str]
    sha256: str

    @property
    def compiled_model(self) -> bool:
        """Whether it is LiteRT's CompiledModel tool, not the classic one."""
        return "use_npu" in self.flags or "use_cpu" in self.flags

    def knows(self, flag: str) -> bool:
        """Whether the tool takes a flag."""
        return flag in self.flags

    def to_dict(self) -> dict[str, Any]:
        """Return the tool as JSON types."""
        return {**asdict(self), "flags": sorted(self.flags)}


def parse_binaries(values: list[str]) -> dict[str, Path]:
    """Parse PATH, or ABI=PATH for several processors, into paths by ABI; a bare path has key "".

    Raises ConfigError on an unknown ABI or a file that is not there.
    """
    binaries = {}
    for value in values:
        abi, equals, path = value.partition("=")
        if not equals:
            abi, path = "", value
        elif abi not in MACHINES:
            raise unknown("ABI", abi, MACHINES)
        if not Path(path).is_file():
            raise ConfigError(f"benchmark binary {path}: no such file")
        binaries[abi] = Path(path)
    return binaries


def have_tool(
    adb: Adb, binaries: Mapping[str, Path], abis: list[str], installed: str = DEFAULT_TOOL
) -> Tool:
    """Find the tool for this phone, and send it where the user gave a binary; its flags are cached.

    Raises ConfigError where there is none, it is for another processor or can't be run.
    """
    if binaries:
        local = _for_phone(adb, binaries, abis)
        digest = file_sha256(local)
        path = f"{CACHE_FOLDER}/{digest[:16]}-{_safe(local.name)}"
        adb.push(local, path)
    else:
        path = installed
        if adb.size_of(path) is None:
            raise ConfigError(
                f"phone {adb.serial}: no benchmark tool at {path}; give one with "
                "--benchmark-binary PATH (see docs/phones.md)"
            )
        digest = _digest_there(adb, path)
    return Tool(path, _flags(adb, path, digest), digest)


def _digest_there(adb: Adb, path: str) -> str:
    """Return the SHA-256 of a file on the phone, by which caches tell tools apart.

    Raises ConfigError where the phone does not tell it.
    """
    result = adb.shell(f"sha256sum < {shlex.quote(path)}", 60.0)
    digest = result.stdout.split()[0] if result.stdout.split() else ""
    if not re.fullmatch("[0-9a-f]{64}", digest):
        words = one_line(result.output, 120)
        raise ConfigError(
            f"phone {adb.serial}: expected the SHA-256 of {path}, but `sha256sum` said {words!r}; "
            "it needs Android 8.0 or newer, and a file that `adb shell` may read"
        )
    return digest


def _for_phone(adb: Adb, binaries: Mapping[str, Path], abis: list[str]) -> Path:
    for abi in abis:
        if abi in binaries:
            return _checked(adb, binaries[abi], abis)
    if "" in binaries:
        return _checked(adb, binaries[""], abis)
    raise ConfigError(
        f"phone {adb.serial} runs {', '.join(abis)}; the benchmark binaries given are for "
        f"{', '.join(sorted(binaries))}"
    )


def _checked(adb: Adb, path: Path, abis: list[str]) -> Path:
    """Return the binary where it is a script or an ELF file for the phone; else ConfigError."""
    with path.open("rb") as file:
        if file.read(2) == b"#!":
            return path
    machine = machine_of(path)
    if machine is None:
        raise ConfigError(f"benchmark binary {path} is no program for Android (no ELF header)")
    if machine not in [MACHINES.get(abi) for abi in abis]:
        raise ConfigError(
            f"benchmark binary {path} is for {processor_named(machine)}; phone {adb.serial} runs "
            f"{', '.join(abis)}"
        )
    return path


def _safe(name: str) -> str:
    return re.sub(r"[^\w.\-]", "_", name)[-60:]


def _flags(adb: Adb, path: str, digest: str) -> frozenset[str]:
    folder = cache_folder() / "tools"
    cached = folder / f"{content_key(digest)}.json"
    if digest and cached.exists():
        try:
            return frozenset(map(str, read_json(cached)))
        except (RunError, TypeError):
            cached.unlink(missing_ok=True)
    result = adb.run([path, "--help"], 30.0)
    flags = frozenset(_FLAG.findall(result.output))
    if not {"graph", "num_runs"} <= flags:
        for pattern, advice in _EXECUTABLE_TROUBLE:
            if re.search(pattern, result.output):
                raise ConfigError(f"phone {adb.serial}: {path} can't be run: {advice}")
        words = one_line(result.output, 120)
        raise ConfigError(
            f"phone {adb.serial}: {path} is no benchmark tool (--help ended with "
            f"{result.exit_code} and said {words!r})"
        )
    if digest:
        write_json(cached, sorted(flags))
    return flags


def timed_arguments(
    tool: Tool,
    model: str,
    delegate: Delegate,
    method: Method,
    protocol: TimingProtocol,
    settings: Mapping[str, str] = NO_SETTINGS,
) -> list[str]:
    """Return the program and its arguments for one timed launch.

    `settings` are further flags, of `nas.devices.phone.tool_settings`.

    "paper" is exactly what the paper ran; its count of runs is whatever the tool's own limits of
    seconds leave. "robust" fixes the counts. Raises ConfigError where the tool lacks a flag.
    """
    if method == "paper":
        arguments = {"graph": model, **_delegate_flags(tool, delegate, method, settings)}
        arguments |= {"num_runs": "10", "num_threads": "4"}
    else:
        arguments = {
            "graph": model,
            **_delegate_flags(tool, delegate, method, settings),
            "num_threads": str(protocol.threads),
            "num_runs": str(protocol.runs),
            "warmup_runs": str(protocol.warmup),
            "min_secs": f"{protocol.min_seconds:g}",
            "warmup_min_secs": "0",
            "max_secs": f"{protocol.timeout_seconds:g}",
        }
        if tool.knows("report_peak_memory_footprint"):
            arguments["report_peak_memory_footprint"] = "true"
    return [tool.path, *(f"--{name}={value}" for name, value in arguments.items())]


def probe_arguments(
    tool: Tool,
    model: str,
    delegate: Delegate,
    method: Method,
    settings: Mapping[str, str] = NO_SETTINGS,
) -> list[str]:
    """Return the program and its arguments for the untimed launch that shows the placement.

    `settings` are as in `timed_arguments`.
    """
    arguments = {
        "graph": model,
        **_delegate_flags(tool, delegate, method, settings),
        "num_threads": "4",
        "num_runs": "1",
        "warmup_runs": "0",
        "min_secs": "0",
        "warmup_min_secs": "0",
    }
    if delegate.kind != "cpu" and tool.knows("use_xnnpack"):
        # Else what is left goes into XNNPACK's own node, and the profile no longer names it.
        arguments["use_xnnpack"] = "false"
    if tool.knows("enable_op_profiling"):
        arguments["enable_op_profiling"] = "true"
    return [tool.path, *(f"--{name}={value}" for name, value in arguments.items())]


def check_outputs(tool: Tool) -> None:
    """Raise ConfigError where the tool can't read an input and write its output."""
    if tool.compiled_model:
        raise ConfigError(
            f"{tool.path} is the CompiledModel benchmark tool, which neither reads inputs nor "
            "writes outputs; give the classic one with --benchmark-binary PATH"
        )
    missing = [
        name for name in ("input_layer_value_files", "output_filepath") if name not in tool.flags
    ]
    if missing:
        raise ConfigError(
            f"the benchmark tool {tool.path} is too old to write outputs (it does not know "
            f"--{missing[-1]}); give a newer classic one with --benchmark-binary PATH"
        )


def output_arguments(
    tool: Tool,
    model: str,
    delegate: Delegate,
    method: Method,
    threads: int,
    shape: tuple[int, ...],
    files: tuple[str, str],
    settings: Mapping[str, str] = NO_SETTINGS,
) -> list[str]:
    """Return the program and its arguments for one inference on a file of raw values.

    `shape` is that of the model's only input; `files` are the paths of input and output on the
    phone, `settings` are as in `timed_arguments`.
    Raises ConfigError where the tool can't write outputs.
    """
    check_outputs(tool)
    input_file, output_file = files
    arguments = {
        "graph": model,
        **_delegate_flags(tool, delegate, method, settings),
        "num_threads": str(threads),
        # The name is only for the next flag: the tool warns where the model's differs.
        "input_layer": "picture",
        "input_layer_shape": ",".join(map(str, shape)),
        "input_layer_value_files": f"picture:{input_file}",
        "output_filepath": output_file,
        "num_runs": "1",
        "warmup_runs": "0",
        "min_secs": "0",
        "warmup_min_secs": "0",
    }
    return [tool.path, *(f"--{name}={value}" for name, value in arguments.items())]


_OPTIONS = {
    "gpu-precision": "--precision",
    "gpu_precision_loss_allowed": "--precision",
    "allow_fp16": "--precision",
    "nnapi_allow_fp16": "--precision",
    "require_full_delegation": "--strict",
}
"""The options of a device that need a flag, by the flag."""


def _delegate_flags(
    tool: Tool, delegate: Delegate, method: Method, settings: Mapping[str, str]
) -> dict[str, str]:
    flags = _wanted_flags(tool, delegate, method) | dict(settings)
    missing = [name for name in flags if not tool.knows(name)]
    if missing:
        kind = "CompiledModel" if tool.compiled_model else "classic"
        remedy = f"take another delegate ({', '.join(DELEGATES)}) or another tool"
        if missing[0] in settings:
            option = _OPTIONS.get(missing[0])
            remedy = "take a newer tool with --benchmark-binary PATH"
            remedy += f", or leave {option} out" if option else ""
        raise ConfigError(
            f"delegate {delegate}: the {kind} benchmark tool {tool.path} does not know "
            f"--{missing[0]}; {remedy}"
        )
    return flags


def _wanted_flags(tool: Tool, delegate: Delegate, method: Method) -> dict[str, str]:
    match delegate.kind:
        case "nnapi":
            flags = {"use_nnapi": "true"}
            # Since 2021 `allow_fp16` no longer reaches NNAPI; the flag that does is passed, too.
            flags |= {
                name: "true" for name in ("allow_fp16", "nnapi_allow_fp16") if tool.knows(name)
            }
            if delegate.detail:
                flags["nnapi_accelerator_name"] = delegate.detail
            # Explicit, as its default changed: the paper's tool gave every operation to NNAPI.
            flags["disable_nnapi_cpu"] = "false" if method == "paper" else "true"
            return flags
        case "gpu":
            return {"use_gpu": "true"}
        case "cpu":
            return {"use_cpu" if tool.compiled_model else "use_xnnpack": "true"}
        case "hexagon":
            return {"use_hexagon": "true"}
        case "external":
            return {"external_delegate_path": str(delegate.detail)}
        case _:
            return {"use_npu": "true"}
