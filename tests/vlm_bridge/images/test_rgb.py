"""Pictures of every mode as RGB: values worked by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.images.rgb import to_rgb


def pixels(image: Image.Image) -> list[tuple[int, ...]]:
    assert image.mode == "RGB"
    return [tuple(int(value) for value in pixel) for pixel in np.asarray(image).reshape(-1, 3)]


@pytest.mark.parametrize(
    ("mode", "colour", "seen"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 100, (100, 100, 100)),
        ("RGB", (1, 2, 3), (1, 2, 3)),
        ("RGBX", (1, 2, 3, 0), (1, 2, 3)),
        ("CMYK", (255, 0, 0, 0), (0, 255, 255)),
        ("YCbCr", (80, 128, 128), (80, 80, 80)),
        ("HSV", (0, 255, 255), (255, 0, 0)),
        # A fifth of 0 over four fifths of white: 255 * (1 - 51 / 255) = 204.
        ("LA", (0, 51), (204, 204, 204)),
        ("RGBA", (255, 0, 0, 51), (255, 204, 204)),
        ("RGBa", (51, 0, 0, 51), (255, 204, 204)),
        ("La", (0, 51), (204, 204, 204)),
    ],
)
def test_one_colour_of_each_mode(mode: str, colour: int | tuple[int, ...], seen: tuple[int, int, int]) -> None:
    assert pixels(to_rgb(Image.new(mode, (2, 1), colour))) == [seen, seen]


def test_palette_with_a_transparent_colour_lies_over_white() -> None:
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    assert pixels(to_rgb(image)) == [(10, 20, 30), (40, 50, 60)]
    image.info["transparency"] = 1
    assert pixels(to_rgb(image)) == [(10, 20, 30), (255, 255, 255)]


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "int32", "float32"])
def test_deep_greys_are_stretched_over_their_own_range(dtype: str) -> None:
    # 12 bits of 16: 0, a fifth and all of 4095.
    image = Image.fromarray(np.array([[0, 819, 4095]], dtype=dtype))
    assert [pixel[0] for pixel in pixels(to_rgb(image))] == [0, 51, 255]


def test_sixteen_bit_png_is_read_with_all_its_bits() -> None:
    file = io.BytesIO()
    Image.fromarray(np.array([[1000, 2000, 3000]], dtype=np.uint16)).save(file, "PNG")
    assert [pixel[0] for pixel in pixels(to_rgb(Image.open(file)))] == [0, 128, 255]


def test_flat_and_impossible_greys() -> None:
    assert pixels(to_rgb(Image.new("I;16", (1, 1), 700))) == [(0, 0, 0)]
    strange = np.array([[np.nan, np.inf, -2.0, 2.0]], dtype=np.float32)
    assert [pixel[0] for pixel in pixels(to_rgb(Image.fromarray(strange)))] == [0, 0, 0, 255]
    assert pixels(to_rgb(Image.fromarray(np.full((1, 1), np.nan, dtype=np.float32)))) == [(0, 0, 0)]
    widest = np.array([[-3.4e38, 3.4e38]], dtype=np.float32)
    assert [pixel[0] for pixel in pixels(to_rgb(Image.fromarray(widest)))] == [0, 255]


def test_exif_turn_is_done() -> None:
    image = Image.fromarray(np.array([[[1, 1, 1], [2, 2, 2]]], dtype=np.uint8))
    # 6: the first row of the file is the right side of what was seen, so the picture stands upright after a turn.
    image.getexif()[0x0112] = 6
    file = io.BytesIO()
    image.save(file, "PNG", exif=image.getexif())
    turned = to_rgb(Image.open(file))
    assert turned.size == (1, 2)
    assert pixels(turned) == [(1, 1, 1), (2, 2, 2)]


def test_given_picture_is_left_as_it_was() -> None:
    image = Image.new("RGBA", (2, 2), (9, 9, 9, 9))
    to_rgb(image).putpixel((0, 0), (0, 0, 0))
    assert image.mode == "RGBA"
    assert image.getpixel((0, 0)) == (9, 9, 9, 9)


@pytest.mark.parametrize("size", [(0, 4), (4, 0), (0, 0)])
def test_empty_picture_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidInputError, match="at least one pixel"):
        to_rgb(Image.new("RGB", size))


def test_cut_file_is_refused() -> None:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(file, "PNG")
    with pytest.raises(InvalidInputError, match="damaged"):
        to_rgb(Image.open(io.BytesIO(file.getvalue()[:500])))


def test_colours_without_a_conversion_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_supported(*_: object) -> None:  # what Pillow before 12 says of LAB
        raise ValueError("conversion from LAB to RGB not supported")

    monkeypatch.setattr(Image.Image, "convert", not_supported)
    with pytest.raises(InvalidInputError, match="mode LAB"):
        to_rgb(Image.new("LAB", (2, 2)))
