"""What every densifier must do, whichever it is. New members of DENSIFIERS are tested by being listed there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.vision3d.reconstruction.known_scenes import known_photos, quick_fit
from vision3d.cameras.posed_photos import Photos
from vision3d.errors import InvalidInputError
from vision3d.reconstruction.densification.catalogue import DENSIFIERS, make_densifier
from vision3d.reconstruction.densification.default import DefaultConfig
from vision3d.reconstruction.densification.densifier import Densifier, DensifyStep
from vision3d.reconstruction.densification.mcmc import McmcConfig
from vision3d.reconstruction.fit_checkpoint import FitProgress, load_progress, save_progress
from vision3d.reconstruction.fit_config import FitConfig
from vision3d.reconstruction.fit_gaussians import fit_gaussians
from vision3d.reconstruction.initial_scene import initial_scene
from vision3d.reconstruction.splat_parameters import LearningRates, make_optimisers, parameters_of, scene_of
from vision3d.rendering.render_views import render_views
from vlm_bridge.runs.run_folder import RunFolder, create_run

pytest.importorskip("gsplat", reason="needs gsplat")

RATES = LearningRates()
CONFIGS = (
    McmcConfig(gaussian_cap=230, every=4, start=0.0, stop=1.0),
    DefaultConfig(gaussian_cap=5000, every=4, start=0.0, stop=1.0, grow_gradient=1e-6),
)


@pytest.fixture(params=list(DENSIFIERS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def photos() -> Photos:
    return known_photos()


def _make(name: str) -> Densifier:
    return make_densifier(name, CONFIGS, steps=100, seed=0, scene_scale=3.3)


def _start(photos: Photos, sh_degree: int) -> FitProgress:
    scene = initial_scene(None, photos.cameras, count=200, sh_degree=sh_degree, opacity=0.5, scale_factor=0.5, seed=0)
    parameters = parameters_of(scene)
    optimisers = make_optimisers(parameters, RATES, 3.3)
    return FitProgress(step=0, parameters=parameters, optimisers=optimisers, densifier={})


def _advance(progress: FitProgress, densifier: Densifier, photos: Photos, first: int, last: int) -> None:
    for step in range(first, last):
        row = step % len(photos.cameras)
        view = photos.cameras.select([photos.cameras.names[row]])
        rendered = render_views(scene_of(progress.parameters), view)
        if densifier.needs_means2d_gradient:
            rendered.projection.means2d.retain_grad()
        (rendered.colour - photos.images[row : row + 1].float() / 255).abs().mean().backward()
        width, height = view.uniform_size
        at = DensifyStep(step=step, means_rate=1e-4, projection=rendered.projection, width=width, height=height)
        densifier.after_backward(progress.parameters, progress.optimisers, at)
        for optimiser in progress.optimisers.values():
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        densifier.after_step(progress.parameters, progress.optimisers, at)


def test_members_satisfy_the_protocol(name: str) -> None:
    assert isinstance(_make(name), Densifier)


@pytest.mark.parametrize("sh_degree", [0, 1])
def test_parameters_and_moments_stay_in_step(name: str, sh_degree: int, photos: Photos) -> None:
    progress, densifier = _start(photos, sh_degree), _make(name)
    counts = set()
    for step in range(10):
        _advance(progress, densifier, photos, step, step + 1)
        counts.add(len(progress.parameters["means"]))
        for key, parameter in progress.parameters.items():
            assert len(parameter) == len(progress.parameters["means"])
            if parameter.numel() == 0:
                continue
            assert progress.optimisers[key].param_groups[0]["params"][0] is parameter
            assert list(progress.optimisers[key].state) == [parameter]
            state = progress.optimisers[key].state[parameter]
            assert state["exp_avg"].shape == state["exp_avg_sq"].shape == parameter.shape
    assert (len(counts) == 1) == (name == "fixed")
    assert all(torch.isfinite(parameter).all() for parameter in progress.parameters.values())


def test_a_checkpoint_in_the_middle_changes_nothing(name: str, photos: Photos, tmp_path: Path) -> None:
    through, densifier = _start(photos, 1), _make(name)
    _advance(through, densifier, photos, 0, 7)  # between two changes at 4 and 8
    run = create_run(tmp_path / "run", FitConfig())
    save_progress(run, through, densifier, 7)
    _advance(through, densifier, photos, 7, 13)
    resumed = load_progress(RunFolder(path=run.path), RATES, 3.3, torch.device("cpu"))
    assert resumed is not None
    assert resumed.step == 7
    again = _make(name)
    again.load_state(resumed.densifier)
    torch.rand(5)  # a new process has another global random state
    _advance(resumed, again, photos, 7, 13)
    for key, parameter in through.parameters.items():
        assert torch.equal(parameter, resumed.parameters[key]), key


def test_a_whole_fit_runs_under_it(name: str, photos: Photos) -> None:
    config = quick_fit(densifier=name, mcmc=CONFIGS[0], default=CONFIGS[1], sh_degree=0, steps=15)
    scene = fit_gaussians(photos, config=config)
    assert scene.device == torch.device("cpu")
    assert torch.isfinite(scene.means).all()
    assert not scene.means.requires_grad
    assert len(scene) == 200 if name == "fixed" else len(scene) != 200


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="Choose one"):
        make_densifier("magic", CONFIGS, steps=10, seed=0, scene_scale=1.0)
