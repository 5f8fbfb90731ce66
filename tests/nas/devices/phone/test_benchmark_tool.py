from __future__ import annotations

import struct
from pathlib import Path

import pytest

from nas.devices.adb.server import AdbServer
from nas.devices.delegate import Delegate
from nas.devices.measurement import TimingProtocol
from nas.devices.phone.benchmark_tool import (
    CACHE_FOLDER,
    Tool,
    have_tool,
    parse_binaries,
    probe_arguments,
    timed_arguments,
)
from nas.errors import ConfigError
from nas.system.hashing import file_sha256
from tests.emulated_phone.phone import TOOL_PATH
from tests.emulated_phone.programs import write_tool
from tests.emulated_phone.tool import FLAGS_2020, FLAGS_2026
from tests.helpers.phones import StartPhone, adb_of

OLD = Tool("/t", frozenset(FLAGS_2020), "x")


NEW = Tool("/t", frozenset(FLAGS_2026), "x")


COMPILED = Tool("/t", frozenset({"graph", "num_runs", "use_npu", "use_gpu", "use_cpu"}), "x")


PROTOCOL = TimingProtocol(runs=12, warmup=3, threads=4, timeout_seconds=90)


def test_the_papers_arguments_are_exactly_the_papers() -> None:
    assert timed_arguments(OLD, "/m", Delegate("nnapi"), "paper", PROTOCOL) == [
        "/t",
        "--graph=/m",
        "--use_nnapi=true",
        "--allow_fp16=true",
        "--disable_nnapi_cpu=false",
        "--num_runs=10",
        "--num_threads=4",
    ]


def test_robust_arguments_fix_the_counts() -> None:
    given = timed_arguments(NEW, "/m", Delegate("nnapi", "qti-dsp"), "robust", PROTOCOL)
    for expected in (
        "--num_runs=12",
        "--warmup_runs=3",
        "--min_secs=0",
        "--warmup_min_secs=0",
        "--max_secs=90",
        "--num_threads=4",
        "--nnapi_accelerator_name=qti-dsp",
        "--disable_nnapi_cpu=true",
        "--nnapi_allow_fp16=true",
    ):
        assert expected in given


@pytest.mark.parametrize(
    ("delegate", "flag"),
    [
        ("gpu", "--use_gpu=true"),
        ("cpu", "--use_xnnpack=true"),
        ("hexagon", "--use_hexagon=true"),
        ("external:/vendor/l.so", "--external_delegate_path=/vendor/l.so"),
    ],
)
def test_every_delegate_has_its_flag(delegate: str, flag: str) -> None:
    assert flag in timed_arguments(NEW, "/m", Delegate.parse(delegate), "robust", PROTOCOL)
    assert flag in probe_arguments(NEW, "/m", Delegate.parse(delegate), "robust")
    assert str(Delegate.parse(delegate)) == delegate
    shown = probe_arguments(NEW, "/m", Delegate.parse(delegate), "robust")
    assert ("--use_xnnpack=false" in shown) == (delegate != "cpu")


def test_the_other_tool_of_the_name() -> None:
    assert COMPILED.compiled_model
    assert not NEW.compiled_model
    assert "--use_cpu=true" in probe_arguments(COMPILED, "/m", Delegate("cpu"), "robust")
    with pytest.raises(ConfigError, match="CompiledModel benchmark tool /t does not know --use_nn"):
        probe_arguments(COMPILED, "/m", Delegate("nnapi"), "robust")
    with pytest.raises(ConfigError, match="classic benchmark tool /t does not know --use_npu"):
        probe_arguments(OLD, "/m", Delegate("npu"), "robust")


@pytest.mark.parametrize(
    ("profile", "flags"), [("mate30-like", FLAGS_2020), ("modern", FLAGS_2026)]
)
def test_flags_are_asked_once_and_kept(
    start_phone: StartPhone, adb_server: AdbServer, profile: str, flags: dict[str, str]
) -> None:
    phone = start_phone(profile)
    adb = adb_of(phone, adb_server)
    tool = have_tool(adb, {}, ["arm64-v8a"])
    assert tool.path == TOOL_PATH
    assert tool.flags >= set(flags)
    assert tool.knows("nnapi_allow_fp16") == (profile == "modern")
    asked = len([name for name in phone.opened if "--help" in name])
    assert have_tool(adb, {}, ["arm64-v8a"]) == tool
    assert (asked, len([name for name in phone.opened if "--help" in name])) == (1, 1)


