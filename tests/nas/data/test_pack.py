import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from nas.data.pack import Pack, Unit, check_space, open_or_build
from nas.errors import ConfigError, DataError, RunError
from nas.system.cache import cache_folder

SIDE = 8


def patches(start: int, count: int) -> np.ndarray:
    """(count, 2, 8, 8, 3), a different value for every index and side."""
    index = np.arange(start, start + count)
    both = np.stack([index * 2 % 251, (index * 2 + 1) % 251], axis=1)
    shape = (count, 2, SIDE, SIDE, 3)
    return np.broadcast_to(both[:, :, None, None, None], shape).astype(np.uint8)


def unit(name: str, start: int, count: int, made: list[str] | None = None) -> Unit:
    def make() -> Iterator[np.ndarray]:
        if made is not None:
            made.append(name)
        for piece in range(start, start + count, 3):
            yield patches(piece, min(3, start + count - piece))

    return Unit(name, count, make)


def build(
    content: str, made: list[str] | None = None, told: list[tuple[int, int, str]] | None = None
) -> Pack:
    units = [unit("a", 0, 7, made), unit("empty", 7, 0, made), unit("b", 7, 5, made)]
    progress: Callable[..., None] | None = None
    if told is not None:
        progress = lambda *event: told.append(event)  # noqa: E731
    return open_or_build("test", {"of": content}, SIDE, lambda: units, progress)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path))
    return tmp_path


def values(pack: Pack) -> list[tuple[int, int]]:
    pairs = [pack.pair(index) for index in range(len(pack))]
    return [(int(blurred[0, 0, 0]), int(sharp[0, 0, 0])) for blurred, sharp in pairs]


def test_a_pack_holds_the_units_patches_in_order(cache: Path) -> None:
    told: list[tuple[int, int, str]] = []
    pack = build("order", told=told)
    assert len(pack) == 12
    assert pack.side == SIDE
    assert values(pack) == [(2 * index, 2 * index + 1) for index in range(12)]
    assert [shard.shape for shard in pack.blurred] == [(7, 8, 8, 3), (5, 8, 8, 3)]
    assert pack.sharp[1][0, 0, 0, 0] == 15
    assert pack.size_bytes == 12 * 2 * 8 * 8 * 3
    assert told == [(0, 2, "a"), (1, 2, "b"), (2, 2, "done")]
    assert pack.folder.parent == cache / "packs" == cache_folder() / "packs"
    assert not pack.verify()


