"""The layouts of data sets on disk: REDS, GoPro, and a user's own pairs of folders."""

from __future__ import annotations

import hashlib
from pathlib import Path

from nas.data.listing import (
    Clip,
    Files,
    Listing,
    in_shards,
    lies_beside,
    match,
    no_folder,
    prefixed,
    some,
)
from nas.data.problems import Problems
from nas.data.walk import existing, folders_in
from nas.errors import ConfigError, unknown

REDS_CLIPS = {"train": 240, "val": 30}  # of the whole data set
REDS_FRAMES = 100  # of each clip
GOPRO_PAIRS = {"train": 2103, "test": 1111}  # of the whole data set
GOPRO_BLURS = ("blur", "blur_gamma")  # folders of its two blurred versions
_FLAT = (("input", "target"), ("blur", "sharp"), ("blur_gamma", "sharp"))
_MOST_HELD_OUT = 100


def list_reds(path: Path) -> Listing:
    """List REDS as it unpacks: `train/train_blur/000/00000000.png`, `train/train_sharp/…`, `val/…`.

    It may also have a folder for each archive, `train_blur/train/train_blur/000/…` or
    `train_blur/000/…`. All training frames are trained on. One validation frame in ten is held out,
    300 of them, as in Chiang et al. 2020. The paper doesn't say which: frames 9, 19 … 99 of each
    clip are inferred, from the frame of its figure 3 (000/00000039) and from NAFNet's script for
    the same set (`*9.png`). The split is named `reds-val300-p9`; of an incomplete REDS, by the
    number there is.
    """
    if not path.is_dir():
        return _nowhere("reds", path)
    problems = Problems()
    folders_in(path, problems)  # tells what is passed over
    training = _reds_clips(path, "train", problems)
    validation = _reds_clips(path, "val", problems)
    heldout = tuple(
        file for clip in validation for file in prefixed(clip.name, clip.files) if _is_ninth(file)
    )
    if validation and not heldout:
        problems.error("val: none of the frames 9, 19 … 99 is there, which are held out")
    task = (
        "REDS: hand-held video, camera and object motion, blurred by averaging frames interpolated "
        f"from 120 fps; held out are frames 9, 19 … 99 of each validation clip ({len(heldout)})"
    )
    split = f"reds-val{len(heldout)}-p9"
    return Listing("reds", split, task, training, heldout, problems.found, problems.passed_over)


def _is_ninth(file: Files) -> bool:
    frame = file.name.rpartition("/")[2]
    return frame.isdecimal() and int(frame) % 10 == 9


def _reds_clips(path: Path, part: str, problems: Problems) -> tuple[Clip, ...]:
    sides = ("blur", "sharp")
    roots = {side: _reds_root(path, part, side) for side in sides}
    clips = {side: folders_in(root, problems) for side, root in roots.items()}
    for side, root in roots.items():
        if not clips[side]:
            problems.error(
                f"no clips in {root}: expected REDS as it unpacks, {part}/{part}_{side}/000/"
                f"00000000.png{_reds_hint(path, part) or lies_beside(path)}"
            )
    if not all(clips.values()):
        return ()
    for side, other in (("blur", "sharp"), ("sharp", "blur")):
        alone = [name for name in clips[side] if name not in clips[other]]
        if alone:
            problems.error(
                f"{part}: clips in {part}_{side} but not in {part}_{other}: {some(alone)}"
            )
    matched = []
    for name in clips["blur"]:
        if name in clips["sharp"]:
            label = f"{part} clip {name}"
            files = match(label, clips["blur"][name], clips["sharp"][name], problems, lone="error")
            if files and len(files) != REDS_FRAMES:
                problems.warn(f"{label}: {len(files)} of {REDS_FRAMES} frames")
            matched.append(Clip(name, files, uniform=True))
    if len(matched) != REDS_CLIPS[part]:
        problems.warn(f"{part}: {len(matched)} of REDS's {REDS_CLIPS[part]} clips")
    return tuple(matched)


def _reds_root(path: Path, part: str, side: str) -> Path:
    """Return where a part's clips of one side lie; where they lie nowhere, as REDS unpacks."""
    name = f"{part}_{side}"
    usual = path / part / name
    ways = (usual, path / name / part / name, path / name / name, path / name)
    return next((way for way in ways if _holds_clips(way, {part, name})), usual)


def _holds_clips(folder: Path, wrappers: set[str]) -> bool:
    inside = folders_in(folder, Problems()).keys()
    return bool(inside) and not wrappers & inside


