"""Names the files beside pictures that are none: the one rule that every reader of folders follows.

Systems, network drives, archives and tools leave files and folders behind, many with pictures in
them (thumbnails, recycle bins) or with pictures' names. They are passed over by name at any depth,
and counted by kind, so that a check can report them. A folder that the user names is never judged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from nas.data.pictures import SUFFIXES

_HIDDEN = "hidden files and folders (.…)"
_MACOS = "leftovers of macOS (__MACOSX, ._…)"
_WINDOWS = "leftovers of Windows (Thumbs.db, desktop.ini …)"
_DRIVE = "leftovers of network drives (@…, #recycle)"
_BIN = "recycle bins and lost files"
_THUMBNAILS = "thumbnails"
_CHECKPOINTS = "checkpoints"
_CACHE = "leftovers of programs (__pycache__, PaxHeaders …)"
_UNFINISHED = "unfinished downloads and temporary files"
# Kinds that depend on more than a name.
LOOP = "links back to a folder that they lie in"
AGAIN = "links to a folder that is read already"
FOLDER = "folders where pictures are expected"
PICTURE = "pictures where folders are expected"
NO_FILE = "pipes, sockets and devices"
OTHER = "other files"

# The first that matches a name decides; they are compared without regard to case.
_NAMES = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), kind)
    for pattern, kind in (
        (r"\._.*|__macosx|\.(ds_store|appledouble|spotlight-v100|fseventsd)|icon\r", _MACOS),
        (r"temporary items|network trash folder|thevolumesettingsfolder|desktop d[bf]", _MACOS),
        (r"\.trash.*|\$recycle\.bin|recycle(r|d|\.bin)", _BIN),
        (r"lost\+found|lost\.dir|found\.\d{3}", _BIN),
        (r"\.?ipynb_checkpoints|[._]*checkpoints?|.*-checkpoint(\.[^.]*)?", _CHECKPOINTS),
        (r"~\$.*|(eh)?thumbs.*\.db|desktop\.ini|system volume information", _WINDOWS),
        (r"[@._]*thumb(s|nails?)?", _THUMBNAILS),
        (r"(.*[._-])?thumb(s|nails?)?(\.[^.]*)?|thumb(s|nails?)?_.*", _THUMBNAILS),
        (r"syno(file|photo|index)_.*", _THUMBNAILS),
        (r"\$.*", _WINDOWS),
        (r"@.*|#(recycle|snapshot|work|trash)|~snapshot|eadir", _DRIVE),
        (
            r".*\.(part|partial|crdownload|download|opdownload|filepart|aria2|!ut|!qb|bc!)",
            _UNFINISHED,
        ),
        (r".*\.(td|tmp|temp|swp|swx|bak|orig|lock|icloud|inprogress)|.*~|~.*", _UNFINISHED),
        (r"__pycache__|paxheaders?(\..*)?|gnusparsefile\..*|_gsdata_|_vti_.*|cvs", _CACHE),
        (r"\..*", _HIDDEN),
    )
)

# What else lies there, by suffix: what it is, what to do, suffixes.
_OTHERS = (
    ("HEIC pictures", "convert them to 8-bit RGB PNG", "heic heif hif"),
    ("JPEG 2000 pictures", "convert them to 8-bit RGB PNG", "jp2 j2k j2c jpx jpf"),
    ("JPEG XL pictures", "convert them to 8-bit RGB PNG", "jxl"),
    ("DNG pictures", "convert them to 8-bit RGB PNG", "dng"),
    (
        "{} pictures",
        "convert them to 8-bit RGB PNG",
        "avif avifs gif psd exr hdr tga pfm pam ico svg eps dds qoi bpg apng flif sgi xcf jxr wdp",
    ),
    (
        "{} RAW pictures",
        "convert them to 8-bit RGB PNG",
        "arw cr2 cr3 crw nef nrw raf rw2 orf pef srw sr2 srf raw rwl 3fr fff iiq kdc dcr x3f erf "
        "mrw mef mos gpr rwz ari cap mdc",
    ),
    (
        "{} videos",
        "extract their frames as PNG",
        "mp4 mov avi mkv webm m4v 3gp 3g2 mts m2ts mpg mpeg wmv flv ogv y4m yuv insv braw mxf hevc "
        "h264 h265",
    ),
    (
        "{} archives",
        "unpack them",
        "zip tar gz tgz bz2 tbz2 xz txz zst 7z rar lz4 lzma iso z01 001",
    ),
    (
        "{} data files",
        "write their pictures as 8-bit RGB PNG",
        "lmdb mdb h5 hdf5 tfrecord tfrecords parquet arrow mat npy npz pkl",
    ),
)
_FORMATS = {
    suffix: (what.format(suffix.upper()), remedy)
    for what, remedy, suffixes in _OTHERS
    for suffix in suffixes.split()
}


def leftover(name: str) -> str | None:
    """Return the kind of leftover that a file or folder of this name is, or None where
    it is none.
    """
    return next((kind for pattern, kind in _NAMES if pattern.fullmatch(name)), None)


def kind_of_file(name: str) -> str | None:
    """Return the reason why a file of this name is no picture, or None where it may be one."""
    suffix = Path(name).suffix.lower()
    if kind := leftover(name):
        return kind
    if suffix in SUFFIXES:
        return None
    return _FORMATS.get(suffix[1:], (OTHER, ""))[0]


def is_archive(name: str) -> bool:
    """Return whether a file of this name holds others, which must be unpacked."""
    return (kind_of_file(name) or "").endswith("archives")


def what_lies(kinds: Mapping[str, int]) -> str:
    """Return ": there lie HEIC pictures (3), which are not read; convert …"; "" for no `kinds`."""
    if not kinds:
        return ""
    lying = ", ".join(f"{kind} ({count})" for kind, count in kinds.items())
    remedies = dict(_FORMATS.values())
    todo = list(dict.fromkeys(remedies[kind] for kind in kinds if kind in remedies))
    return f": there lie {lying}, which are not read" + (f"; {', '.join(todo)}" if todo else "")
