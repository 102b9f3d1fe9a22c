"""`load_photos`: one size, exact factors, every kind of photo file, and photos that do not fit."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from tests.vision3d.cameras.small_scenes import (
    dot_centroid,
    draw_dots,
    gradient,
    posed_photo,
    posed_scene,
    random_cameras,
    refused,
    write_photo,
)
from vision3d.cameras.distortion import distort_points, undistort
from vision3d.cameras.load_photos import load_photos
from vision3d.cameras.posed_photos import PosedPhotos
from vision3d.errors import ImageFileError, InvalidInputError


def test_photos_of_their_own_size_keep_every_pixel_and_number(tmp_path: Path) -> None:
    posed = posed_scene(tmp_path, random_cameras(3), pixels=[gradient(blue=blue) for blue in (0, 100, 200)])
    photos = load_photos(posed)
    assert photos.images[..., 2].flatten(1).unique(dim=1).tolist() == [[0], [100], [200]]
    assert np.array_equal(photos.images[1].numpy(), gradient(blue=100))
    assert torch.equal(photos.cameras.intrinsics, posed.cameras.intrinsics)
    assert torch.equal(photos.cameras.world_to_camera, posed.cameras.world_to_camera)
    assert photos.cameras.names == posed.cameras.names
    assert photos.alpha is None
    assert photos.valid is None


@pytest.mark.parametrize(
    ("stored", "max_side", "expected"),
    [
        ((108, 192), 24, (14, 24)),  # 13.5 rounds to the even 14
        ((108, 192), 96, (54, 96)),
        ((192, 108), 100, (100, 56)),  # 56.25
        ((32, 24), 1000, (32, 24)),  # never enlarged
        ((32, 24), 32, (32, 24)),
        ((32, 24), 1, (1, 1)),  # a side never vanishes
    ],
)
def test_the_longest_side_is_reduced_and_the_factors_are_exact(
    stored: tuple[int, int], max_side: int, expected: tuple[int, int], tmp_path: Path
) -> None:
    """Each axis scales by its own ratio of whole pixels, 14/108 and 24/192, not by one rounded factor."""
    posed = posed_scene(tmp_path, random_cameras(2, width=stored[0], height=stored[1]))
    photos = load_photos(posed, max_side=max_side)
    width, height = expected
    assert photos.cameras.uniform_size == expected
    assert tuple(photos.images.shape) == (2, height, width, 3)
    factors = torch.tensor([width / stored[0], height / stored[1], 1.0], dtype=torch.float64)
    wanted = factors[:, None] * posed.cameras.intrinsics.double()
    assert torch.allclose(photos.cameras.intrinsics.double(), wanted, rtol=1e-6, atol=0)


def test_phone_portrait_photos_become_135_by_240(tmp_path: Path) -> None:
    posed = posed_scene(tmp_path, random_cameras(1, width=1080, height=1920))
    assert load_photos(posed, max_side=240).cameras.uniform_size == (135, 240)


def test_reduction_averages_areas(tmp_path: Path) -> None:
    """Each 2x2 block of a checkerboard with values 0 and 200 becomes 100."""
    board = np.indices((24, 32)).sum(0) % 2 * 200
    photo = write_photo(tmp_path / "a.png", np.dstack([board] * 3).astype(np.uint8))
    assert load_photos(posed_photo(photo), max_side=16).images.unique().tolist() == [100]


def test_points_project_onto_their_dots_after_undistortion_and_reduction(tmp_path: Path) -> None:
    """Dots at the lens's projections of 3D points, found where the returned pinhole camera projects the points."""
    distortion = np.array([-0.15, 0.05, 0.002, -0.003])
    grid = np.stack(np.meshgrid(np.linspace(-0.35, 0.35, 5), np.linspace(-0.25, 0.25, 4)), -1).reshape(-1, 2)
    centres = distort_points(grid, distortion) * [600, 610] + [323, 238]
    photo = write_photo(tmp_path / "a.png", draw_dots(centres, 640, 480, sigma=4.0))
    posed = posed_photo(photo, 640, 480)
    intrinsics = torch.tensor([[[600.0, 0, 323], [0, 610, 238], [0, 0, 1]]])
    posed = replace(
        posed,
        cameras=replace(posed.cameras, intrinsics=intrinsics),
        distortion=torch.tensor(distortion[None], dtype=torch.float32),
    )
    for max_side in (None, 320, 160):
        photos = load_photos(posed, max_side=max_side)
        matrix = photos.cameras.intrinsics[0].double().numpy()
        targets = grid * [matrix[0, 0], matrix[1, 1]] + matrix[:2, 2]
        reach = photos.images.shape[2] * 20 // 640
        for target in targets:
            found = dot_centroid(photos.images[0].numpy(), target, reach)
            assert np.abs(found - target).max() < 0.05