def _reds_hint(path: Path, part: str) -> str:
    """Return " (did you mean …?)" where the data set lies one folder deeper, or nothing."""
    for child in folders_in(path, Problems()).values():
        if all(_holds_clips(_reds_root(child, part, side), set()) for side in ("blur", "sharp")):
            return f" (did you mean reds:{child}?)"
    return ""


def list_gopro(path: Path, blur: str | None) -> Listing:
    """List GoPro as it unpacks, `train/<clip>/{blur,blur_gamma,sharp}/000001.png` and `test/…`, or
    flat.

    Flat folders are `train/input` and `train/target` (NAFNet's and MPRNet's), `train/blur` and
    `train/sharp`. Each part may lie in a folder of its name once more, `train/train/…`. All of
    `train` is trained on, all of `test` is held out. `blur` chooses one of the two blurred
    versions: they give different figures. Raises ConfigError where both are there and none was
    chosen.
    """
    if not path.is_dir():
        return _nowhere("gopro", path)
    problems = Problems()
    folders_in(path, problems)  # tells what is passed over
    kinds = {kind: None for part in GOPRO_PAIRS for kind in _gopro_blurs(_gopro_root(path, part))}
    if blur is None and len(kinds) > 1:
        choices = " or ".join(f"gopro:{path},{kind}" for kind in kinds)
        raise ConfigError(
            f"gopro:{path} holds two kinds of blur, which give different figures: choose {choices}"
        )
    if blur is not None and list(kinds) == ["input"]:
        raise ConfigError(
            f"gopro:{path},{blur}: these are flat folders, input and target, which don't tell "
            f"their kind of blur; write gopro:{path}"
        )
    chosen = blur or next(iter(kinds), "blur")
    training = _gopro_clips(path, "train", chosen, problems)
    test = _gopro_clips(path, "test", chosen, problems)
    heldout = tuple(
        file
        for clip in test
        for file in (prefixed(clip.name, clip.files) if clip.uniform else clip.files)
    )
    count = "" if len(heldout) == GOPRO_PAIRS["test"] else str(len(heldout))
    task = (
        "GoPro: hand-held video, camera and object motion, blurred by averaging 240 fps frames "
        f"({chosen}); held out is the test set ({len(heldout)} frames)"
    )
    split = f"gopro-test{count}-{chosen}"
    return Listing(
        f"gopro-{chosen}", split, task, training, heldout, problems.found, problems.passed_over
    )


def _gopro_root(path: Path, part: str) -> Path:
    inside = folders_in(path / part, Problems())
    return inside[part] if list(inside) == [part] else path / part


def _gopro_blurs(part: Path) -> list[str]:
    """Return the kinds of blur that `train` or `test` holds, in any clip or flat."""
    inside = folders_in(part, Problems())
    flat = [blurred for blurred, sharp in _FLAT if blurred in inside and sharp in inside]
    if flat:
        return flat
    return [kind for kind in GOPRO_BLURS if any((clip / kind).is_dir() for clip in inside.values())]


def _gopro_hint(path: Path, part: str) -> str:
    for child in folders_in(path, Problems()).values():
        if _gopro_blurs(_gopro_root(child, part)):
            return f" (did you mean gopro:{child}?)"
    return ""


def _gopro_clips(path: Path, part: str, blur: str, problems: Problems) -> tuple[Clip, ...]:
    root = _gopro_root(path, part)
    inside = folders_in(root, problems)
    if not inside:
        problems.error(
            f"no clips in {root}: expected GoPro as it unpacks, {part}/<clip>/{blur}/"
            f"000001.png{_gopro_hint(path, part) or lies_beside(path)}"
        )
        return ()
    flat_names = {name for pair in _FLAT for name in pair}
    if flat_names & set(inside):
        sharp = "target" if blur == "input" else "sharp"
        files = match(part, root / blur, root / sharp, problems, lone="error")
        clips: tuple[Clip, ...] = in_shards(files)
    else:
        clips = tuple(
            _gopro_clip(part, name, clip, blur, problems) for name, clip in inside.items()
        )
    count = sum(len(clip.files) for clip in clips)
    if count != GOPRO_PAIRS[part]:
        problems.warn(f"{part}: {count} of GoPro's {GOPRO_PAIRS[part]} pairs")
    return clips


