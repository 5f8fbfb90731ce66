"""Stand-ins for the vendors' libraries: files of the right names, with an ELF header.

The emulated tool reads LiteRT's version from their last line, as the real one asks the library.
"""

from __future__ import annotations

import struct
from pathlib import Path

MACHINES = {"arm64-v8a": 183, "x86_64": 62, "hexagon": 164}


def write_library(path: Path, machine: str = "arm64-v8a", version: str = "2.3.0") -> Path:
    """Write one library for a processor, of a version of LiteRT."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, MACHINES[machine])
    path.write_bytes(head + bytes(44) + f"\n{version}".encode())
    return path


def library_version(path: Path) -> str:
    """Read the version that `write_library` wrote."""
    return path.read_bytes().rpartition(b"\n")[2].decode(errors="replace")


def write_qualcomm(
    folder: Path, hexagon: str = "75", machine: str = "arm64-v8a", version: str = "2.3.0"
) -> Path:
    """Write the libraries of a Snapdragon's NPU, in the folders of Qualcomm's own kit."""
    names = ("libQnnSystem.so", "libQnnHtp.so", "libQnnHtpPrepare.so", "libQnnIr.so")
    for name in (*names, f"libQnnHtpV{hexagon}Stub.so"):
        write_library(folder / "lib/aarch64-android" / name, machine, version)
    skel = f"lib/hexagon-v{hexagon}/unsigned/libQnnHtpV{hexagon}Skel.so"
    write_library(folder / skel, "hexagon", version)
    for name in ("libLiteRtDispatch_Qualcomm.so", "libLiteRtCompilerPlugin_Qualcomm.so"):
        write_library(folder / name, machine, version)
    return folder


def write_mediatek(folder: Path, adapter: str = "libneuronusdk_adapter.mtk.so") -> Path:
    """Write the libraries of a Dimensity's NPU."""
    names = ("libLiteRtDispatch_MediaTek.so", "libLiteRtCompilerPlugin_MediaTek.so", adapter)
    for name in names:
        write_library(folder / name)
    return folder
