"""Packs training patches as raw bytes in the user's cache, so that reading never slows training.

A pack is a folder of shards, one for each unit of a data set (a clip, a photograph, some pictures).
A shard is an .npy file of uint8 (n, 2, p, p, 3): blurred, then sharp, so that a pair is one read.
Beside it stands a small .json file, written after it, with its size and checksum. A shard whose
.json is there is whole; so a killed preparation resumes where it was. `pack.json` closes a pack.
"""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import IO, Any, final

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from nas.errors import ConfigError, DataError, RunError
from nas.system.cache import CACHE_VARIABLE, cache_folder
from nas.system.files import cannot_write, held, read_json, write_atomically, write_json
from nas.system.hashing import content_key, file_sha256
from nas.system.host_lock import working

FORMAT = 1  # of the shards; a pack of another format is another pack
_CHECKSUMMED_BYTES = 128 * 2**20  # packs up to this size are read whole whenever they are opened
_RESERVE_BYTES = 256 * 2**20  # left free on the disk beyond what a pack needs

Patches = npt.NDArray[np.uint8]  # (n, p, p, 3)
PatchPairs = npt.NDArray[np.uint8]  # (n, 2, p, p, 3): blurred, sharp
Progress = Callable[[int, int, str], None]  # units done, units, what was done last


@dataclass(frozen=True)
class Unit:
    """The patches that become one shard: `patches()` yields (k, 2, p, p, 3) arrays, `count` pairs
    in all.
    """

    name: str
    count: int
    patches: Callable[[], Iterator[PatchPairs]]