def _gopro_clip(part: str, name: str, clip: Path, blur: str, problems: Problems) -> Clip:
    folders_in(clip, problems)  # tells what is passed over
    label = f"{part} clip {name}"
    files = match(label, clip / blur, clip / "sharp", problems, lone="error")
    return Clip(name, files, uniform=True)


def list_pairs(blurred: Path, sharp: Path) -> Listing:
    """List a user's own pictures: two folders, matched by name; suffixes and folders inside may
    differ.

    A tenth of the pairs is held out, at least 1, at most 100: those whose names have the smallest
    SHA-256. So the split is the same on every machine, is no run of neighbours, and moves little
    when pictures are added. Names without a partner are left out.
    """
    problems = Problems()
    if blurred.is_dir() and sharp.is_dir() and blurred.samefile(sharp):
        problems.error(
            f"pairs: {blurred} and {sharp} are one folder: every pair would be two equal pictures, "
            "with nothing to learn; name the folder of the blurred ones, then that of the sharp"
        )
    files = match("pairs", blurred, sharp, problems, lone="warning", deep=True)
    if len(files) < 2 and not any(problem.severity == "error" for problem in problems.found):
        problems.error(
            f"pairs: {len(files)} name in both {blurred} and {sharp}: at least 2 are needed, one "
            "to train on and one to hold out; a pair's files have one name, save for the suffix"
            f"{_inner_hint(blurred, sharp)}"
        )
    by_hash = sorted(files, key=lambda file: hashlib.sha256(file.name.encode()).digest())
    count = min(_MOST_HELD_OUT, max(1, round(len(files) / 10))) if len(files) > 1 else 0
    names = {file.name for file in by_hash[:count]}
    training = [file for file in files if file.name not in names]
    heldout = tuple(file for file in files if file.name in names)
    task = (
        f"a user's own pictures, {len(training)} pairs to train on; held out are {count} others, "
        "those whose names have the smallest SHA-256"
    )
    found, passed = problems.found, problems.passed_over
    return Listing("pairs", "pairs-heldout", task, in_shards(training), heldout, found, passed)


def _inner_hint(blurred: Path, sharp: Path) -> str:
    """Return " (did you mean …?)" where each side holds but one folder, with equal
    names in them.
    """
    inside = [list(folders_in(side, Problems()).values()) for side in (blurred, sharp)]
    if any(len(folders) != 1 for folders in inside):
        return ""
    (inner, inner_sharp) = (folders[0] for folders in inside)
    if not match("pairs", inner, inner_sharp, Problems(), lone="warning", deep=True):
        return ""
    return f" (did you mean pairs:{inner},{inner_sharp}?)"


def list_folders(spec: str, kind: str, rest: str) -> Listing:
    """Return the listing of `reds:PATH`, `gopro:PATH[,blur|,blur_gamma]` or `pairs:BLURRED,SHARP`.

    Raises ConfigError where `rest` is not of that form.
    """
    if kind == "pairs":
        return list_pairs(*_two_folders(spec, rest))
    if not rest:
        raise ConfigError(f"{spec!r} names no folder: write {kind}:PATH")
    if kind == "reds":
        return list_reds(_path(rest))
    path, comma, blur = rest.rpartition(",")
    if comma and not _path(rest).is_dir():
        if blur not in GOPRO_BLURS:
            raise unknown(f"kind of blur of {spec!r}", blur, GOPRO_BLURS)
        return list_gopro(_path(path), blur)
    return list_gopro(_path(rest), None)


def _nowhere(kind: str, path: Path) -> Listing:
    problems = Problems()
    problems.error(
        f"{path} is {no_folder(path)}; expected the folder that {kind.upper()} unpacks to"
    )
    return Listing(kind, f"{kind}-nothing", "", (), (), problems.found, problems.passed_over)


def _two_folders(spec: str, rest: str) -> tuple[Path, Path]:
    parts = rest.split(",")
    ways = [(",".join(parts[:cut]), ",".join(parts[cut:])) for cut in range(1, len(parts))]
    ways = [(blurred, sharp) for blurred, sharp in ways if blurred and sharp]
    if not ways:
        raise ConfigError(
            f"{spec!r} names no two folders: write pairs:BLURRED_DIR,SHARP_DIR, with a comma"
        )
    for blurred, sharp in ways:  # a comma may be part of a folder's name
        if _path(blurred).is_dir() and _path(sharp).is_dir():
            return _path(blurred), _path(sharp)
    return _path(ways[0][0]), _path(ways[0][1])


def _path(text: str) -> Path:
    return existing(Path(text).expanduser())  # a shell does so only at the start of a word
