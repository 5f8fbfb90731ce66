"""The page of `nas restore`: photographs before and after, in one file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas import __version__
from nas.data.image_quality import UInt8Image
from nas.data.pictures import read_picture
from nas.report.crops import busiest_window
from nas.report.offline import policy
from nas.report.templates import environment

SHOWN = 24  # photographs; more would make a page of many megabytes
CROP = (300, 450)  # height, width of the part that is shown pixel by pixel
_PREVIEW = (1400, 900)  # width, height within which a whole photograph is shown
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class RestoredPhoto:
    """One photograph and the file that it became.

    `photo` is the file that was given, `file` the name of the restored one in the output's folder,
    `size` (width, height) in pixels. `fitting`, `tiles` and `seam_levels` are those of
    `nas.tflite.tiling.Tiled`. `seconds` is the time that it took, with whatever else ran.
    """

    photo: str
    photo_sha256: str
    file: str
    size: tuple[int, int]
    fitting: str
    tiles: int
    seam_levels: int | None
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the value as JSON types."""
        return {**asdict(self), "size": list(self.size)}


def restored_html(model: str, photos: Sequence[RestoredPhoto], out: Path) -> str:
    """Return the page: the first `SHOWN` photographs, each whole and a part of it at full size.

    `model` names the file that restored them, `out` the folder that holds their files. Raises
    DataError where a photograph can't be read any more.
    """
    from markupsafe import Markup

    return (
        environment()
        .get_template("restored.html.j2")
        .render(
            css=Markup((_HERE / "restored.css").read_text()),
            policy=policy(),
            version=__version__,
            model=model,
            photos=[_shown(photo, out) for photo in photos[:SHOWN]],
            left_out=max(0, len(photos) - SHOWN),
        )
    )


def _shown(photo: RestoredPhoto, out: Path) -> dict[str, Any]:
    before, after = read_picture(Path(photo.photo)), read_picture(out / photo.file)
    stages = [("the whole photograph", *photo.size, _preview(before), _preview(after))]
    height, width = (min(side, most) for side, most in zip(before.shape, CROP, strict=False))
    if (height, width) != before.shape[:2]:
        top, left = busiest_window(after, height, width)
        part = np.s_[top : top + height, left : left + width]
        crops = (_uri(before[part]), _uri(after[part]))
        stages.append((f"{width}x{height} pixels of it", width, height, *crops))
    return {"photo": photo, "name": Path(photo.photo).name, "stages": stages}


def _preview(image: UInt8Image) -> str:
    from PIL import Image

    picture = Image.fromarray(image)
    picture.thumbnail(_PREVIEW, Image.Resampling.LANCZOS)
    return _uri(np.asarray(picture))


def _uri(image: UInt8Image) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "WEBP", quality=88, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