def test_a_given_binary_is_sent_once(
    start_phone: StartPhone, adb_server: AdbServer, tmp_path: Path
) -> None:
    phone = start_phone()
    write_tool(tmp_path / "bench mark")
    adb = adb_of(phone, adb_server)
    binaries = parse_binaries([f"arm64-v8a={tmp_path / 'bench mark'}"])
    tool = have_tool(adb, binaries, ["arm64-v8a", "armeabi-v7a"])
    assert tool.path.startswith("/data/local/tmp/portable-nas/")
    assert tool.path.endswith("-bench_mark")
    assert phone.path(tool.path).stat().st_mode & 0o111


def elf(machine: int) -> bytes:
    return b"\x7fELF" + bytes(14) + struct.pack("<H", machine) + bytes(20)


def test_binaries_that_can_t_work(
    start_phone: StartPhone, adb_server: AdbServer, tmp_path: Path
) -> None:
    phone = start_phone()
    adb = adb_of(phone, adb_server)
    abis = ["arm64-v8a", "armeabi-v7a"]
    with pytest.raises(ConfigError, match="no such file"):
        parse_binaries([str(tmp_path / "none")])
    (tmp_path / "x86").write_bytes(elf(62))
    with pytest.raises(ConfigError, match=r"unknown ABI 'arm64'. Did you mean"):
        parse_binaries([f"arm64={tmp_path / 'x86'}"])
    with pytest.raises(ConfigError, match=r"is for x86_64; phone .* runs arm64-v8a"):
        have_tool(adb, parse_binaries([str(tmp_path / "x86")]), abis)
    with pytest.raises(ConfigError, match="the benchmark binaries given are for x86_64"):
        have_tool(adb, parse_binaries([f"x86_64={tmp_path / 'x86'}"]), abis)
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ConfigError, match="no program for Android"):
        have_tool(adb, parse_binaries([str(tmp_path / "text")]), abis)


def test_tools_that_can_t_be_run(start_phone: StartPhone, adb_server: AdbServer) -> None:
    phone = start_phone()
    adb = adb_of(phone, adb_server)
    with pytest.raises(ConfigError, match="no benchmark tool at /data/none; give one with"):
        have_tool(adb, {}, [], "/data/none")
    plain = phone.path("/data/local/tmp/plain")
    plain.write_text("#!/bin/sh\necho usage: something else\n")
    with pytest.raises(ConfigError, match="chmod 755"):
        have_tool(adb, {}, [], "/data/local/tmp/plain")
    plain.chmod(0o755)
    with pytest.raises(ConfigError, match=r"is no benchmark tool .*something else"):
        have_tool(adb, {}, [], "/data/local/tmp/plain")
    plain.write_bytes(elf(183))
    with pytest.raises(ConfigError, match="another processor"):
        have_tool(adb, {}, [], "/data/local/tmp/plain")


def test_an_installed_tool_of_a_nasty_name(start_phone: StartPhone, adb_server: AdbServer) -> None:
    phone = start_phone()
    path = f"{CACHE_FOLDER}/a b;$(touch hurt)'.tool"
    phone.path(path).parent.mkdir(parents=True)
    phone.path(TOOL_PATH).rename(phone.path(path))
    found = have_tool(adb_of(phone, adb_server), {}, ["arm64-v8a"], path)
    assert found.sha256 == file_sha256(phone.path(path))
    assert found.knows("use_nnapi")
    assert not list(phone.root.rglob("hurt"))


def test_a_tool_without_a_digest_is_refused(start_phone: StartPhone, adb_server: AdbServer) -> None:
    phone = start_phone()
    (phone.folder / "bin/sha256sum").write_text(
        "#!/bin/sh\necho sha256sum: not found >&2; exit 127"
    )
    (phone.folder / "bin/sha256sum").chmod(0o755)
    with pytest.raises(ConfigError, match=r"said 'sha256sum: not found'; it needs Android 8\.0"):
        have_tool(adb_of(phone, adb_server), {}, ["arm64-v8a"])
