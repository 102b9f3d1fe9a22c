"""What taking a scene apart costs: `python -m benchmarks.laga_engines [--curve]`.

First the embedded tabletop at 20k Gaussians, 48 views of 256 px, masks and mask features given: seconds of both
engines, of a warm text query with its mask, peak memory and the size of the saved file. With `--curve` also 10k, 50k
and 200k Gaussians and 25, 50 and 100 views: the tabletop with its Gaussians split or thinned, seen from cameras between
its own, with the masks of its objects as these cameras see them.
"""

from __future__ import annotations

import argparse
import math
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.language_queries import Prepared, features_of, masks_of, prepare
from vision3d.cameras.camera_batch import CameraBatch
from vision3d.laga.laga_scene import LagaScene, laga_path_of, save_laga_scene
from vision3d.laga.object_looks import Looks, describe_by_looks
from vision3d.laga.query_scene import SceneQueries
from vision3d.laga.train_config import ENGINES, TrainLagaConfig
from vision3d.laga.train_laga import train_laga
from vision3d.language.catalogue import load_encoder
from vision3d.language.mask_features import MaskFeatures
from vision3d.masks.view_masks import ViewMasks
from vision3d.rendering.catalogue import choose_renderer
from vision3d.rendering.render_views import splats_of
from vision3d.scene.catalogue import write_splats
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.selection import select_gaussians

_GAUSSIANS, _VIEWS = (10_000, 50_000, 200_000), (25, 50, 100)
_QUERIES = 20


def with_count(scene: GaussianScene, count: int, seed: int = 0) -> GaussianScene:
    """The scene with `count` Gaussians: a random part of them, or each split into smaller ones inside itself."""
    generator = torch.Generator().manual_seed(seed)
    if count <= len(scene):
        return select_gaussians(scene, torch.randperm(len(scene), generator=generator)[:count].sort().values)
    rows = torch.arange(count) % len(scene)
    many = select_gaussians(scene, rows)
    spread = many.scales * torch.randn(count, 3, generator=generator) * 0.4
    smaller = many.log_scales - 0.5 * math.log(count / len(scene))
    return replace(many, means=many.means + spread, log_scales=smaller)


def between(cameras: CameraBatch, count: int) -> CameraBatch:
    """`count` cameras: the given ones, then ones moved a little aside from them."""
    rows = torch.arange(count) % len(cameras)
    rounds = torch.div(torch.arange(count), len(cameras), rounding_mode="floor")
    matrices = cameras.world_to_camera[rows].clone()
    matrices[:, 0, 3] += 0.04 * rounds
    return CameraBatch(
        world_to_camera=matrices,
        intrinsics=cameras.intrinsics[rows],
        image_sizes=cameras.image_sizes[rows],
        names=tuple(f"view_{row:04d}" for row in range(count)),
    )


def masks_seen(scene: GaussianScene, owner: Tensor, cameras: CameraBatch) -> ViewMasks:
    """Label maps of the objects as the cameras see them: the object that paints most of each pixel."""
    one_hot = torch.nn.functional.one_hot(owner.clamp(min=0), int(owner.max()) + 1).float() * (owner >= 0)[:, None]
    maps = []
    for name in cameras.names:
        painted = choose_renderer("cpu").rasterize(splats_of(scene), cameras.select([name]), one_hot).channels[0]
        maps.append(torch.where(painted.amax(-1) > 0.3, painted.argmax(-1), -1))
    labels = torch.stack(maps)[:, None].to(torch.int16).numpy()
    return ViewMasks(labels=labels, view_names=cameras.names, level_names=("m",), source="rendered")


def table_of(masks: ViewMasks, dim: int) -> MaskFeatures:
    """Random vectors of all masks: nothing here depends on what they are."""
    rows = [
        (view, 0, int(number))
        for view in range(len(masks.view_names))
        for number in torch.from_numpy(masks.labels[view, 0].astype("int64")).unique()
        if number >= 0
    ]
    view, level, number = torch.tensor(rows).T
    vectors = torch.randn(len(rows), dim, generator=torch.Generator().manual_seed(0))
    unit = torch.nn.functional.normalize(vectors, dim=-1)
    return MaskFeatures(vectors=unit, view=view, level=level, number=number, encoder_id="random")


def seconds_of(task: Callable[[], LagaScene]) -> tuple[float, float, LagaScene]:
    """Wall and processor time of one call, and what it made; on a crowded machine the second is the steadier one."""
    started, used = time.perf_counter(), time.process_time()
    made = task()
    return time.perf_counter() - started, time.process_time() - used, made


