"""Small data sets on disk, in the real layouts."""

from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, width: int = 32, height: int = 24) -> np.ndarray:
    """Random pixels, uint8 (height, width, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def save_pair(blurred: Path, sharp: Path, seed: int, width: int = 32, height: int = 24) -> None:
    """A random sharp picture, and the same, darker by up to 20, as its blurred one."""
    pixels = picture(seed, width, height)
    save(sharp, pixels)
    save(blurred, np.maximum(pixels, 20) - 20)


JUNK_FOLDERS = (
    *(".hidden", "@eaDir", "#recycle", "__MACOSX", "$RECYCLE.BIN", "System Volume Information"),
    *("lost+found", "thumbnails", ".ipynb_checkpoints", "checkpoints"),
)
JUNK_FILES = (
    *("._000000.png", ".DS_Store", "Thumbs.db", "desktop.ini", "~$shot00.png", "@a.png"),
    *("000001.png.part", "shot00_thumb.png", "shot00-checkpoint.png"),
)


def junk(folder: Path) -> int:
    """What systems and tools leave, with pictures inside; how many folders and files."""
    for name in JUNK_FOLDERS:
        for inside in ("shot00.png", "000001.png", "blur/000001.png", "0.png/small.png"):
            save(folder / name / inside, picture(7, 16, 12))
    for name in JUNK_FILES:
        (folder / name).write_bytes(b"\0\5\x16\7")
    return len(JUNK_FOLDERS) + len(JUNK_FILES)


def truncate(path: Path, share: float = 0.6) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def corrupt_middle(path: Path) -> None:
    """Damage that neither the header nor the end of the file shows."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20] = bytes(20)
    path.write_bytes(bytes(data))


def reds(
    root: Path,
    clips: int = 2,
    frames: int = 3,
    val_clips: int = 1,
    val_frames: int = 20,
    width: int = 32,
    height: int = 24,
) -> Path:
    for part, count, length in (("train", clips, frames), ("val", val_clips, val_frames)):
        for clip in range(count):
            for frame in range(length):
                name = f"{clip:03d}/{frame:08d}.png"
                blurred = root / part / f"{part}_blur" / name
                sharp = root / part / f"{part}_sharp" / name
                save_pair(blurred, sharp, clip * 1000 + frame, width, height)
    return root


def gopro(root: Path, blurs: tuple[str, ...] = ("blur", "blur_gamma")) -> Path:
    for part, clips in (
        ("train", ("GOPR0372_07_00", "GOPR0374_11_00")),
        ("test", ("GOPR0384_11_00",)),
    ):
        for clip in clips:
            for frame in range(1, 4):
                name = f"{frame:06d}.png"
                for blur in blurs:
                    save_pair(
                        root / part / clip / blur / name,
                        root / part / clip / "sharp" / name,
                        len(clip) * frame,
                    )
    return root


def pairs(root: Path, count: int = 12) -> tuple[Path, Path]:
    for index in range(count):
        name = f"shot{index:02d}"
        save_pair(root / "before" / f"{name}.png", root / "after" / f"{name}.bmp", index)
    return root / "before", root / "after"
