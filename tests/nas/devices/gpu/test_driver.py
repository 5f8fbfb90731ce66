"""Which Vulkan driver is taken, and what is said where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas.devices.gpu.driver import Driver, find_driver
from nas.errors import ConfigError


def manifest(path: Path, library: str = "libvulkan_lvp.so") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"ICD": {"library_path": library, "api_version": "1.4.305"}}))
    return path


def test_the_loaders_own_variables_come_first(tmp_path: Path) -> None:
    mine = manifest(tmp_path / "mine.json", "/opt/lib.so")
    manifest(tmp_path / "share" / "vulkan" / "icd.d" / "lvp_icd.x86_64.json")
    places = {"XDG_DATA_DIRS": str(tmp_path / "share"), "VK_DRIVER_FILES": f"{mine}:other.json"}
    assert find_driver(places) == Driver(mine, "/opt/lib.so")
    assert find_driver(places).environment["VK_ICD_FILENAMES"] == str(mine)


def test_lavapipe_is_found_where_the_loader_looks_and_is_better_than_swiftshader(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "share" / "vulkan" / "icd.d"
    places = {"HOME": str(tmp_path / "home"), "XDG_DATA_DIRS": f"{tmp_path}/no:{tmp_path}/share"}
    swift = manifest(folder / "vk_swiftshader_icd.json", "./libvk_swiftshader.so")
    assert find_driver(places).manifest == swift
    lavapipe = manifest(folder / "lvp_icd.json")
    manifest(folder / "intel_icd.json")  # a real GPU's: nobody asked for it
    assert find_driver(places).manifest == lavapipe
    own = manifest(tmp_path / "home" / ".local/share/vulkan/icd.d/lvp_icd.json")
    assert find_driver(places).manifest == own


def test_a_browsers_driver_takes_the_browsers_loader(tmp_path: Path) -> None:
    driver = Driver(manifest(tmp_path / "vk_swiftshader_icd.json"), "./libvk_swiftshader.so")
    assert "LD_LIBRARY_PATH" not in driver.environment
    (tmp_path / "libvulkan.so.1").touch()
    assert driver.environment["LD_LIBRARY_PATH"].endswith(str(tmp_path))


def test_another_driver_is_another_identity(tmp_path: Path) -> None:
    path = manifest(tmp_path / "lvp_icd.json", "lib.so")
    driver = Driver(path, "lib.so")
    before = driver.identity()
    assert "code" not in before
    (tmp_path / "lib.so").write_text("new code")
    assert driver.identity() != before
    assert driver.identity().keys() == {"litert", "library", "manifest", "code"}


def test_what_is_missing_is_one_line_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.devices.gpu.driver._BROWSERS", ())
    nowhere = {"XDG_DATA_DIRS": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    if not list(Path("/etc/vulkan/icd.d").glob("*")):
        with pytest.raises(ConfigError, match=r"no Vulkan driver .*apt-get install libvulkan1"):
            find_driver(nowhere)
    with pytest.raises(ConfigError, match=r"VK_ICD_FILENAMES names .*none\.json, which is no"):
        find_driver({"VK_ICD_FILENAMES": str(tmp_path / "none.json")})
    (tmp_path / "broken.json").write_text('{"ICD": 3}')
    with pytest.raises(ConfigError, match="no readable manifest of a Vulkan driver"):
        find_driver({"VK_DRIVER_FILES": str(tmp_path / "broken.json")})
    monkeypatch.setattr("nas.devices.gpu.driver._ACCELERATOR", "libNone.so")
    with pytest.raises(ConfigError, match=r"brings no GPU code for this system .*Linux on x86-64"):
        find_driver({})
