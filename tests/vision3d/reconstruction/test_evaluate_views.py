"""Scores of held-out views: worked by hand on plain backgrounds, one view at a time, and means."""

from __future__ import annotations

import math

import pytest
import torch

from tests.vision3d.reconstruction.known_scenes import known_photos, known_scene, ring_cameras
from vision3d.cameras.posed_photos import Photos
from vision3d.errors import UnknownViewError
from vision3d.reconstruction.evaluate_views import ViewScore, evaluate_views, mean_scores, photo_of
from vision3d.scene.gaussian_scene import GaussianScene

BLACK = torch.zeros(3)


def _invisible() -> GaussianScene:
    scene = known_scene(1)
    return GaussianScene(
        means=scene.means, quats=scene.quats, log_scales=scene.log_scales, opacity_logits=scene.opacity_logits - 20,
        sh=scene.sh,
    )  # fmt: skip


def _flat(level: int) -> Photos:
    cameras = ring_cameras(2, side=16)
    return Photos(cameras=cameras, images=torch.full((2, 16, 16, 3), level, dtype=torch.uint8), alpha=None, valid=None)


def test_a_plain_background_by_hand() -> None:
    # 51 of 255 is 0.2: squared error 0.04 against black, 13.979 dB; SSIM of constants 0 and 0.2 is C1 / (0.04 + C1)
    scores = evaluate_views(_invisible(), _flat(51), ["view_1.png"], background=BLACK)
    assert [score.name for score in scores] == ["view_1.png"]
    assert scores[0].psnr == pytest.approx(-10 * math.log10(0.04), abs=1e-4)
    assert scores[0].ssim == pytest.approx(1e-4 / (0.04 + 1e-4), abs=1e-4)
    grey = evaluate_views(_invisible(), _flat(51), ["view_1.png"], background=torch.full((3,), 0.2))
    assert grey[0].psnr > 100
    assert grey[0].ssim == pytest.approx(1.0, abs=1e-5)


def test_renders_are_clamped_before_they_are_compared() -> None:
    # a background of 1.5 shows as white: equal to a white photo
    scores = evaluate_views(_invisible(), _flat(255), ["view_0.png"], background=torch.full((3,), 1.5))
    assert scores[0].psnr > 100


def test_photos_of_the_scene_itself_differ_by_rounding_alone() -> None:
    photos = known_photos()
    scores = evaluate_views(known_scene(), photos, photos.cameras.names, background=BLACK)
    # rounding to 8 bits: errors spread over half a level, variance 1 / (12 x 255^2), 58.9 dB; black pixels have none
    assert all(score.psnr > 58.9 for score in scores)
    assert all(score.ssim > 0.999 for score in scores)


def test_views_are_scored_alone() -> None:
    photos = known_photos(known_scene(seed=4))
    names = photos.cameras.names
    together = evaluate_views(known_scene(), photos, names, background=BLACK)
    apart = [evaluate_views(known_scene(), photos, [name], background=BLACK)[0] for name in names]
    assert together == apart
    assert len({score.psnr for score in together}) == len(names)


def test_an_unknown_view_is_refused() -> None:
    with pytest.raises(UnknownViewError, match=r"other\.png"):
        evaluate_views(known_scene(), known_photos(), ["other.png"], background=BLACK)


def test_photo_of_finds_by_name() -> None:
    photos = _flat(0)
    photos.images[1] = 255
    assert photo_of(photos, "view_1.png").min() == 1.0
    assert photo_of(photos, "view_0.png").max() == 0.0


def test_means() -> None:
    scores = [ViewScore(name="a", psnr=20.0, ssim=0.5), ViewScore(name="b", psnr=30.0, ssim=0.7)]
    assert mean_scores(scores) == (25.0, pytest.approx(0.6))
    assert all(math.isnan(value) for value in mean_scores([]))
