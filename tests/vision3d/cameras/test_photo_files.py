"""Photos on disk: every pixel format becomes RGB bytes as stored, and damaged files are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.vision3d.cameras.small_scenes import gradient, refused, write_photo
from vision3d.cameras.photo_files import photo_size, read_pixels
from vision3d.errors import ImageFileError

ORIENTATION = 274


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_rotation_noted_in_the_file_is_never_applied(suffix: str, orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"quality": 100, "subsampling": 0} if suffix == "jpg" else {"lossless": True} if suffix == "webp" else {}
    path = write_photo(tmp_path / f"a.{suffix}", exif=exif, **options)
    assert photo_size(path) == (32, 24)
    found = read_pixels(path)
    assert found.shape == (24, 32, 3)
    assert np.abs(found.astype(int) - gradient()).max() <= (4 if suffix == "jpg" else 0)  # JPEG rounds its cosines


def test_colours_of_every_pixel_format(tmp_path: Path) -> None:
    """One pixel whose RGB is known by hand in each mode."""
    cases = {
        "1": (Image.new("1", (1, 1), 1), [255, 255, 255]),
        "L": (Image.new("L", (1, 1), 77), [77, 77, 77]),
        "I;16": (Image.fromarray(np.array([[257 * 100]], np.uint16)), [100, 100, 100]),  # 65535 = 257 * 255
        "F": (Image.fromarray(np.array([[0.4]], np.float32)), [102, 102, 102]),
        "F bytes": (Image.fromarray(np.array([[200.0]], np.float32)), [200, 200, 200]),
        "CMYK": (Image.new("CMYK", (1, 1), (0, 255, 255, 0)), [255, 0, 0]),
        "P": (Image.new("RGB", (1, 1), (10, 200, 30)).quantize(2), [10, 200, 30]),
    }
    for name, (image, expected) in cases.items():
        path = tmp_path / "a.tif"
        image.save(path)
        assert read_pixels(path).tolist() == [[expected]], name


def test_alpha_is_kept_only_where_something_shows_through(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (2, 1), (10, 20, 30, 255))
    clear.save(tmp_path / "opaque.png")
    assert read_pixels(tmp_path / "opaque.png").shape == (1, 2, 3)
    clear.putpixel((1, 0), (40, 50, 60, 0))
    clear.save(tmp_path / "open.png")
    assert read_pixels(tmp_path / "open.png").tolist() == [[[10, 20, 30, 255], [40, 50, 60, 0]]]
    palette = Image.new("P", (1, 1), 1)
    palette.putpalette([0, 0, 0, 9, 8, 7])
    palette.save(tmp_path / "palette.png", transparency=1)
    assert read_pixels(tmp_path / "palette.png").tolist() == [[[9, 8, 7, 0]]]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "bmp"])
def test_a_cut_photo_is_refused_wherever_it_is_cut(suffix: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    path = write_photo(tmp_path / f"a.{suffix}", noise)
    whole = path.read_bytes()
    for length in range(0, len(whole) * 3 // 4, 37):
        path.write_bytes(whole[:length])
        with refused(ImageFileError, str(path)):
            read_pixels(path)


def test_files_that_are_no_photos_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not a photo")
    for read in (photo_size, read_pixels):
        with refused(ImageFileError, "text.jpg", "cannot be decoded"):
            read(tmp_path / "text.jpg")
        with refused(ImageFileError, "none.jpg", "no such file"):
            read(tmp_path / "none.jpg")
        with refused(ImageFileError, str(tmp_path)):
            read(tmp_path)
    Image.fromarray(np.array([[np.nan]], np.float32)).save(tmp_path / "nan.tif")
    with refused(ImageFileError, "nan.tif", "NaN"):
        read_pixels(tmp_path / "nan.tif")


def test_real_odd_photos(shared_data: Path) -> None:
    """Sizes as the set's manifest states them (its RGBA photo is opaque); the cut JPEG and empty PNG are refused."""
    folder = shared_data / "robust_files" / "image"
    for name, size in {"16bit.png": (35, 51), "rgba.png": (200, 160), "1bit.png": (200, 160), "cmyk.jpg": (200, 160),
                       "1x1.png": (1, 1), "anim.gif": (200, 160), "float32.tif": (35, 51)}.items():  # fmt: skip
        path = folder / f"derived_{name}"
        assert photo_size(path) == size
        pixels = read_pixels(path)
        assert pixels.shape == (size[1], size[0], 3)
        if name != "1x1.png":
            assert pixels[..., :3].std() > 10  # a picture, not a flat or saturated field
    for name in ("derived_truncated.jpg", "derived_empty.png"):
        with refused(ImageFileError, name):
            read_pixels(folder / name)
