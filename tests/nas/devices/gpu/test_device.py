"""The device `gpu`: its names, its failures and, where a driver is, what it really does."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.data import Pair
from nas.devices import open_device
from nas.devices.fidelity import measure_fidelity
from nas.devices.gpu import device as device_module
from nas.devices.gpu import execution
from nas.devices.gpu.adapter import Adapter
from nas.devices.gpu.device import SPECS, GpuDevice, open_gpu
from nas.devices.gpu.driver import Driver
from nas.devices.gpu.execution import run_on_gpu
from nas.devices.gpu.failures import GpuError, GpuTransientError
from nas.devices.limited_process import Limits
from nas.devices.output_devices import open_output_device
from nas.errors import ConfigError
from nas.tflite.expected_output import file_output
from tests.emulated_phone import models
from tests.helpers.gpu_graphs import needs_driver, write_refused
from tests.helpers.npu_graphs import write_operation

ANY_DRIVER = Driver(Path("/none.json"), "lib.so")


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAS_LOCK_DIR", str(tmp_path / "locks"))


def worker_that(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> Path:
    """Put another program in the place of the one that asks LiteRT."""
    script = folder / "worker.py"
    script.write_text(f"import os, sys, time\nfrom pathlib import Path\n{code}\n")
    monkeypatch.setattr(execution.worker, "__file__", str(script))
    return write_operation(folder / "m.tflite", "RELU", "float32")


def test_names() -> None:
    assert tuple(open_gpu(spec).spec for spec in SPECS) == SPECS
    assert open_gpu("gpu:fp16") == open_gpu("gpu") == GpuDevice("fp16")
    with pytest.raises(ConfigError, match="unknown precision of gpu 'fp8'"):
        open_gpu("gpu:fp8")
    with pytest.raises(ConfigError, match=r"gpu:fp32 has no latency.*`nas fidelity`"):
        open_device("gpu:fp32")
    assert open_output_device("gpu:fp32") == GpuDevice("fp32")


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("Warning: Couldn't load Vulkan: libvulkan.so.1: x", "loader, libvulkan.so.1, is not"),
        ("INTERNAL: No adapters found", "/none.json is of no use to LiteRT; install a newer one"),
        (
            "Warning: Vulkan shaderUniform*ArrayDynamicIndexing required.\nNo adapters found",
            r"lacks what LiteRT needs \(Vulkan shaderUniform\*ArrayDynamicIndexing required\)",
        ),
    ],
)
def test_a_driver_that_is_of_no_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: str, told: str
) -> None:
    model = worker_that(monkeypatch, tmp_path, f"sys.stderr.write({log!r})")
    with pytest.raises(ConfigError, match=told):
        run_on_gpu(model, "gpu", "fp16", ANY_DRIVER, 60)


def test_one_that_aborts_or_uses_up_its_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = "sys.stderr.write('F0000 Check failed: tfl_tensor\\n'); sys.stderr.flush(); os.abort()"
    model = worker_that(monkeypatch, tmp_path, code)
    with pytest.raises(GpuError, match=r"gpu: crash: LiteRT's GPU ended in SIGABRT: F0000 Check"):
        run_on_gpu(model, "gpu", "fp16", ANY_DRIVER, 60)
    worker_that(monkeypatch, tmp_path, "while True: pass")
    patient = functools.partial(Limits, wait_factor=1000)  # however busy this machine is
    monkeypatch.setattr(execution, "Limits", patient)
    with pytest.raises(GpuError, match="compiler_timeout: LiteRT's GPU took more than 1 s"):
        run_on_gpu(model, "gpu", "fp16", ANY_DRIVER, 1)


def test_one_that_hangs_is_about_the_moment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = worker_that(monkeypatch, tmp_path, "time.sleep(60)")
    with pytest.raises(GpuTransientError, match=r"timeout: .*this machine is very busy"):
        run_on_gpu(model, "gpu", "fp16", ANY_DRIVER, 0.2)


def test_another_complaint_of_litert_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answer = '{"error": "RuntimeError: no"}'
    code = (
        "sys.stderr.write('ERROR: [x.cc:1] bad graph\\n');"
        f"Path(sys.argv[3], 'answer.json').write_text({answer!r})"
    )
    model = worker_that(monkeypatch, tmp_path, code)
    with pytest.raises(GpuError, match=r"compiler_refused: RuntimeError: no \(\[x.cc:1\] bad gra"):
        run_on_gpu(model, "gpu", "fp16", ANY_DRIVER, 60)


def test_a_driver_without_fp16_is_no_fp16_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "find_driver", lambda: ANY_DRIVER)
    monkeypatch.setattr(device_module, "adapter_of", lambda driver: Adapter("SwiftShader", False))
    with pytest.raises(ConfigError, match=r"SwiftShader has no fp16 .*: take --device gpu:fp32"):
        GpuDevice("fp16").check()
    assert GpuDevice("fp32").check()[1].name == "SwiftShader"


def fp16_or_skip() -> None:
    try:
        GpuDevice("fp16").check()
    except ConfigError as error:
        pytest.skip(str(error))


@needs_driver
def test_fp32_is_the_interpreters_answer_and_fp16_is_near(tmp_path: Path) -> None:
    model = models.small_unet(tmp_path / "unet.tflite", 32)
    values = np.random.default_rng(1).integers(0, 256, (2, 2, 32, 32, 3)).astype(np.uint8)
    pairs = [Pair(str(n), *pictures) for n, pictures in enumerate(values)]
    counts: list[int] = []
    same = file_output(model, model)
    exact = measure_fidelity(model, "gpu:fp32", pairs, same, progress=counts.append)
    assert (exact.psnr_db or math.inf) > 120
    assert exact.source == "simulated"
    assert counts[-1] == 2
    assert exact.conditions["placement"] == "7 of 7 operations on the GPU"
    fp16_or_skip()
    near = measure_fidelity(model, "gpu", pairs[:1], same).psnr_db
    assert near is not None
    assert 50 < near < 90


@needs_driver
def test_what_it_refuses(tmp_path: Path) -> None:
    model = write_refused(tmp_path / "m.tflite")
    device = GpuDevice("fp32")
    placement = device.place(model)
    assert placement.on_gpu == 0
    error = device.not_whole(placement)
    assert error.failure.failure_class == "not_delegated"
    assert error.placement[0].accelerator == "cpu"
    with pytest.raises(GpuError, match="MIRROR_PAD"):
        device.open_outputs(model, 1, 60)


@needs_driver
def test_bilinear_in_fp16_is_nearest_beyond_512_source_pixels(tmp_path: Path) -> None:
    """LiteRT's fault, which docs/gpu.md tells of: this fails where a later version mends it."""
    from benchmarks.gpu_bilinear import on_cpu, psnr_db, write_bilinear

    fp16_or_skip()
    model = write_bilinear(tmp_path / "m.tflite", 640)
    noise: Any = np.random.default_rng(0).random((1, 16, 640, 4), np.float32)
    device = GpuDevice("fp16")
    driver, _ = device.check()
    output = run_on_gpu(model, "gpu", "fp16", driver, 300, [noise]).outputs[0]
    expected = on_cpu(model, noise)
    assert psnr_db(output[:, :, :1024], expected[:, :, :1024]) > 70
    assert psnr_db(output[:, :, 1026:], expected[:, :, 1026:]) < 25


def test_workers_of_this_module_are_scripts() -> None:
    """The worker imports nothing of the project: a second of TensorFlow would be in each run."""
    source = Path(execution.worker.__file__).read_text()
    assert "import nas" not in source
    assert "from nas" not in source
