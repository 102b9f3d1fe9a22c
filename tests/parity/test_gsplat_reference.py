"""Our CPU projection, tile lists and harmonics against gsplat's own torch reference functions (no GPU needed).

gsplat 1.4.0 cuts splats at a square of 3 sigma, 1.5.3 and we at an opacity-dependent extent per axis; so values are
compared on splats both keep, and radii are handed to gsplat's tile lister from our side.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.vision3d.rendering.splat_cases import random_case
from vision3d.rendering.cpu_renderer import CpuRenderer
from vision3d.rendering.gsplat_door import gsplat_version
from vision3d.rendering.renderer import RasterOptions, Splats
from vision3d.rendering.tile_lists import list_tiles

reference = pytest.importorskip("gsplat.cuda._torch_impl", reason="needs gsplat")


@pytest.mark.parametrize(("near", "far"), [(0.01, 1e10), (1.6, 3.1)])
def test_projection(near: float, far: float) -> None:
    case = random_case(0, count=400, options=RasterOptions(antialiased=True, near=near, far=far))
    width, height = case.cameras.uniform_size
    splats = Splats(
        means=case.means.float(), quats=case.quats.float(), scales=case.scales.float(), opacities=case.opacities.float()
    )
    ours = CpuRenderer().rasterize(splats, case.cameras, case.channels[:400].float(), options=case.options).projection
    covariances, _ = reference._quat_scale_to_covar_preci(splats.quats, splats.scales, True, False, triu=False)
    radii, means2d, depths, conics, compensations = reference._fully_fused_projection(
        splats.means, covariances, case.cameras.world_to_camera, case.cameras.intrinsics, width, height,
        eps2d=0.3, near_plane=near, far_plane=far, calc_compensations=True,
    )  # fmt: skip
    theirs = radii > 0 if radii.ndim == 2 else (radii > 0).all(-1)
    both = (ours.radii[..., 0] > 0) & theirs
    assert both.sum() > 200
    depth_alone = (ours.radii[..., 0] > 0) & ((depths < near) | (depths > far))
    assert not depth_alone.any()
    assert (ours.means2d - means2d)[both].abs().max() < 2e-3  # pixels, far outside the image too
    assert ((ours.conics - conics)[both].abs() / (1e-3 + conics[both].abs())).max() < 1e-2
    assert (ours.depths - depths)[both].abs().max() < 1e-5
    assert (ours.opacities - splats.opacities * compensations)[both].abs().max() < 1e-4


def test_tile_lists() -> None:
    case = random_case(1, count=80, views=1)
    width, height = case.cameras.uniform_size
    splats = Splats(
        means=case.means.float(), quats=case.quats.float(), scales=case.scales.float(), opacities=case.opacities.float()
    )
    projection = CpuRenderer().rasterize(splats, case.cameras, case.channels.float()).projection
    tiles_x, tiles_y = -(-width // 16), -(-height // 16)
    square = projection.radii.amax(-1)
    arrays = [value[0].detach().numpy() for value in (projection.means2d, projection.depths, projection.conics)]
    radii = np.repeat(square[0].numpy()[:, None], 2, 1).astype(np.int32)
    mine = list_tiles(
        arrays[0], radii, arrays[1], arrays[2], projection.opacities[0].numpy(), width=width, height=height, cull=False
    )
    given = square if _takes_one_radius() else torch.from_numpy(radii)[None]
    _, ids, flat = reference._isect_tiles(
        projection.means2d.detach(), given, projection.depths.detach(), 16, tiles_x, tiles_y
    )
    offsets = [*reference._isect_offset_encode(ids, 1, tiles_x, tiles_y).flatten().tolist(), len(flat)]
    assert offsets == mine.offsets.tolist()
    assert flat.tolist() == mine.entries.tolist()


def _takes_one_radius() -> bool:
    return str(gsplat_version()).startswith("1.4")


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_harmonics(degree: int) -> None:
    generator = torch.Generator().manual_seed(degree)
    means, sh = torch.randn(200, 3, generator=generator), torch.randn(200, 16, 3, generator=generator)
    ours = CpuRenderer().sh_to_colours(sh, means, torch.zeros(1, 3), degree=degree)[0]
    theirs = reference._spherical_harmonics(degree, means, sh)
    assert (ours - (theirs + 0.5).clamp_min(0)).abs().max() < 1e-5