def test_halved_views_are_undistorted_at_full_size(tmp_path: Path) -> None:
    """Noise shows any resampling in between: full size, lens removed, then 2x2 averages (cv2's area reduction)."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    posed = posed_photo(write_photo(tmp_path / "a.png", noise), 64, 48, focal=60.0)
    posed = replace(posed, distortion=torch.tensor([[-0.1, 0.02, 0.001, 0.0]]))
    straight, pinhole = undistort(
        noise, posed.cameras.intrinsics[0].double().numpy(), posed.distortion[0].double().numpy()
    )
    photos = load_photos(posed, max_side=32)
    assert np.array_equal(photos.images[0].numpy(), cv2.resize(straight, (32, 24), interpolation=cv2.INTER_AREA))
    assert np.allclose(photos.cameras.intrinsics[0, :2].numpy(), pinhole[:2] / 2, rtol=1e-6)


def test_a_photo_stored_smaller_than_its_camera_says_scales_the_intrinsics(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photo = write_photo(tmp_path / "a.png", gradient(32, 24))
    with caplog.at_level(logging.INFO):
        photos = load_photos(posed_photo(photo, 64, 48, focal=80.0))
    assert photos.cameras.uniform_size == (32, 24)
    assert photos.cameras.intrinsics[0].tolist() == [[40, 0, 16], [0, 40, 12], [0, 0, 1]]
    assert "a.png" in caplog.text


def test_views_of_a_few_sizes_come_to_the_most_common_one(tmp_path: Path) -> None:
    cameras = random_cameras(3)
    sizes = torch.tensor([[32, 24], [64, 48], [32, 24]])
    posed = posed_scene(tmp_path, replace(cameras, image_sizes=sizes))
    photos = load_photos(posed)
    assert photos.cameras.uniform_size == (32, 24)
    assert torch.allclose(photos.cameras.intrinsics[1, :2], cameras.intrinsics[1, :2] / 2)
    assert torch.equal(photos.cameras.intrinsics[0], cameras.intrinsics[0])


def with_alpha(share: np.ndarray | int) -> np.ndarray:
    """A photo of colour (200, 100, 0) with coverage `share`."""
    pixels = np.zeros((24, 32, 4), np.uint8)
    pixels[..., :2] = [200, 100]
    pixels[..., 3] = share
    return pixels


def test_alpha_is_composited_on_the_background_and_kept(tmp_path: Path) -> None:
    """Coverage 51 of 255 is 0.2: 0.2 * 200 + 0.8 * 255 = 244, 0.2 * 100 + 204 = 224, 204; on black 40, 20, 0."""
    posed = posed_photo(write_photo(tmp_path / "a.png", with_alpha(51)))
    photos = load_photos(posed)
    assert photos.alpha is not None
    assert photos.alpha.unique().tolist() == [51]
    assert photos.images[0, 3, 5].tolist() == [244, 224, 204]
    assert load_photos(posed, background=(0, 0, 0)).images[0, 3, 5].tolist() == [40, 20, 0]


def test_colours_are_mixed_before_they_are_averaged(tmp_path: Path) -> None:
    """Transparent pixels hide any colour: half red, half nothing gives half red on black, whatever lies beneath."""
    pixels = np.zeros((24, 32, 4), np.uint8)
    pixels[:, ::2] = [200, 0, 0, 255]
    pixels[:, 1::2] = [0, 255, 255, 0]
    photos = load_photos(posed_photo(write_photo(tmp_path / "a.png", pixels)), max_side=16, background=(0, 0, 0))
    assert photos.images.reshape(-1, 3).unique(dim=0).tolist() == [[100, 0, 0]]
    assert photos.alpha is not None
    assert abs(photos.alpha.int() - 127.5).max() <= 0.5


def test_photos_without_alpha_count_as_covered_beside_others(tmp_path: Path) -> None:
    posed = posed_scene(tmp_path, random_cameras(2), pixels=[with_alpha(0), gradient()])
    photos = load_photos(posed)
    assert photos.alpha is not None
    assert photos.alpha.flatten(1).unique(dim=1).tolist() == [[0], [255]]


def test_an_alpha_channel_that_hides_nothing_is_no_alpha(tmp_path: Path) -> None:
    assert load_photos(posed_photo(write_photo(tmp_path / "a.png", with_alpha(255)))).alpha is None


def grey_levels() -> np.ndarray:
    return gradient()[..., 0]


def stored_as(path: Path, mode: str) -> np.ndarray:
    """A photo written in `mode`, and the RGB pixels a reader should find."""
    grey = np.dstack([grey_levels()] * 3)
    if mode == "grey":
        write_photo(path, grey_levels())
    elif mode == "grey with alpha":
        Image.fromarray(np.dstack([grey_levels(), np.full_like(grey_levels(), 255)]), "LA").save(path)
    elif mode == "one bit":
        Image.fromarray(grey_levels() > 127).save(path)
        return np.where(grey > 127, 255, 0)
    elif mode == "palette":
        Image.fromarray(grey_levels()).convert("P").save(path)
    elif mode == "16 bit":
        Image.fromarray(grey_levels().astype(np.uint16) * 257).save(path)  # 257 * 255 = 65535
    return grey


@pytest.mark.parametrize("mode", ["grey", "grey with alpha", "one bit", "palette", "16 bit"])
def test_every_kind_of_png_becomes_eight_bit_rgb(mode: str, tmp_path: Path) -> None:
    expected = stored_as(tmp_path / "a.png", mode)
    photos = load_photos(posed_photo(tmp_path / "a.png"))
    assert np.array_equal(photos.images[0].numpy(), expected)
    assert photos.alpha is None


def test_palette_with_a_transparent_colour_has_alpha(tmp_path: Path) -> None:
    indices = (np.indices((24, 32))[1] >= 16).astype(np.uint8)
    image = Image.fromarray(indices, "P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "a.png", transparency=0)
    photos = load_photos(posed_photo(tmp_path / "a.png"))
    assert photos.alpha is not None
    assert photos.alpha[0, 0, [0, 31]].tolist() == [0, 255]
    assert photos.images[0, 0, [0, 31]].tolist() == [[255, 255, 255], [40, 50, 60]]


def test_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    """Full cyan and no other ink lets no red through."""
    Image.new("CMYK", (32, 24), (255, 0, 0, 0)).save(tmp_path / "a.jpg", quality=95)
    found = load_photos(posed_photo(tmp_path / "a.jpg")).images[0].numpy().astype(int)
    assert np.abs(found - [0, 255, 255]).max() <= 2


def test_float_tiff_from_zero_to_one(tmp_path: Path) -> None:
    Image.fromarray((grey_levels() / 255).astype(np.float32)).save(tmp_path / "a.tif")
    assert np.array_equal(load_photos(posed_photo(tmp_path / "a.tif")).images[0, ..., 1].numpy(), grey_levels())


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_exif_rotation_is_not_applied(orientation: int, suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    plain = write_photo(tmp_path / "plain" / f"a.{suffix}")
    turned = write_photo(tmp_path / f"a.{suffix}", exif=exif)
    images = [load_photos(posed_photo(path)).images for path in (plain, turned)]
    assert torch.equal(images[0], images[1])


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    distortion = torch.randn(5, 4) * 0.02
    posed = posed_scene(tmp_path, random_cameras(5), distortion=distortion)
    one, four = load_photos(posed, max_side=16, workers=1), load_photos(posed, max_side=16, workers=4)
    assert torch.equal(one.images, four.images)
    assert torch.equal(one.cameras.intrinsics, four.cameras.intrinsics)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_a_cut_photo_is_refused_by_name(name: str, tmp_path: Path) -> None:
    path = write_photo(tmp_path / name, np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8))
    whole = path.read_bytes()
    for share in (0.0, 0.02, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with refused(ImageFileError, str(path)):
            load_photos(posed_photo(path))


def test_a_file_that_is_no_photo_and_one_that_vanished_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("<html>not found</html>")
    with refused(ImageFileError, str(path)):
        load_photos(posed_photo(path))
    path.unlink()
    with refused(ImageFileError, str(path)):
        load_photos(posed_photo(path))


def test_a_photo_that_does_not_fit_its_camera_is_refused_with_both_sizes(tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "a.png", gradient(32, 24))
    with refused(ImageFileError, str(photo), "24x32", "32x24"):
        load_photos(posed_photo(photo, 24, 32))


@pytest.mark.parametrize(("stored", "fits"), [((33, 25), True), ((33, 24), True), ((33, 27), False), ((64, 45), False)])
def test_reduced_photos_may_be_off_by_the_rounding_of_one_pixel(
    stored: tuple[int, int], fits: bool, tmp_path: Path
) -> None:
    """A third of 100x75 is 33.3x25; 64 wide would be 48 high."""
    photo = write_photo(tmp_path / "a.png", gradient(*stored))
    if fits:
        found = load_photos(posed_photo(photo, 100, 75, focal=100.0)).cameras
        assert found.uniform_size == stored
        assert torch.allclose(found.intrinsics[0].diag(), torch.tensor([stored[0], stored[1] / 0.75, 1.0]))
    else:
        with refused(ImageFileError, str(photo), "100x75", f"{stored[0]}x{stored[1]}"):
            load_photos(posed_photo(photo, 100, 75))


def test_a_lens_that_folds_the_photo_is_refused_with_its_view(tmp_path: Path) -> None:
    posed = posed_photo(write_photo(tmp_path / "a.png"), focal=16.0)
    with refused(ImageFileError, "a.png", "k1=-5"):
        load_photos(replace(posed, distortion=torch.tensor([[-5.0, 0, 0, 0]])))


def test_photos_of_different_shapes_are_refused_by_name(tmp_path: Path) -> None:
    sizes = torch.tensor([[32, 24], [24, 32], [32, 24]])
    posed = posed_scene(tmp_path, replace(random_cameras(3), image_sizes=sizes))
    with refused(ImageFileError, "1.png", "24x32", "32x24"):
        load_photos(posed)


@pytest.mark.parametrize("max_side", [0, -5])
def test_an_impossible_side_is_refused(max_side: int, tmp_path: Path) -> None:
    with refused(InvalidInputError, str(max_side)):
        load_photos(posed_photo(write_photo(tmp_path / "a.png")), max_side=max_side)


@pytest.mark.parametrize("background", [(255, 255, 255), (0.5, 0.5), (float("nan"), 0, 0)])
def test_an_impossible_background_is_refused(background: tuple[float, ...], tmp_path: Path) -> None:
    with refused(InvalidInputError, "background"):
        load_photos(posed_photo(write_photo(tmp_path / "a.png")), background=background)


def test_no_views_are_refused() -> None:
    nothing = PosedPhotos(
        cameras=random_cameras(1).select([]),
        distortion=torch.zeros(0, 4),
        image_paths=(),
        points=None,
        held_out=(),
        source="test",
    )
    with refused(InvalidInputError, "view"):
        load_photos(nothing)


def test_views_photos_and_lenses_come_in_equal_number(tmp_path: Path) -> None:
    posed = posed_photo(write_photo(tmp_path / "a.png"))
    with refused(InvalidInputError, "1 views", "2 photos"):
        replace(posed, image_paths=posed.image_paths * 2)
