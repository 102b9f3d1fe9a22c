"""Pictures of a fit: which file shows what, tile by tile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tests.vision3d.reconstruction.known_scenes import SIDE, known_photos, known_scene, ring_cameras
from vision3d.reconstruction.previews import render_frames, write_previews
from vision3d.rendering.renderer import RasterOptions

BLACK = torch.zeros(3)
OPTIONS = RasterOptions()


def test_a_strip_shows_photo_render_error_and_depth(tmp_path: Path) -> None:
    photos = known_photos()
    photos.images[2] = 0  # a photo unlike its render
    names = ["view_4.png", "view_2.png"]
    pictures = write_previews(tmp_path, known_scene(), photos, names, background=BLACK, options=OPTIONS)
    assert [picture.name for picture in pictures] == names
    strips = [np.asarray(Image.open(tmp_path / picture.strip)) for picture in pictures]
    assert all(strip.shape == (SIDE, 4 * SIDE, 3) for strip in strips)
    photo, render, error, depth = np.split(strips[0], 4, axis=1)
    assert np.array_equal(photo, photos.images[4].numpy())
    assert np.array_equal(render, photo)  # the photo was rendered from this scene
    assert error.max() <= 2  # four times the rounding of half a level
    assert depth.any()
    assert np.array_equal(depth[..., 0], depth[..., 1])
    assert not depth[0, 0].any()  # nothing was hit in the corner
    photo, render, error, _ = np.split(strips[1].astype(int), 4, axis=1)
    assert not photo.any()
    assert np.abs(error - np.minimum(4 * render, 255)).max() <= 2


def test_the_orbit_is_an_endless_animation(tmp_path: Path) -> None:
    write_previews(tmp_path, known_scene(), known_photos(), [], background=BLACK, options=OPTIONS)
    with Image.open(tmp_path / "previews" / "orbit.webp") as animation:
        assert animation.size == (SIDE, SIDE)
        assert animation.n_frames == 60
        assert animation.info["loop"] == 0
        animation.seek(30)
        assert np.asarray(animation.convert("RGB")).max() > 64  # the scene is in the picture half way round
    assert not list(tmp_path.rglob("*.partial"))


def test_a_single_view_has_an_orbit_too(tmp_path: Path) -> None:
    photos = known_photos(cameras=ring_cameras(1))
    pictures = write_previews(tmp_path, known_scene(), photos, ["view_0.png"], background=BLACK, options=OPTIONS)
    assert (tmp_path / pictures[0].strip).is_file()
    assert (tmp_path / "previews" / "orbit.webp").is_file()


def test_frames_are_the_renders_of_each_camera_in_order() -> None:
    photos = known_photos()
    frames = render_frames(known_scene(), photos.cameras, background=BLACK, options=OPTIONS)
    assert len(frames) == 6
    assert all(np.array_equal(frame, photo.numpy()) for frame, photo in zip(frames, photos.images, strict=True))