def warm_up(prepared: Prepared, masks: ViewMasks, features: MaskFeatures) -> None:
    """Both engines once on 2,000 Gaussians and four views: imports and compiled kernels are nobody's work."""
    some = masks.view_names[:4]
    few = ViewMasks(
        labels=np.asarray(masks.labels[:4]), view_names=some, level_names=masks.level_names, source=masks.source
    )
    rows = (features.view < 4).nonzero().flatten()
    own = {name: getattr(features, name)[rows] for name in ("vectors", "view", "level", "number")}
    scene = with_count(prepared.scene, 2000)
    for engine in ENGINES:
        train_laga(
            scene,
            prepared.photos.cameras,
            few,
            replace(features, **own),
            config=TrainLagaConfig(engine=engine),  # type: ignore[arg-type]
        )


def _embedded() -> tuple[Prepared, LagaScene]:
    prepared, encoder = prepare("tabletop"), load_encoder("embedded")
    prepared = replace(prepared, scene=with_count(prepared.scene, 20_000))
    masks = masks_of(prepared, "contours")
    features = features_of(prepared, masks, encoder)
    cameras = prepared.photos.cameras
    print(f"{len(prepared.scene)} Gaussians, {len(masks.view_names)} views, {len(features)} masks on 3 levels")
    print(
        "| engine | seconds | processor, s | looks, s | objects | file MB | query with mask, ms | peak RSS so far, GB |"
    )
    print("|---|---|---|---|---|---|---|---|")
    warm_up(prepared, masks, features)
    rows = [cameras.names.index(view) for view in masks.view_names]
    looks = Looks(images=prepared.photos.images[rows], encoder=encoder)
    made: list[LagaScene] = []
    for engine in ENGINES:
        config = TrainLagaConfig(engine=engine)  # type: ignore[arg-type]
        seconds, used, laga = seconds_of(
            lambda c=config: train_laga(prepared.scene, cameras, masks, features, config=c)
        )
        described, _, laga = seconds_of(
            lambda one=laga: describe_by_looks(one, cameras.select(masks.view_names), looks)  # type: ignore[misc]
        )
        queries = SceneQueries(laga, encoder)
        queries.masks(queries.text("red mug"), cameras.select(cameras.names[:1]))
        started = time.perf_counter()
        for _ in range(_QUERIES):
            queries.masks(queries.text("red mug"), cameras.select(cameras.names[:1]))
        query = (time.perf_counter() - started) / _QUERIES
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        row = (
            engine,
            f"{seconds:.1f}",
            f"{used:.1f}",
            f"{described:.1f}",
            laga.object_count,
            f"{_megabytes(laga):.2f}",
            f"{1000 * query:.0f}",
            f"{peak:.2f}",
        )
        print("| " + " | ".join(str(value) for value in row) + " |", flush=True)
        made.append(laga)
    return prepared, made[0]


def _megabytes(laga: LagaScene) -> float:
    with tempfile.TemporaryDirectory() as folder:
        splats = Path(folder) / "scene.ply"
        write_splats(laga.scene, splats)
        save_laga_scene(laga, laga_path_of(splats), splats=splats)
        return laga_path_of(splats).stat().st_size / 1e6


def _curve(prepared: Prepared, laga: LagaScene) -> None:
    print("\n| Gaussians | views | lift, processor s | trained, processor s | ratio |\n|---|---|---|---|---|")
    level = len(laga.level_names) // 2
    for count in _GAUSSIANS:
        scene = with_count(prepared.scene, count)
        owner = _nearest_owner(scene.means, prepared.scene.means, laga.gaussian_object[level])
        for views in _VIEWS:
            cameras = between(prepared.photos.cameras, views)
            masks = masks_seen(scene, owner, cameras)
            table = table_of(masks, 32)
            spent = []
            for engine in ENGINES:
                config = TrainLagaConfig(engine=engine)  # type: ignore[arg-type]
                spent.append(seconds_of(partial(train_laga, scene, cameras, masks, table, config=config))[1])
            print(f"| {count} | {views} | {spent[0]:.1f} | {spent[1]:.1f} | {spent[1] / spent[0]:.1f} |", flush=True)


def _nearest_owner(means: Float[Tensor, "gaussian 3"], known: Float[Tensor, "known 3"], owner: Tensor) -> Tensor:
    from scipy.spatial import KDTree

    return owner[torch.from_numpy(KDTree(known.numpy()).query(means.numpy())[1])]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curve", action="store_true")
    asked = parser.parse_args()
    prepared, laga = _embedded()
    if asked.curve:
        _curve(prepared, laga)


if __name__ == "__main__":
    main()
