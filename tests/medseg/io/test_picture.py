"""Pictures as volumes: upright, with all their bits, and masks back on the pixels as stored."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from medseg.errors import InvalidInputError, SeriesChoiceError
from medseg.io.read_study import read_study
from medseg.io.write_masks import write_mask_png
from medseg.study.orientation import canonicalise
from medseg.study.slice_plan import plan_slices
from medseg.study.volume import volume_in_memory


def stored_picture(path: Path, orientation: int) -> Image.Image:
    values = np.random.default_rng(orientation).integers(0, 256, (5, 9, 3), dtype=np.uint8)
    picture, exif = Image.fromarray(values), Image.Exif()
    exif[0x0112] = orientation
    picture.save(path, exif=exif)
    return picture


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_turn_is_undone_for_reading_and_done_again_for_masks(tmp_path: Path, orientation: int) -> None:
    stored_picture(tmp_path / "in.png", orientation)
    with Image.open(tmp_path / "in.png") as image:
        stored, upright = np.array(image), np.array(ImageOps.exif_transpose(image))
    volume = read_study(tmp_path / "in.png").volume
    np.testing.assert_array_equal(volume.voxels[:, :, 0].swapaxes(0, 1), upright)
    plan = plan_slices(volume)
    np.testing.assert_array_equal(plan.picture(volume, 0), upright)

    mask = plan.volume_of((upright[..., 0] > 128)[None])
    write_mask_png(tmp_path / "mask.png", mask, volume)
    with Image.open(tmp_path / "mask.png") as image:
        np.testing.assert_array_equal(np.array(image) > 0, stored[..., 0] > 128)
        np.testing.assert_array_equal(np.array(ImageOps.exif_transpose(image)) > 0, upright[..., 0] > 128)

    turned = canonicalise(volume)
    write_mask_png(tmp_path / "turned.png", turned.voxels[..., 0] > 128, turned)
    assert (tmp_path / "turned.png").read_bytes() == (tmp_path / "mask.png").read_bytes()


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_stay_sixteen(tmp_path: Path, ending: str) -> None:
    grey = np.array([[0, 1, 256], [4095, 40_000, 65_535]], dtype=np.uint16)
    Image.fromarray(grey).save(tmp_path / f"grey.{ending}")
    volume = read_study(tmp_path / f"grey.{ending}").volume
    np.testing.assert_array_equal(volume.voxels[:, :, 0].T, grey)
    assert volume.unit == "16 bit"
    colours = np.stack([grey, grey[::-1], grey // 2], axis=-1)
    cv2.imwrite(str(tmp_path / f"rgb.{ending}"), colours[..., ::-1])
    volume = read_study(tmp_path / f"rgb.{ending}").volume
    np.testing.assert_array_equal(volume.voxels[:, :, 0].swapaxes(0, 1), colours)


def test_transparency_is_laid_over_black_and_said(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 1), (200, 100, 50, 0)).save(tmp_path / "clear.png")
    study = read_study(tmp_path / "clear.png")
    assert study.volume.voxels.max() == 0
    assert study.noticed("transparency")
    Image.new("RGBA", (2, 1), (200, 100, 50, 255)).save(tmp_path / "solid.png")
    solid = read_study(tmp_path / "solid.png")
    assert solid.volume.voxels[0, 0, 0].tolist() == [200, 100, 50]
    assert not solid.notices


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr", "LAB"])
def test_every_mode_of_pillow_gives_grey_or_rgb(tmp_path: Path, mode: str) -> None:
    endings = {"CMYK": "jpg", "YCbCr": "jpg", "I": "tif", "F": "tif", "PA": "tif", "LAB": "tif"}
    ending = endings.get(mode, "png")
    Image.new(mode, (3, 2)).save(tmp_path / f"mode.{ending}")
    voxels = read_study(tmp_path / f"mode.{ending}").volume.voxels
    assert voxels.shape in ((3, 2, 1), (3, 2, 1, 3))


def test_pages_are_chosen_and_films_say_their_first_frame(tmp_path: Path) -> None:
    pages = [Image.new("L", (4, 3), value) for value in (10, 20, 30)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(SeriesChoiceError, match=r"1\.tif\?page=2"):
        read_study(tmp_path / "pages.tif")
    assert read_study(tmp_path / "pages.tif", series="pages.tif?page=2").volume.voxels.max() == 30
    pages[0].save(tmp_path / "film.gif", save_all=True, append_images=pages[1:])
    assert "3 frames" in read_study(tmp_path / "film.gif").noticed("first_frame")[0].text


def test_labels_of_pictures_keep_their_numbers(tmp_path: Path) -> None:
    stored_picture(tmp_path / "in.png", 6)
    volume = read_study(tmp_path / "in.png").volume
    labels = np.zeros(volume.shape, dtype=np.int32)
    labels[0, 0, 0] = 700
    write_mask_png(tmp_path / "labels.png", labels, volume)
    with Image.open(tmp_path / "labels.png") as image:
        assert np.array(ImageOps.exif_transpose(image))[0, 0] == 700


def test_png_is_for_pictures(tmp_path: Path) -> None:
    volume = volume_in_memory(np.zeros((4, 5, 6)), np.eye(4))
    with pytest.raises(InvalidInputError, match="found 6 slices"):
        write_mask_png(tmp_path / "mask.png", np.zeros((4, 5, 6), dtype=bool), volume)
    with pytest.raises(InvalidInputError, match=r"in \.png"):
        write_mask_png(tmp_path / "mask.jpg", np.zeros((4, 5, 6), dtype=bool), volume)
