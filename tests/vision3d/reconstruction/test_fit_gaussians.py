"""The fit on a tiny problem whose answer is known: it learns, it repeats itself, and it goes on where it was cut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.vision3d.reconstruction.known_scenes import known_photos, known_scene, quick_fit, ring_cameras
from tests.vision3d.scene.random_scenes import same_bits
from vision3d.cameras.point_cloud import PointCloud
from vision3d.cameras.posed_photos import Photos
from vision3d.errors import InvalidInputError
from vision3d.reconstruction import fit_gaussians as fit_module
from vision3d.reconstruction.densification.default import DefaultConfig
from vision3d.reconstruction.densification.mcmc import McmcConfig
from vision3d.reconstruction.evaluate_views import evaluate_views, mean_scores
from vision3d.reconstruction.fit_config import FitConfig
from vision3d.reconstruction.fit_gaussians import (
    background_of_step,
    fit_gaussians,
    learning_rate_of_means,
    view_of_step,
)
from vision3d.reconstruction.splat_parameters import LearningRates
from vision3d.rendering.render_views import render_views
from vision3d.scene.gaussian_scene import GaussianScene
from vlm_bridge.runs.run_folder import RunFolder, create_run

BLACK = torch.zeros(3)


class Cut(Exception):
    """Stands for a killed process."""


@pytest.fixture(scope="module")
def photos() -> Photos:
    return known_photos()


def _psnr(scene: GaussianScene, photos: Photos) -> float:
    return mean_scores(evaluate_views(scene, photos, photos.cameras.names, background=BLACK))[0]


def _true_points() -> PointCloud:
    scene = known_scene()
    return PointCloud(positions=scene.means, colours=(0.5 + scene.sh[:, 0] * 0.28209479).clamp(0, 1))


def test_a_known_scene_is_found_again(photos: Photos, tmp_path: Path) -> None:
    run = create_run(tmp_path / "run", {})
    config = quick_fit(steps=300, sh_degree=0, densifier="fixed", initial_count=60)
    before = fit_gaussians(photos, _true_points(), config=replace(config, steps=1))
    after = fit_gaussians(photos, _true_points(), config=config, run=run)
    # the true centres under wrong sizes, turns and opacities: the squared error falls to a tenth at least (10 dB), and
    # ends below 3 levels of 255 per pixel (38.6 dB)
    start, end = _psnr(before, photos), _psnr(after, photos)
    assert end > start + 10
    assert end > 38.6
    lines = run.metrics()
    assert [line["step"] for line in lines] == [50, 100, 150, 200, 250, 300]
    assert lines[-1]["train_psnr"] > lines[0]["train_psnr"]
    assert all(line["gaussians"] == 60 for line in lines)


def test_it_learns_from_a_random_start(photos: Photos) -> None:
    before = fit_gaussians(photos, config=quick_fit(steps=1))
    after = fit_gaussians(photos, config=quick_fit(steps=150))
    assert _psnr(after, photos) > _psnr(before, photos) + 3  # half the squared error


@pytest.mark.parametrize("densifier", ["mcmc", "default", "fixed"])
def test_a_cut_fit_ends_like_one_that_ran_through(
    densifier: str, photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = quick_fit(
        densifier=densifier,
        checkpoint_every=10,
        default=DefaultConfig(every=4, start=0.0, stop=1.0, grow_gradient=1e-6, reset_every=15),
    )
    through = fit_gaussians(photos, config=config)
    run = create_run(tmp_path / "run", config)
    monkeypatch.setattr(fit_module, "view_of_step", _cut_at(27))
    with pytest.raises(Cut):
        fit_gaussians(photos, config=config, run=run)
    monkeypatch.undo()
    checkpoint = run.latest_checkpoint()
    assert checkpoint is not None
    assert checkpoint.step == 20
    torch.rand(3)  # another process has another random state
    run.rewind_to(20)
    resumed = fit_gaussians(photos, config=config, run=RunFolder(path=run.path))
    assert same_bits(through, resumed)
    steps = [line["step"] for line in run.metrics()]
    assert steps == sorted(set(steps))
    # the checkpoints are used: a run at its end would not redo the steps before 20
    assert {path.stem for path in run.checkpoint_folder.glob("*")} == {"step_00000020", "step_00000030"}


def _cut_at(step: int):
    def cut_view_of_step(now: int, count: int, seed: int) -> int:
        if now == step:
            raise Cut
        return view_of_step(now, count, seed)

    return cut_view_of_step


def test_seed_decides(photos: Photos) -> None:
    first = fit_gaussians(photos, config=quick_fit(steps=12))
    torch.rand(7)
    assert same_bits(first, fit_gaussians(photos, config=quick_fit(steps=12)))
    assert not torch.equal(first.means[:100], fit_gaussians(photos, config=quick_fit(steps=12, seed=1)).means[:100])


def test_only_the_training_views_are_looked_at(photos: Photos) -> None:
    names = photos.cameras.names[1:]
    spoilt = Photos(cameras=photos.cameras, images=photos.images.clone(), alpha=None, valid=None)
    spoilt.images[0] = 255
    config = quick_fit(steps=12)
    assert same_bits(
        fit_gaussians(photos, train=names, config=config), fit_gaussians(spoilt, train=names, config=config)
    )


def test_invalid_pixels_take_no_part(photos: Photos) -> None:
    valid = torch.ones(photos.images.shape[:3], dtype=torch.bool)
    valid[:, :, :12] = False
    spoilt = photos.images.clone()
    spoilt[:, :, :12] = 255
    config = quick_fit(steps=12, ssim_weight=0.0)
    clean, dirty = (
        fit_gaussians(Photos(cameras=photos.cameras, images=images, alpha=None, valid=valid), config=config)
        for images in (photos.images, spoilt)
    )
    assert same_bits(clean, dirty)


def test_photos_with_alpha_are_fitted_on_white(photos: Photos) -> None:
    # pure white photos with alpha: nothing stands before the background, so opacities only fall
    white = Photos(
        cameras=photos.cameras,
        images=torch.full_like(photos.images, 255),
        alpha=torch.zeros(photos.images.shape[:3], dtype=torch.uint8),
        valid=None,
    )
    scene = fit_gaussians(white, config=quick_fit(steps=60, densifier="fixed"))
    scores = evaluate_views(scene, white, white.cameras.names, background=torch.ones(3))
    black = evaluate_views(scene, white, white.cameras.names, background=BLACK)
    assert mean_scores(scores)[0] > mean_scores(black)[0] + 6


def test_what_photos_show_is_solid_where_backgrounds_change() -> None:
    # Photos of nothing but black: on a black background empty space explains them, on changing ones only a surface.
    cameras = ring_cameras()
    photos = Photos(cameras=cameras, images=torch.zeros(6, 40, 40, 3, dtype=torch.uint8), alpha=None, valid=None)
    solid = {}
    for share in (0.0, 1.0):
        scene = fit_gaussians(photos, config=quick_fit(steps=120, random_background=share, sh_degree=0))
        solid[share] = float(render_views(scene, cameras).alpha.mean())
    assert solid[1.0] > 0.9
    assert solid[0.0] < solid[1.0] - 0.1


def test_backgrounds_change_for_opaque_photos_in_the_first_steps() -> None:
    config, behind = quick_fit(steps=10, random_background=0.5), torch.tensor([0.1, 0.2, 0.3])
    drawn = [background_of_step(step, config, behind, opaque=True) for step in range(10)]
    assert all(torch.equal(colour, behind) for colour in drawn[5:])
    assert len({tuple(colour.tolist()) for colour in drawn[:5]}) == 5
    assert torch.equal(drawn[3], background_of_step(3, config, behind, opaque=True))  # as after a resume
    assert torch.equal(background_of_step(0, config, behind, opaque=False), behind)


def test_a_single_view_can_be_fitted() -> None:
    one = known_photos(cameras=ring_cameras(1))
    scene = fit_gaussians(one, config=quick_fit(steps=30))
    assert torch.isfinite(scene.means).all()
    assert _psnr(scene, one) > _psnr(fit_gaussians(one, config=quick_fit(steps=1)), one)


def test_each_round_shows_every_view_once() -> None:
    for first in (0, 7, 14):
        assert sorted(view_of_step(step, 7, seed=3) for step in range(first, first + 7)) == list(range(7))
    rounds = {tuple(view_of_step(step, 7, seed=3) for step in range(first, first + 7)) for first in range(0, 70, 7)}
    assert len(rounds) == 10


def test_the_rate_of_the_means_by_hand() -> None:
    config = FitConfig(steps=101, rates=LearningRates(means=1e-3, means_final_factor=0.01))
    assert learning_rate_of_means(config, 2.0, 0) == pytest.approx(2e-3)
    assert learning_rate_of_means(config, 2.0, 50) == pytest.approx(2e-4)  # half way: the square root of 0.01
    assert learning_rate_of_means(config, 2.0, 100) == pytest.approx(2e-5)
    assert learning_rate_of_means(FitConfig(steps=1), 1.0, 0) == pytest.approx(1.6e-4)


def test_the_rate_of_the_means_is_used(photos: Photos) -> None:
    # a final factor of 0 leaves the means where the first step put them; every other value goes on learning
    config = quick_fit(steps=8, densifier="fixed", rates=LearningRates(means_final_factor=0.0))
    moved = fit_gaussians(photos, config=replace(config, steps=1))
    ended = fit_gaussians(photos, config=config)
    assert torch.equal(ended.means, moved.means)
    assert not torch.equal(ended.log_scales, moved.log_scales)


def test_no_training_views_are_refused(photos: Photos) -> None:
    with pytest.raises(InvalidInputError, match="expected at least one training view, found none"):
        fit_gaussians(photos, train=[], config=quick_fit())


def _bad_settings() -> Iterator[tuple[dict, str]]:
    yield {"steps": 0}, "found 0"
    yield {"sh_every": 0}, "found .*, 0,"
    yield {"checkpoint_every": 0}, "checkpoint_every"
    yield {"initial_count": 0}, "initial_count"
    yield {"sh_degree": 4}, "and 4"
    yield {"initial_opacity": 1.0}, "1.0"
    yield {"initial_opacity": float("nan")}, "nan"
    yield {"initial_scale": 0.0}, "initial_scale > 0"
    yield {"ssim_weight": 1.5}, "1.5"
    yield {"opacity_penalty": -0.1}, "FitConfig.opacity_penalty.*-0.1"
    yield {"seed": -1}, "seed.*-1"
    yield {"seed": 2**32}, "4294967296"
    yield {"background": (0.0, 255.0, 0.0)}, "255.0"
    yield {"rates": LearningRates(means=float("inf"))}, "FitConfig.rates.means.*inf"
    yield {"initial_count": 30_000}, "gaussian_cap of mcmc.*25000.*30000"
    yield {"densifier": "default", "initial_count": 11, "default": DefaultConfig(gaussian_cap=10)}, "of default.*10"
    yield {"mcmc": McmcConfig(noise_rate=float("nan"))}, "FitConfig.mcmc.noise_rate.*nan"


@pytest.mark.parametrize(("changes", "named"), list(_bad_settings()))
def test_settings_out_of_range_are_refused(changes: dict, named: str) -> None:
    with pytest.raises(InvalidInputError, match=f"(?s){named}") as caught:
        FitConfig(**changes)
    assert "expected" in str(caught.value)
    assert "found" in str(caught.value)
