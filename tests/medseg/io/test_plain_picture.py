from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medseg.errors import StudyFileError
from medseg.io.plain_picture import read_rgb, read_values, resized_values


def test_pictures_are_read_upright_in_rgb(tmp_path: Path) -> None:
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[0, 0] = (250, 120, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert (read_rgb(tmp_path / "a.png") == pixels).all()
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_rgb(tmp_path / "turned.jpg").shape == (30, 20, 3)


def test_values_keep_their_bits(tmp_path: Path) -> None:
    values = np.array([[0, 70], [40_000, 5]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert (read_values(tmp_path / "a.png") == values).all()
    grey = np.array([[0, 255], [7, 9]], np.uint8)
    Image.fromarray(np.repeat(grey[..., None], 3, 2)).save(tmp_path / "b.png")
    assert (read_values(tmp_path / "b.png") == grey).all()


@pytest.mark.parametrize("content", [None, b"", b"no picture"])
def test_what_is_no_picture_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    for read in (read_rgb, read_values):
        with pytest.raises(StudyFileError, match=r"a\.png: expected a picture"):
            read(path)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))
def test_whole_numbers_of_pixels_repeat(height: int, width: int, times: int) -> None:
    values = np.arange(height * width).reshape(height, width)
    grown = resized_values(values, (height * times, width * times))
    assert (grown == values.repeat(times, 0).repeat(times, 1)).all()
    assert (resized_values(grown, values.shape) == values).all()
