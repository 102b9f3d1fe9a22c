"""What every renderer must do, whichever it is. New members of RENDERERS are tested by being listed there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.vision3d.rendering.splat_cases import Case, cameras, random_case, relative_error, render
from vision3d.cameras.camera_batch import CameraBatch
from vision3d.errors import InvalidInputError
from vision3d.rendering.catalogue import RENDERERS, choose_renderer, say_once
from vision3d.rendering.checks import check_label_map, check_raster_inputs
from vision3d.rendering.dense_renderer import DenseRenderer
from vision3d.rendering.render_views import render_views
from vision3d.rendering.renderer import RasterOptions, Renderer, Splats
from vision3d.scene.gaussian_scene import GaussianScene

Make = Callable[..., Case]
MEMBERS = [pytest.param(name, marks=pytest.mark.gpu if name == "gsplat" else ()) for name in RENDERERS]


def _splats(case: Case) -> Splats:
    return Splats(
        means=case.means.float(), quats=case.quats.float(), scales=case.scales.float(), opacities=case.opacities.float()
    )


@pytest.fixture(params=MEMBERS)
def renderer(request: pytest.FixtureRequest) -> Renderer:
    return RENDERERS[request.param]()


@pytest.fixture
def device(renderer: Renderer) -> torch.device:
    """Where the renderer can work."""
    return torch.device("cuda" if renderer.name == "gsplat" else "cpu")


@pytest.fixture
def make_case(device: torch.device) -> Make:
    """`random_case` on the device of the renderer."""

    def make(seed: int, **settings) -> Case:
        case = random_case(seed, **settings)
        placed = {
            name: value.to(device) for name, value in case.__dict__.items() if isinstance(value, Tensor | CameraBatch)
        }
        return Case(**{**case.__dict__, **placed})

    return make


def _loosely(renderer: Renderer) -> bool:
    """gsplat cuts splats at 3 standard deviations, the others at 3.33: single samples differ by a threshold step."""
    return renderer.name == "gsplat"


def test_shapes_and_ranges(renderer: Renderer, make_case: Make) -> None:
    case = make_case(0)
    out = renderer.rasterize(_splats(case), case.cameras, case.channels.float(), with_depth=True)
    width, height = case.cameras.uniform_size
    assert out.channels.shape == (2, height, width, 3)
    assert out.depth is not None
    assert out.depth.shape == out.alpha.shape == (2, height, width)
    assert out.projection.means2d.shape == (2, 60, 2)
    assert out.projection.radii.shape == (2, 60, 2)
    assert float(out.alpha.min()) >= 0
    assert float(out.alpha.max()) <= 1


@pytest.mark.parametrize("antialiased", [False, True])
def test_rows_that_are_not_drawn_hold_zeros(renderer: Renderer, make_case: Make, antialiased: bool) -> None:
    case = make_case(6)
    options = RasterOptions(near=2.0, antialiased=antialiased)
    splats, channels = _splats(case), case.channels.float()
    projection = renderer.rasterize(splats, case.cameras, channels, options=options).projection
    hidden = projection.radii[..., 0] == 0
    assert hidden.any()
    assert not hidden.all()
    assert torch.equal(hidden, projection.radii[..., 1] == 0)
    for values in (projection.depths, projection.opacities, projection.means2d, projection.conics):
        assert not values[hidden].any()
    assert (projection.depths[~hidden] >= 2.0).all()


def test_a_scene_without_gaussians_is_background(renderer: Renderer, make_case: Make, device: torch.device) -> None:
    case = make_case(7, count=0)
    background = torch.tensor([0.1, 0.2, 0.3], device=device)
    out = renderer.rasterize(_splats(case), case.cameras, torch.zeros(0, 3, device=device), background=background)
    assert torch.equal(out.channels, background.expand_as(out.channels))
    (weights, _) = renderer.blending_weights(_splats(case), case.cameras)
    assert weights.row_offsets[-1] == 0
    top = renderer.top_contributors(_splats(case), case.cameras, k=2)
    assert (top.gaussians == -1).all()
    assert not top.weights.any()


def test_it_agrees_with_the_reference(renderer: Renderer, make_case: Make) -> None:
    found, found_gradients = render(renderer, make_case(1, with_depth=True), torch.float32)
    truth, true_gradients = render(DenseRenderer(), random_case(1, with_depth=True), torch.float64)
    difference = (found.channels.cpu() - truth.channels).abs()
    if _loosely(renderer):
        assert difference.mean() < 1e-4
        assert (difference > 1e-2).float().mean() < 1e-3
    else:
        assert difference.max() < 1e-4
    allowed = 2e-2 if _loosely(renderer) else 1e-3
    for key, gradient in true_gradients.items():
        assert relative_error(found_gradients[key].cpu(), gradient) < allowed, key


def test_labels_and_top_contributors(renderer: Renderer, make_case: Make, device: torch.device) -> None:
    case, reference = make_case(2, views=1), random_case(2, views=1)
    width, height = case.cameras.uniform_size
    labels = (torch.arange(width * height) % 3 - 1).view(1, height, width)
    found = renderer.label_weights(_splats(case), case.cameras, labels.to(device), label_count=2)
    truth = DenseRenderer().label_weights(_splats(reference), reference.cameras, labels, label_count=2)
    allowed = 2e-2 if _loosely(renderer) else 1e-4
    assert relative_error(found.per_label.cpu(), truth.per_label) < allowed
    assert relative_error(found.total.cpu(), truth.total) < allowed
    top = renderer.top_contributors(_splats(case), case.cameras, k=2)
    true_top = DenseRenderer().top_contributors(_splats(reference), reference.cameras, k=2)
    swapped = (top.gaussians.cpu() != true_top.gaussians).float().mean()
    assert swapped < (1e-2 if _loosely(renderer) else 1e-3)  # near ties may swap
    difference = (top.weights.cpu() - true_top.weights).abs()
    assert (difference.mean() < 1e-3) if _loosely(renderer) else (difference.max() < 1e-4)


def test_one_splat_worked_by_hand(renderer: Renderer, device: torch.device) -> None:
    # sigma 0.2 at depth 2 with focal 10: variance (10 * 0.2 / 2)^2 + 0.3 = 1.3 pixels^2 around pixel (2.5, 2.5)
    camera = CameraBatch(
        world_to_camera=torch.eye(4)[None],
        intrinsics=torch.tensor([[[10.0, 0, 2.5], [0, 10.0, 2.5], [0, 0, 1]]]),
        image_sizes=torch.tensor([[5, 5]]),
        names=("front",),
    ).to(device)
    splats = Splats(
        means=torch.tensor([[0.0, 0, 2]], device=device),
        quats=torch.tensor([[1.0, 0, 0, 0]], device=device),
        scales=torch.full((1, 3), 0.2, device=device),
        opacities=torch.tensor([0.8], device=device),
    )
    white, grey = torch.tensor([[1.0]], device=device), torch.tensor([0.5], device=device)
    out = renderer.rasterize(splats, camera, white, background=grey, with_depth=True)
    centre, beside = 0.8, 0.8 * float(torch.exp(torch.tensor(-1 / 2.6)))
    assert float(out.alpha[0, 2, 2]) == pytest.approx(centre, abs=1e-5)
    assert float(out.alpha[0, 2, 3]) == pytest.approx(beside, abs=1e-5)
    assert float(out.channels[0, 2, 2, 0]) == pytest.approx(centre + 0.2 * 0.5, abs=1e-5)
    assert out.depth is not None
    assert float(out.depth[0, 2, 2]) == pytest.approx(2 * centre, abs=1e-5)


def test_harmonics_of_degree_zero_are_a_plain_colour(renderer: Renderer, device: torch.device) -> None:
    scene = GaussianScene(
        means=torch.tensor([[0.0, 0, 2]]),
        quats=torch.tensor([[1.0, 0, 0, 0]]),
        log_scales=torch.full((1, 3), -1.0),
        opacity_logits=torch.tensor([2.0]),
        sh=torch.tensor([[[0.5, -5.0, 0.0]]]),
    ).to(device)
    centres = torch.zeros(1, 3, device=device)
    colours = renderer.sh_to_colours(scene.sh, scene.means, centres, degree=0)
    assert colours[0, 0].tolist() == pytest.approx([0.5 + 0.5 * 0.28209479, 0.0, 0.5])


@pytest.mark.parametrize("name", RENDERERS)  # refused before a device is needed, so without the gpu mark
@pytest.mark.parametrize("degree", [-1, 2, 4])
def test_a_degree_without_coefficients_is_refused(name: str, degree: int) -> None:
    with pytest.raises(InvalidInputError, match=f"found degree {degree} and 4 coefficients"):
        RENDERERS[name]().sh_to_colours(torch.zeros(1, 4, 3), torch.zeros(1, 3), torch.zeros(1, 3), degree=degree)


BAD_INPUTS = {
    "channels of other Gaussians": {"channels": torch.zeros(59, 3)},
    "no channels": {"channels": torch.zeros(60, 0)},
    "background of other width": {"background": torch.zeros(4)},
    "integer means": {"means": torch.zeros(60, 3, dtype=torch.long)},
    "scales of other Gaussians": {"scales": torch.ones(59, 3)},
    "channels of other views": {"channels": torch.zeros(3, 60, 3)},
    "integer channels": {"channels": torch.zeros(60, 3, dtype=torch.long)},
    "integer background": {"background": torch.zeros(3, dtype=torch.uint8)},
    "background of other views": {"background": torch.zeros(3, 3)},
    "scales on another device": {"scales": torch.ones(60, 3, device="meta")},
    "channels on another device": {"channels": torch.zeros(60, 3, device="meta")},
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_input_is_refused(name: str) -> None:
    # straight to the check: in tests the shape annotations of the renderers would catch these first
    case = random_case(3)
    change = BAD_INPUTS[name]
    splats = _splats(case)
    for field in ("means", "scales"):
        if field in change:
            object.__setattr__(splats, field, change[field])
    with pytest.raises(InvalidInputError, match=r"(?s)expected .* found"):
        check_raster_inputs(splats, case.cameras, change.get("channels", torch.zeros(60, 3)), change.get("background"))


def test_views_of_mixed_sizes_are_refused(renderer: Renderer, make_case: Make) -> None:
    case = make_case(4)
    mixed = CameraBatch(
        world_to_camera=case.cameras.world_to_camera,
        intrinsics=case.cameras.intrinsics,
        image_sizes=torch.tensor([[56, 41], [57, 41]]),
        names=case.cameras.names,
    )
    with pytest.raises(InvalidInputError, match="one size"):
        renderer.rasterize(_splats(case), mixed, case.channels.float())


def test_bad_labels_and_k_are_refused(renderer: Renderer, make_case: Make, device: torch.device) -> None:
    case = make_case(5, views=1)
    width, height = case.cameras.uniform_size
    labels = torch.full((1, height, width), 2, device=device)
    with pytest.raises(InvalidInputError, match=r"-1\.\.1"):
        renderer.label_weights(_splats(case), case.cameras, labels, label_count=2)
    with pytest.raises(InvalidInputError, match="shape"):
        check_label_map(torch.zeros(1, 3, width, dtype=torch.long), case.cameras, 2)
    with pytest.raises(InvalidInputError, match="integers"):
        check_label_map(torch.zeros(1, height, width), case.cameras, 2)
    with pytest.raises(InvalidInputError, match="label_count"):
        check_label_map(torch.full((1, height, width), -1), case.cameras, 0)
    with pytest.raises(InvalidInputError, match=r"-2\.\.-2"):
        check_label_map(torch.full((1, height, width), -2), case.cameras, 2)
    with pytest.raises(InvalidInputError, match="k of at least 1"):
        renderer.top_contributors(_splats(case), case.cameras, k=0)


def test_features_must_fit_the_scene() -> None:
    scene = GaussianScene(
        means=torch.zeros(2, 3),
        quats=torch.ones(2, 4),
        log_scales=torch.zeros(2, 3),
        opacity_logits=torch.zeros(2),
        sh=torch.zeros(2, 1, 3),
    )
    with pytest.raises(InvalidInputError, match="one row per Gaussian"):
        render_views(scene, cameras(1), features=torch.zeros(3, 8))


def test_choosing_a_renderer(caplog: pytest.LogCaptureFixture) -> None:
    say_once.cache_clear()
    with caplog.at_level("INFO"):
        assert choose_renderer("cpu").name == "cpu"
    assert "renderer: cpu" in caplog.text
    with pytest.raises(InvalidInputError, match="gsplat"):
        choose_renderer("cpu", "gsplat")
    with pytest.raises(InvalidInputError, match="Choose one"):
        choose_renderer("cpu", "vulkan")
