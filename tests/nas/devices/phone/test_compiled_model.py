"""LiteRT's CompiledModel tool on emulated phones of 2024 and later: GPU, NPU, and the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.devices.adb.server import AdbServer
from nas.devices.delegate import Delegate
from nas.devices.failures import PhoneStableError, PhoneTransientError
from nas.devices.measurement import TimingProtocol
from nas.devices.phone.npu_chips import npu_chip
from nas.errors import ConfigError
from nas.tflite.file import read_tflite
from tests.emulated_phone import models
from tests.emulated_phone.compiled_tool import COMPILE_MS
from tests.emulated_phone.libraries import write_library, write_mediatek, write_qualcomm
from tests.emulated_phone.phone import EmulatedPhone
from tests.helpers.npu_graphs import needs_extra
from tests.helpers.phones import StartPhone, clean, device_of

PROTOCOL = TimingProtocol(launches=2, runs=5, warmup=1, threads=4, timeout_seconds=20)
NPU = Delegate("npu")
GPU = Delegate("gpu")


@pytest.fixture
def qualcomm(tmp_path: Path) -> Path:
    return write_qualcomm(tmp_path / "qairt")


def launches(phone: EmulatedPhone, flag: str = "num_runs=5") -> list[str]:
    return [name for name in phone.opened if flag in name]


def test_a_network_that_the_gpu_takes_in_part(
    start_phone: StartPhone, adb_server: AdbServer, unet: Path
) -> None:
    phone = start_phone("gpu-2024", gpu_unsupported=("TRANSPOSE_CONV",))
    device = device_of(phone, adb_server)
    found = device.measure(unet, PROTOCOL)
    assert device.options.delegate == GPU  # Android 15
    where = [row.accelerator for row in found.placement]
    assert where == ["gpu", "gpu", "gpu", "cpu", "gpu", "gpu", "gpu"]
    assert found.placement[3].op == "TRANSPOSE_CONV"
    assert found.accelerated_mac_share == pytest.approx(1 - 4096 / _macs(unet))
    assert found.conditions["statistic"] == "median"
    assert found.conditions["precision"] == "fp16, the tool's default"
    assert found.conditions["delegation"] == {
        "delegate": "LITERT_CL",
        "coverage": "partial",
        "kernels": 2,
    }
    assert found.peak_memory_mb == 41.5  # which the text does not tell
    assert found.figures == {}
    assert clean(phone)


def _macs(path: Path) -> int:
    return sum(step.conv_macs for step in read_tflite(path).operations)


def test_strict_mode_refuses_what_the_gpu_takes_in_part(
    start_phone: StartPhone, adb_server: AdbServer, unet: Path, plain: Path
) -> None:
    phone = start_phone("gpu-2024", gpu_unsupported=("TRANSPOSE_CONV",))
    device = device_of(phone, adb_server, strict=True)
    with pytest.raises(
        PhoneStableError, match=r"delegate_refused: gpu did not take the whole"
    ) as e:
        device.measure(unet, PROTOCOL)
    assert "6 of 7 nodes on GPU" in str(e.value)
    assert device.measure(plain, PROTOCOL).conditions["strict"] is True
    assert all("--use_cpu=false" in name for name in launches(phone))


def test_precision_is_told_and_kept_apart(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    phone = start_phone("gpu-2024")
    device = device_of(phone, adb_server, precision="fp32")
    assert device.measure(plain, PROTOCOL).conditions["precision"] == "fp32"
    assert all("--gpu-precision=fp32" in name for name in launches(phone))
    other = device_of(phone, adb_server)
    assert {"precision": "fp32", **other.identity()} == device.identity()
    old = start_phone("gpu-2024", tool_lacks=("gpu-precision",))
    words = "does not know --gpu-precision; take a newer tool with .* or leave --precision out"
    with pytest.raises(ConfigError, match=words):
        device_of(old, adb_server, precision="fp16").measure(plain, PROTOCOL)


def test_a_gpu_that_the_tool_does_not_contain(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path, tmp_path: Path
) -> None:
    phone = start_phone("gpu-2024", gpu_built_in=False)
    with pytest.raises(PhoneStableError, match=r"not_delegated: 0 of 2 .* could not be loaded"):
        device_of(phone, adb_server).measure(plain, PROTOCOL)
    write_library(tmp_path / "gpu" / "libLiteRtClGlAccelerator.so")
    device = device_of(phone, adb_server, libraries=tmp_path / "gpu")
    assert device.measure(plain, PROTOCOL).accelerated_mac_share == 1.0


def test_16_bit_integers_kill_the_tool_and_not_the_phone(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path, tmp_path: Path
) -> None:
    phone = start_phone("gpu-2024")
    device = device_of(phone, adb_server)
    with pytest.raises(PhoneStableError, match=r"crash: .*Check failed.* take another precision"):
        device.measure(models.int16_pool(tmp_path / "int16.tflite"), PROTOCOL)
    assert device.measure(plain, PROTOCOL).accelerated_mac_share == 1.0
    assert clean(phone)


@pytest.mark.parametrize("fault", ["no-files", "half-files"])
def test_the_text_is_the_fallback(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path, fault: str
) -> None:
    phone = start_phone("gpu-2024")
    device = device_of(phone, adb_server)
    phone.inject(fault, times=100)
    found = device.measure(plain, PROTOCOL)
    assert found.accelerated_mac_share == 1.0
    assert found.peak_memory_mb == 32.25  # the text's overall footprint
    assert found.conditions["delegation"]["coverage"] == "complete"


def test_an_npu_that_takes_the_whole_network(
    start_phone: StartPhone, adb_server: AdbServer, unet: Path, qualcomm: Path
) -> None:
    phone = start_phone("npu-2025")
    device = device_of(phone, adb_server, delegate=NPU, libraries=qualcomm)
    found = device.measure(unet, PROTOCOL)
    assert {row.accelerator for row in found.placement} == {"npu"}
    assert found.accelerated_mac_share == 1.0
    assert found.figures["compile_ms"] == pytest.approx(COMPILE_MS, abs=1)
    assert found.init_ms is not None
    assert found.init_ms < 100
    assert found.conditions["npu"] == {
        "vendor": "Qualcomm",
        "generation": "v75",
        "performance_mode": "burst",
        "compiled": "once, then kept",
    }
    (there,) = {name.rpartition("/")[0] for name in phone.files() if name.endswith("Skel.so")}
    assert f"/{there}" == found.conditions["libraries"]["folder"]
    command = launches(phone)[0]
    folder = f"/{there}"
    assert f"env LD_LIBRARY_PATH={folder} ADSP_LIBRARY_PATH={folder} /data" in command
    assert f"--dispatch_library_path={folder} --compiler_plugin_library_path={folder}" in command
    assert clean(phone)


def test_an_npu_that_takes_a_part(
    start_phone: StartPhone, adb_server: AdbServer, unet: Path, qualcomm: Path
) -> None:
    phone = start_phone("npu-2025", npu_unsupported=("TRANSPOSE_CONV", "CONCATENATION"))
    found = device_of(phone, adb_server, delegate=NPU, libraries=qualcomm).measure(unet, PROTOCOL)
    assert [r.accelerator for r in found.placement] == ["npu"] * 3 + ["cpu"] * 2 + ["npu"] * 2
    assert found.conditions["fallbacks"] == {"TRANSPOSE_CONV": [3], "CONCATENATION": [4]}


def test_an_npu_whose_compiler_fails_runs_on_the_cpu_and_is_refused(
    start_phone: StartPhone, adb_server: AdbServer, unet: Path, qualcomm: Path
) -> None:
    phone = start_phone("npu-on-cpu")
    device = device_of(phone, adb_server, delegate=NPU, libraries=qualcomm)
    words = r"not_delegated: 0 of 7 operations on npu; the CPU ran CONV_2D, .*QNN context: 1002"
    with pytest.raises(PhoneStableError, match=words) as caught:
        device.measure(unet, PROTOCOL)
    assert {row.accelerator for row in caught.value.placement} == {"cpu"}
    strict = device_of(phone, adb_server, delegate=NPU, libraries=qualcomm, strict=True)
    with pytest.raises(PhoneStableError, match=r"delegate_refused: .*QNN context: 1002"):
        strict.measure(unet, PROTOCOL)
    assert clean(phone)


@needs_extra
def test_a_network_that_is_compiled_here_needs_no_compiler_there(
    start_phone: StartPhone, adb_server: AdbServer, unet: Path, qualcomm: Path
) -> None:
    phone = start_phone("npu-on-cpu")  # whose own compiler fails
    device = device_of(phone, adb_server, delegate=NPU, libraries=qualcomm, ahead=True)
    found = device.measure(unet, PROTOCOL)
    operations = read_tflite(unet).operations
    assert [(row.op, row.accelerator) for row in found.placement] == [
        (step.name, "npu") for step in operations
    ]
    assert found.accelerated_mac_share == 1.0
    assert found.figures == {}  # nothing is compiled on the phone
    assert found.conditions["npu"]["compiled"] == "ahead of time"
    assert "ai-edge-litert" in found.conditions["npu"]["compiled_here"]
    assert not any("compiler_plugin_library_path" in name for name in launches(phone))
    phone_compiles = device_of(phone, adb_server, delegate=NPU, libraries=qualcomm)
    assert device.identity()["compiled"].startswith("here, ")
    assert "compiled" not in phone_compiles.identity()
    assert device.measure(unet, PROTOCOL).accelerated_mac_share == 1.0  # the kept file
    assert clean(phone)


@needs_extra
def test_only_qualcomms_chips_are_compiled_for_here(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path, tmp_path: Path
) -> None:
    phone = start_phone("npu-2025", npu="MediaTek", chip="MT6989")
    folder = write_mediatek(tmp_path / "np")
    device = device_of(phone, adb_server, delegate=NPU, libraries=folder, ahead=True)
    words = "knows Qualcomm's chips, and MT6989 is MediaTek's"
    with pytest.raises(ConfigError, match=words):
        device.measure(plain, PROTOCOL)
    with pytest.raises(ConfigError, match=words):
        device.answer()  # as a search asks before it starts
    assert npu_chip("SM8550-AC").compiler_name == "SM8550"  # type: ignore[union-attr]


def test_libraries_of_another_litert(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path, tmp_path: Path
) -> None:
    phone = start_phone("npu-2025")
    folder = write_qualcomm(tmp_path / "old", version="2.1.5")
    device = device_of(phone, adb_server, delegate=NPU, libraries=folder)
    words = "npu_libraries: .*Unsupported compiler plugin version; give libraries of the tool's"
    with pytest.raises(PhoneTransientError, match=words):
        device.measure(plain, PROTOCOL)
    assert device.told == []  # type: ignore[attr-defined] # nobody tries it again
    assert clean(phone)


def test_libraries_that_are_missing_are_named_before_anything_runs(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path, tmp_path: Path
) -> None:
    phone = start_phone("npu-2025")

    def refusal(folder: Path | None) -> str:
        device = device_of(phone, adb_server, delegate=NPU, libraries=folder)
        with pytest.raises(ConfigError) as caught:
            device.measure(plain, PROTOCOL)
        with pytest.raises(ConfigError, match="npu-libraries"):
            device.answer()  # as a search asks before it starts
        return str(caught.value)

    newer = refusal(write_qualcomm(tmp_path / "v79", hexagon="79"))
    assert "/v79: libQnnHtpV75Stub.so, libQnnHtpV75Skel.so" in newer
    assert "what is there is for Hexagon V79, this chip has V75" in newer
    desktop = refusal(write_qualcomm(tmp_path / "x86", machine="x86_64"))
    assert "x86, libLiteRtDispatch_Qualcomm.so, libLiteRtCompilerPlugin_Qualcomm.so, " in desktop
    assert "libQnnHtpV75Stub.so are for x86_64; give a folder" in desktop
    nothing = refusal(None)
    assert "not in the installed vendor packages: libLiteRtDispatch_Qualcomm.so" in nothing
    assert "no such folder" in refusal(tmp_path / "none")
    assert launches(phone) == []
    assert clean(phone)


def test_libraries_that_somebody_put_on_the_phone(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path, qualcomm: Path
) -> None:
    phone = start_phone("npu-2025")
    delegate = Delegate("npu", "/vendor/npu")
    with pytest.raises(ConfigError, match="its folder /vendor/npu lacks libLiteRtDispatch_Qual"):
        device_of(phone, adb_server, delegate=delegate).measure(plain, PROTOCOL)
    phone.path("/vendor/npu").mkdir()
    for path in qualcomm.rglob("*.so"):
        (phone.path("/vendor/npu") / path.name).write_bytes(path.read_bytes())
    found = device_of(phone, adb_server, delegate=delegate).measure(plain, PROTOCOL)
    assert found.accelerated_mac_share == 1.0


def test_a_chip_that_no_vendor_lists(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path, qualcomm: Path
) -> None:
    phone = start_phone("npu-2025", chip="kirin9000")
    with pytest.raises(ConfigError, match="its chip 'kirin9000' is in none of LiteRT's tables"):
        device_of(phone, adb_server, delegate=NPU, libraries=qualcomm).measure(plain, PROTOCOL)


@pytest.mark.parametrize(
    ("chip", "adapter", "version"),
    [
        ("MT6989", "libneuronusdk_adapter.mtk.so", "version8"),
        ("MT6993", "libneuronusdk_adapter.so", "version9"),
    ],
)
def test_mediatek(
    start_phone: StartPhone,
    adb_server: AdbServer,
    plain: Path,
    tmp_path: Path,
    chip: str,
    adapter: str,
    version: str,
) -> None:
    phone = start_phone("npu-2025", npu="MediaTek", chip=chip)
    folder = write_mediatek(tmp_path / "np", adapter)
    device = device_of(phone, adb_server, delegate=NPU, libraries=folder)
    assert device.measure(plain, PROTOCOL).accelerated_mac_share == 1.0
    assert all(f"pilot_version={version}" in name for name in launches(phone))


def test_chips_by_the_names_that_phones_give() -> None:
    named = {
        "SM8850": "v81",
        "sm8750": "v79",
        "SM8650": "v75",
        "SM8550-AC": "v73",
        "QTI SM8550": "v73",
        "SM8475": "v69",
        "MT6895Z_A/TCZA": "v8",
        "MT6983Z/TCZA": "v8",
        "MT6993": "v9",
        "Tensor G4": "g4",
        "s5e9955": "e9955",
    }
    found = {name: npu_chip(name) for name in named}
    assert {n: chip.generation for n, chip in found.items() if chip} == named
    assert npu_chip("kirin990") is None
    assert npu_chip("") is None
    assert npu_chip("G3") is None