def test_patches_are_mapped_not_loaded_and_not_writable() -> None:
    pack = build("mapped")
    assert isinstance(pack.shards[0].base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        pack.shards[0][0] = 1


def test_a_finished_pack_is_opened_not_made_again() -> None:
    made: list[str] = []
    build("again", made)
    told: list[tuple[int, int, str]] = []
    pack = build("again", made, told)
    assert made == ["a", "b"]
    assert told == []
    assert len(pack) == 12


def test_other_content_or_side_is_another_pack() -> None:
    folders = {build("one").folder, build("two").folder}
    other = open_or_build(
        "test", {"of": "one"}, 4, lambda: [Unit("a", 1, lambda: iter([np.ones((1, 2, 4, 4, 3))]))]
    )
    assert len(folders | {other.folder}) == 3


def test_a_batch_is_a_pure_function_of_its_arguments() -> None:
    pack = build("batch")
    later = pack.batch(step=5, batch=4, patch=5, seed=1)
    for step in range(7):
        pack.batch(step, 4, 5, 1)
        pack.batch(step, 3, 8, 2)
    reopened = Pack(pack.folder, pack.shards)
    for again in (pack.batch(5, 4, 5, 1), reopened.batch(5, 4, 5, 1)):
        for one, other in zip(later, again, strict=True):
            np.testing.assert_array_equal(one, other)
    assert later[0].dtype == np.uint8
    assert later[0].shape == (4, 5, 5, 3)
    np.testing.assert_array_equal(later[1], later[0] + 1)  # sharp belongs to blurred


def test_seeds_and_epochs_see_other_orders() -> None:
    pack = build("orders")

    def order(seed: int, epoch: int) -> list[int]:
        steps = range(epoch * 3, epoch * 3 + 3)
        return [int(v) for step in steps for v in pack.batch(step, 4, 8, seed)[0][:, 0, 0, 0]]

    orders = [order(0, 0), order(0, 1), order(1, 0)]
    assert all(sorted(one) == [2 * index for index in range(12)] for one in orders)  # an epoch
    assert len({tuple(one) for one in orders}) == 3


def test_a_batch_may_cross_epochs_and_exceed_the_pack() -> None:
    blurred, _ = build("cross").batch(step=0, batch=30, patch=8, seed=0)
    counts = np.bincount(blurred[:, 0, 0, 0] // 2, minlength=12)
    assert counts.min() == 2
    assert counts.max() == 3


def test_crops_of_both_sides_are_of_one_place_and_reach_all_corners() -> None:
    ramp = np.arange(SIDE * SIDE, dtype=np.uint8).reshape(1, 1, SIDE, SIDE, 1)
    both = np.broadcast_to(ramp, (1, 2, SIDE, SIDE, 3))
    pack = open_or_build("test", {"of": "ramp"}, SIDE, lambda: [Unit("r", 1, lambda: iter([both]))])
    blurred, sharp = pack.batch(0, 400, 6, 0)
    np.testing.assert_array_equal(blurred, sharp)
    corners = set(blurred[:, 0, 0, 0].tolist())
    assert corners == {SIDE * top + left for top in range(3) for left in range(3)}
    np.testing.assert_array_equal(
        blurred[..., 0] - blurred[:, :1, :1, 0], np.broadcast_to(ramp[0, 0, :6, :6, 0], (400, 6, 6))
    )


def test_a_patch_larger_than_the_pack_says_what_to_prepare() -> None:
    with pytest.raises(ConfigError, match=r"8x8, but 9x9 was asked for; prepare .* patch=9"):
        build("large").batch(0, 1, 9, 0)


def test_a_failed_preparation_goes_on_where_it_was() -> None:
    made: list[str] = []

    def broken() -> Iterator[np.ndarray]:
        made.append("b")
        yield patches(7, 3)
        raise DataError("a picture is damaged")

    units = [unit("a", 0, 7, made), Unit("b", 5, broken)]
    with pytest.raises(DataError, match="a picture is damaged"):
        open_or_build("test", {"of": "resume"}, SIDE, lambda: units)
    pack = build("resume", made)
    assert made == ["a", "b", "b"]  # the whole shard was kept
    assert values(pack) == [(2 * index, 2 * index + 1) for index in range(12)]
    assert not list(pack.folder.glob("*.tmp")) + list(pack.folder.glob(".*.tmp"))


KILLED = """
    import sys, time
    sys.path.insert(0, {tests!r})
    from test_pack import Unit, open_or_build, patches, unit

    def slow():
        yield patches(7, 3)
        print("in the middle", flush=True)
        time.sleep(60)

    units = [unit("a", 0, 7), Unit("b", 5, slow)]
    open_or_build("test", {{"of": "killed"}}, 8, lambda: units)
"""


def test_a_killed_preparation_leaves_nothing_half(cache: Path) -> None:
    script = textwrap.dedent(KILLED.format(tests=str(Path(__file__).parent)))
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "in the middle\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (folder,) = (cache / "packs").iterdir()
    assert list(folder.glob(".*.tmp"))
    assert [path.name for path in folder.glob("*.npy")] == ["0000.npy"]
    made: list[str] = []
    pack = build("killed", made)
    assert made == ["b"]
    assert values(pack) == [(2 * index, 2 * index + 1) for index in range(12)]
    assert not list(folder.glob(".*.tmp"))


def test_two_processes_make_a_pack_once(cache: Path) -> None:
    script = textwrap.dedent(
        f"""
        import sys, time
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_pack import Unit, open_or_build, patches

        def slow():
            print("made", flush=True)
            time.sleep(0.5)
            yield patches(0, 5)

        told = []
        pack = open_or_build("test", {{"of": "two"}}, 8, lambda: [Unit("a", 5, slow)],
                             lambda *event: told.append(event[2]))
        print(len(pack), any("waiting" in event for event in told), flush=True)
        """
    )
    command = [sys.executable, "-c", script]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    assert first.stdout.readline() == "made\n"
    second = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    rest, _ = first.communicate(timeout=300)
    assert first.returncode == 0
    assert rest == "5 False\n"
    assert second.stdout in ("5 True\n", "5 False\n")  # waited, or came when it was done


@pytest.mark.parametrize("damage", ["short", "flipped", "no json", "no shard", "junk json"])
def test_a_damaged_shard_is_noticed_and_made_again(damage: str) -> None:
    made: list[str] = []
    pack = build("damage", made)
    shard, about = pack.folder / "0001.npy", pack.folder / "0001.json"
    if damage == "short":
        shard.write_bytes(shard.read_bytes()[:-10])
    elif damage == "flipped":
        data = bytearray(shard.read_bytes())
        data[-1] ^= 1
        shard.write_bytes(bytes(data))
        assert pack.verify() == ["0001.npy"]
    elif damage == "no json":
        about.unlink()
    elif damage == "no shard":
        shard.unlink()
    else:
        about.write_text("{")
    again = build("damage", made)
    assert made == ["a", "b", "b"]
    assert values(again) == [(2 * index, 2 * index + 1) for index in range(12)]
    assert again.verify() == []


def test_a_unit_that_gives_other_counts_than_said_is_an_error() -> None:
    wrong = Unit("clip 7", 4, lambda: iter([patches(0, 3)]))
    with pytest.raises(DataError, match="clip 7: expected 4 patches, but 3 came"):
        open_or_build("test", {"of": "count"}, SIDE, lambda: [wrong])


def test_no_patches_at_all_is_an_error() -> None:
    with pytest.raises(DataError, match="no training picture holds a patch of 8x8"):
        open_or_build("test", {"of": "none"}, SIDE, lambda: [unit("a", 0, 0)])


def test_too_little_space_is_told_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 0, 5 * 10**9))
    made: list[str] = []
    huge = Unit("clip", 360_000 * 1024, unit("clip", 0, 0, made).patches)
    with pytest.raises(RunError, match=r"needs 141\.\d GB .* but 5\.0 GB are free.*NAS_CACHE_DIR"):
        open_or_build("test", {"of": "space"}, SIDE, lambda: [huge])
    assert made == []
    check_space(cache_folder(), 4 * 10**9)


def test_what_is_packed_already_needs_no_space(monkeypatch: pytest.MonkeyPatch) -> None:
    pack = build("packed")
    (pack.folder / "pack.json").unlink()
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 0, 2**28))
    assert len(build("packed")) == 12


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(RunError, match=r"can't write .*file"):
        build("unwritable")


def test_a_full_disk_in_the_middle_keeps_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def full() -> Iterator[np.ndarray]:
        yield patches(7, 3)
        raise OSError(28, os.strerror(28))

    units = [unit("a", 0, 7, made), Unit("b", 5, full)]
    with pytest.raises(RunError, match="the disk is full"):
        open_or_build("test", {"of": "full"}, SIDE, lambda: units)
    build("full", made)
    assert made == ["a", "b"]


def test_a_pack_says_what_it_is_of() -> None:
    pack = build("described")
    assert json.loads((pack.folder / "content.json").read_text()) == {"of": "described"}
