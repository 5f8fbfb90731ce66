"""Flags for precision, strictness, the NPU's folders and files of results."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.devices.adb.server import AdbServer
from nas.devices.delegate import Delegate
from nas.devices.phone.benchmark_tool import Tool
from nas.devices.phone.device import AdbDevice
from nas.devices.phone.npu_chips import npu_chip
from nas.devices.phone.npu_libraries import Libraries
from nas.devices.phone.tool_settings import (
    computed_in,
    default_delegate,
    environment_prefix,
    file_flags,
    npu_flags,
    setting_flags,
)
from tests.helpers.phones import StartPhone

NEW = Tool("/t", frozenset({"use_npu", "use_cpu", "result_file_path"}), "x")
OLD = Tool("/t", frozenset({"use_nnapi", "allow_fp16", "use_gpu"}), "x")
GPU, NNAPI, NPU = Delegate("gpu"), Delegate("nnapi"), Delegate("npu")


@pytest.mark.parametrize(("sdk", "kind"), [(None, "nnapi"), (34, "nnapi"), (35, "gpu")])
def test_the_delegate_of_an_android(sdk: int | None, kind: str) -> None:
    assert default_delegate(sdk) == Delegate(kind)


def test_precisions_and_strictness() -> None:
    assert setting_flags(NEW, GPU, "fp32", False) == {"gpu-precision": "fp32"}
    assert setting_flags(OLD, GPU, "fp32", False) == {"gpu_precision_loss_allowed": "false"}
    assert setting_flags(OLD, GPU, "fp16", False) == {"gpu_precision_loss_allowed": "true"}
    assert setting_flags(OLD, NNAPI, "fp32", False) == {"allow_fp16": "false"}
    assert setting_flags(OLD, NNAPI, "fp16", True) == {"require_full_delegation": "true"}
    strict = {"require_full_delegation": "true", "use_cpu": "false"}
    assert setting_flags(NEW, NPU, None, True) == strict


def test_what_networks_are_computed_in() -> None:
    assert computed_in(NEW, GPU, "fp32") == "fp32"
    assert computed_in(NEW, GPU, None) == "fp16, the tool's default"
    assert computed_in(OLD, NNAPI, None) == "fp16, allowed"
    assert computed_in(OLD, Delegate("cpu"), None) == "fp32"
    assert computed_in(NEW, NPU, None) is None


def test_folders_of_an_npu() -> None:
    chip = npu_chip("SM8750")
    assert chip is not None
    libraries = Libraries("/f/libraries-1", (("a.so", Path("a.so")),))
    flags = npu_flags(NEW, chip, libraries, ahead=False)
    assert flags.pop("compiler_cache_path").endswith("/compiled")
    assert flags == dict.fromkeys(
        ("dispatch_library_path", "compiler_plugin_library_path"), "/f/libraries-1"
    )
    ahead = npu_flags(NEW, chip, libraries, ahead=True)
    assert ahead == {"dispatch_library_path": "/f/libraries-1"}
    prefix = environment_prefix("f0", libraries)
    assert prefix == (
        "taskset f0 env LD_LIBRARY_PATH=/f/libraries-1 ADSP_LIBRARY_PATH=/f/libraries-1"
    )
    assert environment_prefix(None, None) == ""


def test_files_of_a_tool_that_knows_them() -> None:
    assert list(file_flags(NEW)) == ["result_file_path"]
    assert file_flags(OLD) == {}


@pytest.mark.parametrize(("profile", "words"), [("modern", "nnapi"), ("gpu-2024", "gpu")])
def test_the_choice_is_said_once(
    start_phone: StartPhone, adb_server: AdbServer, profile: str, words: str
) -> None:
    phone = start_phone(profile)
    told: list[str] = []
    device = AdbDevice(phone.address, server=adb_server, tell=told.append)
    device.info()
    device.info()
    assert len(told) == 1
    assert f"so networks run with --delegate {words} (name another" in told[0]
