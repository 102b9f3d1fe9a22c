"""How close meshes of things come to the truth: `python -m benchmarks.object_meshes [--scenes tabletop 900001 ...]`.

Each thing's Gaussians are fused into a mesh (`vision3d.export.fuse_mesh`) and compared with the mesh the photos were
rendered from. All figures are shares of the diagonal of the true mesh's box, in percent:

- accuracy: mean distance from the fused surface to the true surface, all of it;
- completeness: mean distance from the true surface to the fused one, over those true points that at least one training
  camera sees, with everything that stands in front of them; what no photo shows cannot be reconstructed;
- chamfer: the mean of both. Bar: 3 %;
- whole: the same with all true points in the completeness, undersides and insides included.

Gaussians are chosen by the true instances (see `true_selections`), or by the things' names in a trained scene: `--laga
FILE`, whose splats must be the same fit.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import trimesh
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.spatial import cKDTree
from torch import Tensor

from benchmarks.language_queries import prepare
from benchmarks.true_selections import true_meshes, true_owners
from vision3d.cameras.camera_batch import CameraBatch
from vision3d.export.fuse_mesh import fuse_mesh
from vision3d.export.mesh_config import MeshConfig
from vision3d.laga.laga_scene import load_laga_scene
from vision3d.laga.query_scene import SceneQueries
from vision3d.language.catalogue import load_encoder
from vision3d.scene.selection import select_gaussians

_BAR_PERCENT = 3.0
_POINTS, _DENSE_POINTS = 4000, 60_000
_SEEN_WITHIN_M = 5e-4
_COLUMNS = (
    "scene", "thing", "diagonal cm", "Gaussians", "seen", "accuracy %", "completeness %", "chamfer %",
    "whole %", "seconds",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshScore:
    """Distances as percent of the true diagonal."""

    seen: float
    """Share 0-1 of the true surface that a training camera sees."""
    accuracy: float
    completeness: float
    whole_completeness: float

    @property
    def chamfer(self) -> float:
        """Mean of accuracy and completeness over what is seen."""
        return (self.accuracy + self.completeness) / 2

    @property
    def whole(self) -> float:
        """Mean of accuracy and completeness over everything."""
        return (self.accuracy + self.whole_completeness) / 2


def seen_points(
    points: Float[ndarray, "point 3"], everything: trimesh.Trimesh, cameras: CameraBatch
) -> Bool[ndarray, " point"]:
    """Points that a camera has in its picture with nothing in front."""
    seen = np.zeros(len(points), bool)
    width, height = cameras.uniform_size
    for pose, matrix in zip(cameras.world_to_camera.double().numpy(), cameras.intrinsics.double().numpy(), strict=True):
        local = points @ pose[:3, :3].T + pose[:3, 3]
        pixels = local @ matrix.T
        pixels = pixels[:, :2] / np.maximum(pixels[:, 2:], 1e-9)
        inside = (local[:, 2] > 0) & (pixels >= 0).all(1) & (pixels < [width, height]).all(1) & ~seen
        eye = -pose[:3, :3].T @ pose[:3, 3]
        rows = np.flatnonzero(inside)
        offsets = points[rows] - eye
        distances = np.linalg.norm(offsets, axis=1)
        starts = np.broadcast_to(eye, offsets.shape)
        places, rays, _ = everything.ray.intersects_location(starts, offsets / distances[:, None], multiple_hits=False)
        first = np.full(len(rows), np.inf)
        first[rays] = np.linalg.norm(places - eye, axis=1)
        seen[rows] |= first > distances - _SEEN_WITHIN_M
    return seen


def score(
    fused: trimesh.Trimesh, truth: trimesh.Trimesh, everything: trimesh.Trimesh, cameras: CameraBatch
) -> MeshScore:
    """Both directions of the chamfer distance, over points spread evenly by area."""
    points = trimesh.sample.sample_surface(truth, _POINTS, seed=0)[0]
    seen = seen_points(points, everything, cameras)
    found = trimesh.sample.sample_surface(fused, _POINTS, seed=1)[0]
    to_truth = cKDTree(trimesh.sample.sample_surface(truth, _DENSE_POINTS, seed=2)[0]).query(found)[0]
    to_fused = cKDTree(trimesh.sample.sample_surface(fused, _DENSE_POINTS, seed=3)[0]).query(points)[0]
    percent = 100 / float(np.linalg.norm(truth.extents))
    return MeshScore(
        seen=float(seen.mean()),
        accuracy=float(to_truth.mean()) * percent,
        completeness=float(to_fused[seen].mean()) * percent,
        whole_completeness=float(to_fused.mean()) * percent,
    )


def main() -> None:
    """Print one row per thing and a summary per scene."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", nargs="+", default=["tabletop"])
    parser.add_argument("--laga", type=Path, default=None, help="choose things by name in this trained scene")
    parser.add_argument("--resolution", type=int, default=MeshConfig().resolution)
    parser.add_argument("--things", nargs="+", default=None, help="names of the things to measure; all by default")
    asked = parser.parse_args()
    config = replace(MeshConfig(), resolution=asked.resolution, view_side=2 * asked.resolution)
    print("| " + " | ".join(_COLUMNS) + " |")
    print("|---" * len(_COLUMNS) + "|")
    for name in asked.scenes:
        _measure(name, asked.laga, config, asked.things)


