"""What is missing for an `npu:` device, in one line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas.devices import TimingProtocol, open_device
from nas.devices.npu import requirements
from nas.devices.npu.requirements import CALIBRATED, GLIBC, Machine
from nas.errors import ConfigError

READY = Machine(
    "Linux",
    "x86_64",
    (2, 36),
    {"onnx": "1.23.2", **{name: f"{version}.0" for name, version in CALIBRATED.items()}},
)


def test_a_machine_that_has_all() -> None:
    assert READY.complaint is None
    assert replace(READY, glibc=GLIBC).complaint is None


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (replace(READY, system="Darwin"), "needs Linux on x86-64, but this is Darwin"),
        (replace(READY, processor="aarch64"), "this is Linux on aarch64"),
        (replace(READY, glibc=(2, 31)), "needs glibc 2.35 or newer, but here is 2.31"),
        (replace(READY, glibc=None), "but here is another one; use Ubuntu 22.04"),
    ],
)
def test_a_machine_on_which_the_compiler_does_not_run(machine: Machine, words: str) -> None:
    assert words in (machine.complaint or "")


def test_packages_that_are_missing_or_of_another_version() -> None:
    packages = dict(READY.packages)
    del packages["onnxruntime-qnn"], packages["onnx"]
    complaint = replace(READY, packages=packages).complaint or ""
    assert "not installed (onnx, onnxruntime-qnn missing)" in complaint
    assert complaint.endswith("pip install 'portable-nas[npu]'")
    newer = {**READY.packages, "onnxruntime-qnn": "2.10.1"}
    complaint = replace(READY, packages=newer).complaint or ""
    assert "onnxruntime-qnn 2.10.1 is installed, but latencies are calibrated with 2.7" in complaint


def test_a_device_says_what_is_missing_before_any_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bare = replace(READY, packages={})
    monkeypatch.setattr(Machine, "here", classmethod(lambda cls: bare))
    device = open_device("npu:sm8650")
    absent = tmp_path_factory.getbasetemp() / "absent.tflite"
    with pytest.raises(ConfigError, match=r"^npu: the extra `npu` is not installed .*portable-nas"):
        device.measure(absent, TimingProtocol())
    with pytest.raises(ConfigError, match="is not installed"):
        device.identity()


def test_a_package_without_a_folder() -> None:
    assert (requirements.package_folder("nas") / "errors.py").exists()
    with pytest.raises(ConfigError, match="package no_such_package is not installed: pip install"):
        requirements.package_folder("no_such_package")
