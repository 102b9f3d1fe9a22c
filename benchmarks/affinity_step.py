"""What the trained engine costs, stage by stage.

`python -m benchmarks.affinity_step [GAUSSIANS VIEWS]` prints seconds per stage for masks in three levels at 256 x 256
(cells of the world, so that all views agree), and milliseconds per step with sampled pixels, with all pixels, and with
trained opacities, which need the rasteriser.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from benchmarks.benchmark_scenes import arc_of_cameras, surface_scene
from benchmarks.timing import describe_threads
from vision3d.cameras.camera_batch import CameraBatch
from vision3d.laga.affinity_config import AffinityConfig
from vision3d.laga.frozen_views import FrozenViews
from vision3d.laga.group_prototypes import assign_gaussians, group_prototypes
from vision3d.laga.prototypes import mask_prototypes
from vision3d.laga.train_affinity import frozen_views, train_affinity
from vision3d.laga.trained_objects import masked_shares
from vision3d.language.mask_features import MaskFeatures
from vision3d.masks.view_masks import ViewMasks
from vision3d.rendering.cpu_renderer import CpuRenderer
from vision3d.rendering.render_views import splats_of
from vision3d.scene.gaussian_scene import GaussianScene

_SIDE = 256
_CELL_SIZES = (0.4, 0.8, 1.6)
_STEPS_TIMED = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    scene: GaussianScene
    cameras: CameraBatch
    masks: ViewMasks
    table: MaskFeatures


def _case(gaussian_count: int, view_count: int) -> _Case:
    scene = surface_scene(gaussian_count, sh_degree=0)
    cameras = arc_of_cameras(view_count, _SIDE, _SIDE)
    maps, places = [], []
    cells = [_cells(scene.means, size) for size in _CELL_SIZES]
    for view, name in enumerate(cameras.names):
        top = CpuRenderer().top_contributors(splats_of(scene), cameras.select([name]), k=1).gaussians[0, :, :, 0].long()
        levels = []
        for level, cell in enumerate(cells):
            seen = torch.where(top >= 0, cell[top.clamp_min(0)], -1)
            values, labels = torch.unique(seen, return_inverse=True)
            labels = labels - int(values[0] < 0)
            levels.append(labels.numpy())
            places += [(view, level, number) for number in range(int(labels.max()) + 1)]
        maps.append(np.stack(levels))
    masks = ViewMasks(
        labels=np.stack(maps).astype(np.int16), view_names=cameras.names, level_names=("s", "m", "l"), source="cells"
    )
    view, level, number = torch.tensor(places).T
    table = MaskFeatures(vectors=torch.ones(len(places), 1), view=view, level=level, number=number, encoder_id="none")
    return _Case(scene=scene, cameras=cameras, masks=masks, table=table)


def _cells(means: Tensor, size: float) -> Tensor:
    return torch.unique(torch.floor(means / size), dim=0, return_inverse=True)[1]


def _timed(title: str, work: Callable[[], object]) -> object:
    start = time.perf_counter()
    result = work()
    print(f"{title:46}{time.perf_counter() - start:8.2f} s")
    return result


def _step_time(case: _Case, config: AffinityConfig, views: FrozenViews | None) -> float:
    def run(steps: int) -> float:
        start = time.perf_counter()
        train_affinity(case.scene, case.cameras, case.masks, config=replace(config, steps=steps), views=views)
        return time.perf_counter() - start

    run(1)  # compiles what is not compiled yet
    return 1e3 * (run(_STEPS_TIMED + 1) - run(1)) / _STEPS_TIMED


def main() -> None:
    """Print the stages, then the steps."""
    counts = [int(word) for word in sys.argv[1:]] or [20_000, 48]
    case, config = _case(*counts), AffinityConfig()
    print(describe_threads())
    print(f"{counts[0]} Gaussians, {counts[1]} views of {_SIDE} x {_SIDE}, {len(case.table)} masks in three levels")
    views = frozen_views(case.scene, case.cameras, config, None)
    _timed("blending weights of all views", lambda: [views.weights(view) for view in range(len(views))])
    field = train_affinity(case.scene, case.cameras, case.masks, config=replace(config, steps=1), views=views)
    start = time.perf_counter()
    field = train_affinity(case.scene, case.cameras, case.masks, config=config, views=views)
    print(f"{f'training, {config.steps} steps':46}{time.perf_counter() - start:8.2f} s")
    least = config.least_pixels(_SIDE, _SIDE)
    start = time.perf_counter()
    prototypes = mask_prototypes(field, views, case.masks, case.table, minimum_pixels=least)
    print(f"{'prototypes':46}{time.perf_counter() - start:8.2f} s")
    start = time.perf_counter()
    groups = group_prototypes(prototypes, case.table.level, level_count=3, view_count=len(views))
    print(f"{f'grouping into {len(groups.object_level)} objects':46}{time.perf_counter() - start:8.2f} s")
    _timed("Gaussians to objects", lambda: (assign_gaussians(field, groups), masked_shares(views, case.masks)))
    for title, settings in (
        ("4,096 pixels", {}),
        ("all pixels", {"pixels_per_step": None}),
        ("4,096 pixels, trained opacities", {"train_opacity": True}),
    ):
        changed = replace(config, **settings)
        print(f"{f'one step, {title}':46}{_step_time(case, changed, views):8.1f} ms")


if __name__ == "__main__":
    main()