def _measure(name: str, laga: Path | None, config: MeshConfig, things: list[str] | None) -> None:
    prepared = prepare(name)
    meshes, labels, everything = true_meshes(name)
    chosen = _by_truth(true_owners(prepared), labels) if laga is None else _by_name(laga, labels)
    cameras = prepared.photos.cameras.select(prepared.train)
    scores, missing = [], []
    for number, label in labels.items():
        if things is not None and label not in things:
            continue
        if not bool(chosen[number].any()):
            missing.append(label)
            continue
        started = time.perf_counter()
        fused = fuse_mesh(select_gaussians(prepared.scene, chosen[number]), cameras, config=config)
        seconds = time.perf_counter() - started
        scores.append(score(fused, meshes[number], everything, cameras))
        _row(name, label, meshes[number], int(chosen[number].sum()), scores[-1], seconds)
    chamfer, whole = (np.array([getattr(one, what) for one in scores]) for what in ("chamfer", "whole"))
    print(
        f"\n{name}: {len(scores)} things; chamfer {chamfer.mean():.2f} % on average, {np.median(chamfer):.2f} % "
        f"median, {chamfer.max():.2f} % at worst, {np.mean(chamfer <= _BAR_PERCENT):.0%} within {_BAR_PERCENT:g} %; "
        f"with unseen surface {whole.mean():.2f} % on average, {whole.max():.2f} % at worst; "
        f"not found: {', '.join(missing) or 'none'}\n",
        flush=True,
    )


def _row(scene: str, label: str, truth: trimesh.Trimesh, gaussians: int, found: MeshScore, seconds: float) -> None:
    diagonal = 100 * float(np.linalg.norm(truth.extents))
    print(
        f"| {scene} | {label} | {diagonal:.1f} | {gaussians} | {found.seen:.0%} | {found.accuracy:.2f} "
        f"| {found.completeness:.2f} | {found.chamfer:.2f} | {found.whole:.2f} | {seconds:.1f} |",
        flush=True,
    )


def _by_truth(owners: Tensor, labels: dict[int, str]) -> dict[int, Tensor]:
    return {number: owners == number for number in labels}


def _by_name(laga: Path, labels: dict[int, str]) -> dict[int, Tensor]:
    scene = load_laga_scene(laga)
    queries = SceneQueries(scene, load_encoder(scene.encoder_name))
    return {number: queries.text(label).chosen for number, label in labels.items()}


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
