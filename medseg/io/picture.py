"""PNG, JPEG, TIFF and other pictures as volumes of one slice: i counts columns, j rows, of the upright picture."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
from jaxtyping import Num
from numpy import ndarray
from PIL import Image, ImageFile

from medseg.errors import StudyFileError
from medseg.io.finite_values import without_gaps
from medseg.io.found_files import FoundFile
from medseg.io.limits import ReadLimits
from medseg.io.parser_failures import parsing
from medseg.study.affine import LPS_TO_RAS
from medseg.study.orientation import AxisMove
from medseg.study.series_facts import SeriesFacts
from medseg.study.source_geometry import SourceGeometry
from medseg.study.study import Notice
from medseg.study.volume import Volume

_EXPECTED = "a whole picture"
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "MPO")
_EXIF_ORIENTATION = 0x0112
_TURNS: dict[int, AxisMove] = {
    1: AxisMove(order=(0, 1, 2), flips=(False, False, False)),
    2: AxisMove(order=(0, 1, 2), flips=(True, False, False)),
    3: AxisMove(order=(0, 1, 2), flips=(True, True, False)),
    4: AxisMove(order=(0, 1, 2), flips=(False, True, False)),
    5: AxisMove(order=(1, 0, 2), flips=(False, False, False)),
    6: AxisMove(order=(1, 0, 2), flips=(True, False, False)),
    7: AxisMove(order=(1, 0, 2), flips=(True, True, False)),
    8: AxisMove(order=(1, 0, 2), flips=(False, True, False)),
}
"""EXIF orientation -> the move from [column row] as stored to [column row] upright."""
UPRIGHT_TO_RAS = LPS_TO_RAS.copy()
"""Affine of an upright picture: one pixel is one millimetre, laid down as an axial slice."""


def picture_facts(found: FoundFile, limits: ReadLimits) -> tuple[SeriesFacts, ...]:
    """The picture, or one entry per page of a TIFF.

    Raises:
        StudyFileError: it is no picture.
    """
    with _opened(found, limits) as image:
        pages = _pages(image)
        shape = (image.width, image.height, 1)
    return tuple(
        SeriesFacts(
            key=found.key if pages == 1 else f"{found.key}?page={page}",
            file_name=found.own_name,
            format="picture",
            shape=shape,
            split_by="" if pages == 1 else f"page {page} of {pages}",
        )
        for page in range(pages)
    )


def read_picture(found: FoundFile, page: int | None, limits: ReadLimits) -> tuple[Volume, list[Notice]]:
    """The picture upright; `source` is the grid as stored. Of moving pictures, the first frame.

    Colours come as RGB without transparency. Greys keep their bits: 8, 16, or float.

    Raises:
        StudyFileError: it is no picture, or cut.
    """
    with _opened(found, limits) as image:
        notices = []
        if getattr(image, "n_frames", 1) > 1 and _pages(image) == 1:
            text = f"The file holds {getattr(image, 'n_frames', 1)} frames in time: the first was taken."
            notices.append(Notice(code="first_frame", text=text))
        if page:
            image.seek(page)
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
        orientation = orientation if orientation in _TURNS else 1
        pixels, more = _pixels(image, found)
    notices += more
    stored = pixels.swapaxes(0, 1)[:, :, None]
    turn = _TURNS[orientation]
    upright = turn.apply(stored)
    if orientation != 1:
        notices.append(Notice(code="exif_turn", text=f"EXIF orientation {orientation}: the picture was set upright."))
    upright, more = without_gaps(np.ascontiguousarray(upright), found.name)
    # Stored indices lie where the upright picture has them: masks go back by the same change of axes.
    stored_to_ras = UPRIGHT_TO_RAS @ np.linalg.inv(turn.affine(np.eye(4), stored.shape[:3]))
    source = SourceGeometry(
        format="picture",
        shape=(stored.shape[0], stored.shape[1], 1),
        voxel_to_ras=stored_to_ras,
        files=(found.source,),
        exif_orientation=orientation,
        time_point=page,
    )
    unit = {"uint8": "8 bit", "uint16": "16 bit"}.get(str(upright.dtype), "unknown")
    volume = Volume(
        voxels=upright,
        voxel_to_ras=UPRIGHT_TO_RAS,
        modality="unknown",
        unit=unit,
        source=source,
        space="picture",
        spacing_known=False,
    )
    return volume, [*notices, *more]


@contextmanager
def _opened(found: FoundFile, limits: ReadLimits) -> Iterator[Image.Image]:
    with parsing(found.name, _EXPECTED):
        size = found.path.stat().st_size
        limits.check_file(size, found.name)
        with Image.open(found.path, formats=_FORMATS) as image:
            limits.check_voxels((image.width, image.height, 4), 4, found.name)
            yield image


def _pages(image: Image.Image) -> int:
    """Pages to choose from: those of a TIFF; frames in time count as one picture."""
    return getattr(image, "n_frames", 1) if image.format == "TIFF" else 1


def _pixels(image: Image.Image, found: FoundFile) -> tuple[Num[ndarray, "row column *channel"], list[Notice]]:
    if _deep_colour(image, found):
        return _by_opencv(found), []
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    image.load()
    if image.mode == "1":
        image = image.convert("L")
    if image.mode.startswith(("I", "F")):
        return _deep_grey(image), []
    notices = []
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        whole = image.convert("RGBA") if image.mode != "La" else image.convert("LA").convert("RGBA")
        if np.asarray(whole.getchannel("A")).min() < 255:
            notices.append(Notice(code="transparency", text="Transparent pixels were laid over black."))
        ground = Image.new("RGBA", image.size, (0, 0, 0, 255))
        ground.alpha_composite(whole)
        grey = image.mode in ("LA", "La", "L")
        return np.array(ground.convert("L" if grey else "RGB")), notices
    if image.mode not in ("L", "RGB"):
        notices.append(Notice(code="colours", text=f"Colours of mode {image.mode} were turned into RGB."))
        image = image.convert("RGB")
    return np.array(image), notices


def _deep_grey(image: Image.Image) -> Num[ndarray, "row column"]:
    values = np.array(image)
    values = values.astype(values.dtype.newbyteorder("="))
    if values.dtype.kind in "iu" and values.size and values.min() >= 0 and values.max() <= 65_535:
        return values.astype(np.uint16)
    return values if values.dtype.kind in "iu" else values.astype(np.float32)


def _deep_colour(image: Image.Image, found: FoundFile) -> bool:
    """Whether colours have 16 bits, which Pillow would cut to 8."""
    if image.format == "PNG":
        with found.path.open("rb") as file:
            head = file.read(26)
        return head[24] == 16 and head[25] in (2, 4, 6)
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(258, (8,))
        return len(tuple(bits)) > 1 and max(bits) > 8 and getattr(image, "n_frames", 1) == 1
    return False


def _by_opencv(found: FoundFile) -> Num[ndarray, "row column *channel"]:
    content = np.frombuffer(io.BytesIO(found.path.read_bytes()).getvalue(), dtype=np.uint8)
    values = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    if values is None:
        raise StudyFileError(f"{found.name}: expected {_EXPECTED}, found one that is cut. Copy it again.")
    if values.ndim == 3 and values.shape[2] >= 3:
        colours = values[..., 2::-1]
        return colours if values.shape[2] == 3 else _over_black(colours, values[..., 3])
    return values if values.ndim == 2 else _over_black(values[..., :1], values[..., 1])[..., 0]


def _over_black(
    colours: Num[ndarray, "row column channel"], alpha: Num[ndarray, "row column"]
) -> Num[ndarray, "row column channel"]:
    share = alpha.astype(np.float64) / np.iinfo(alpha.dtype).max
    return np.rint(colours * share[..., None]).astype(colours.dtype)