@final
@dataclass(frozen=True, eq=False)
class Pack:
    """Training patches in memory-mapped files: `len(pack)` pairs of `side` x `side` pixels."""

    folder: Path
    shards: tuple[PatchPairs, ...]

    @property
    def side(self) -> int:
        """The side of every patch, in pixels."""
        return int(self.shards[0].shape[2])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def size_bytes(self) -> int:
        """The bytes of all patches."""
        return sum(shard.nbytes for shard in self.shards)

    @property
    def blurred(self) -> tuple[Patches, ...]:
        """The blurred patches of every shard, uint8 (n, side, side, 3), memory-mapped."""
        return tuple(shard[:, 0] for shard in self.shards)

    @property
    def sharp(self) -> tuple[Patches, ...]:
        """The sharp patches of every shard, in the order of `blurred`."""
        return tuple(shard[:, 1] for shard in self.shards)

    def pair(self, index: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Return views of the blurred and the sharp patch of one index, uint8 (side,
        side, 3) each.
        """
        shard = int(np.searchsorted(self._starts, index, side="right")) - 1
        both = self.shards[shard][index - self._starts[shard]]
        return both[0], both[1]

    def batch(self, step: int, batch: int, patch: int, seed: int) -> tuple[Patches, Patches]:
        """Return blurred and sharp patches of a training step, uint8 (batch, patch, patch, 3) each.

        They are a pure function of the arguments, so that a resumed training sees what an
        undisturbed one would: every epoch is a permutation drawn from (seed, epoch); where `patch`
        is less than `side`, crops are placed by a generator drawn from (seed, step).

        Raises ConfigError where `patch` is more than the pack's side.
        """
        if not 0 < patch <= self.side:
            raise ConfigError(
                f"this pack's patches are {self.side}x{self.side}, but {patch}x{patch} was asked "
                f"for; prepare the data with patch={patch}"
            )
        blurred = np.empty((batch, patch, patch, 3), np.uint8)
        sharp = np.empty_like(blurred)
        rng = np.random.default_rng((seed, 1, step))
        corners = rng.integers(0, self.side - patch + 1, size=(batch, 2))
        for row, (top, left) in enumerate(corners):
            epoch, place = divmod(step * batch + row, len(self))
            one, other = self.pair(int(_order(len(self), seed, epoch)[place]))
            blurred[row] = one[top : top + patch, left : left + patch]
            sharp[row] = other[top : top + patch, left : left + patch]
        return blurred, sharp

    def verify(self) -> list[str]:
        """Read every byte; return the names of the shards whose checksum is not the one written."""
        return _damaged(self.folder, len(self.shards))

    @cached_property
    def _starts(self) -> npt.NDArray[np.int64]:
        return np.cumsum([0, *(len(shard) for shard in self.shards)])


def open_or_build(
    label: str,
    content: dict[str, Any],
    side: int,
    units: Callable[[], Sequence[Unit]],
    progress: Progress | None = None,
) -> Pack:
    """Return the pack of what `content` describes: opened where it is finished, else built or
    finished.

    The pack's folder is named by `label`. `units` is called only where something has to be built.
    Where another process builds the same pack, waits for it. A shard that is short or damaged is
    built again. Must not be called inside `nas.system.host_lock.working`, which it takes itself, a
    moment at a time. Raises DataError where a picture can't be read, RunError where the disk has
    not enough space.
    """
    key = content_key({"format": FORMAT, "side": side, "content": content})
    folder = cache_folder() / "packs" / f"{label}-{side}-{key}"
    report = progress or (lambda done, total, name: None)
    if (pack := _open(folder, side)) is not None:
        return pack
    if _is_held(folder):
        report(0, 1, "waiting for another process that packs the same patches")
    with held(folder, wait=True):
        if (pack := _open(folder, side)) is not None:  # another process was faster
            return pack
        _build(folder, side, units(), report)
        write_json(folder / "content.json", content)
    pack = _open(folder, side)
    if pack is None:
        raise DataError(
            f"{folder} was damaged while it was written; check the disk and start again"
        )
    return pack


def _is_held(folder: Path) -> bool:
    """Return whether another process holds `folder` just now; only good for telling a person."""
    if not (folder / ".lock").exists():
        return False
    try:
        with FileLock(folder / ".lock", timeout=0):
            return False
    except (Timeout, OSError):
        return True


def _build(folder: Path, side: int, units: Sequence[Unit], report: Progress) -> None:
    (folder / "pack.json").unlink(missing_ok=True)
    for left in folder.glob(".*.tmp"):  # by a process that was killed
        left.unlink(missing_ok=True)
    units = [unit for unit in units if unit.count]
    if not units:
        raise DataError(f"no training picture holds a patch of {side}x{side}")
    names = _shard_names(len(units))
    whole = [_is_whole(folder / name, side) for name in names]
    missing = sum(u.count for u, done in zip(units, whole, strict=True) if not done)
    check_space(folder, missing * pair_bytes(side))
    for index, unit in enumerate(units):
        report(index, len(units), unit.name)
        if not whole[index]:
            _write_shard(folder / names[index], side, unit)
    write_json(folder / "pack.json", {"shards": len(units), "side": side})
    report(len(units), len(units), "done")


def pair_bytes(side: int) -> int:
    """Return the bytes of one pair of patches in a pack."""
    return 2 * side * side * 3


def check_space(folder: Path, needed_bytes: int) -> None:
    """Raise RunError, saying how much is needed, where the disk of `folder` has not enough."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise cannot_write(folder, error) from error
    if free < needed_bytes + _RESERVE_BYTES:
        raise RunError(
            f"packing the patches needs {(needed_bytes + _RESERVE_BYTES) / 1e9:.1f} GB in {folder},"
            f" but {free / 1e9:.1f} GB are free: free some space, or name a folder on another disk "
            f"in {CACHE_VARIABLE}"
        )


def _write_shard(path: Path, side: int, unit: Unit) -> None:
    shape = (unit.count, 2, side, side, 3)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    digest = hashlib.sha256(header.getvalue())

    def write(file: IO[bytes]) -> None:
        file.write(header.getvalue())
        done = 0
        for chunk in _paced(unit.patches()):
            data = np.ascontiguousarray(chunk, dtype=np.uint8).tobytes()
            file.write(data)
            digest.update(data)
            done += len(chunk)
        if done != unit.count:
            raise DataError(f"{unit.name}: expected {unit.count} patches, but {done} came")

    path.with_suffix(".json").unlink(missing_ok=True)
    write_atomically(path.with_suffix(".npy"), write)
    size = path.with_suffix(".npy").stat().st_size
    about = {"unit": unit.name, "bytes": size, "sha256": digest.hexdigest()}
    write_json(path.with_suffix(".json"), about)


def _paced(patches: Iterator[PatchPairs]) -> Iterator[PatchPairs]:
    """Yield the same patches, made a piece at a time while nobody measures on this machine."""
    while True:
        with working():
            chunk = next(patches, None)
        if chunk is None:
            return
        yield chunk


def _shard_names(count: int) -> list[str]:
    return [f"{index:04d}" for index in range(count)]


def _open(folder: Path, side: int) -> Pack | None:
    """Return the finished pack in `folder`, or None where there is none or it is damaged."""
    try:
        count = int(read_json(folder / "pack.json")["shards"])
        names = _shard_names(count)
        shards = tuple(_map(folder / name, side) for name in names)
        pack = Pack(folder, shards)
        if pack.size_bytes <= _CHECKSUMMED_BYTES:
            damaged = _verified(folder, tuple(_written_ns(folder / name) for name in names))
            for name in damaged:
                (folder / name).with_suffix(".json").unlink(missing_ok=True)
            return None if damaged else pack
    except (RunError, ValueError, KeyError, TypeError, OSError):
        return None
    return pack


@lru_cache(maxsize=16)
def _verified(folder: Path, written_ns: tuple[int, ...]) -> tuple[str, ...]:
    """Return the damaged shards; a process reads a pack once, unless its files were
    written since.
    """
    return tuple(_damaged(folder, len(written_ns)))


def _damaged(folder: Path, count: int) -> list[str]:
    return [
        f"{name}.npy"
        for name in _shard_names(count)
        if file_sha256(folder / f"{name}.npy") != read_json(folder / f"{name}.json")["sha256"]
    ]


def _written_ns(path: Path) -> int:
    return path.with_suffix(".npy").stat().st_mtime_ns


def _is_whole(path: Path, side: int) -> bool:
    try:
        _map(path, side)
    except (RunError, ValueError, KeyError, TypeError, OSError):
        return False
    return True


def _map(path: Path, side: int) -> PatchPairs:
    """Return a shard, memory-mapped; ValueError, RunError or OSError where it is not whole."""
    size = read_json(path.with_suffix(".json"))["bytes"]
    if path.with_suffix(".npy").stat().st_size != size:
        raise ValueError(f"{path} is short")
    mapped = np.load(path.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
    shard: PatchPairs = np.asarray(mapped)  # a plain array on the same memory: faster to index
    if shard.dtype != np.uint8 or shard.shape[1:] != (2, side, side, 3):
        raise ValueError(f"{path} holds {shard.dtype} {shard.shape}")
    return shard


@lru_cache(maxsize=4)
def _order(count: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    order: npt.NDArray[np.int64] = np.random.default_rng((seed, 0, epoch)).permutation(count)
    order.flags.writeable = False
    return order
