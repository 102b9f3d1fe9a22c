"""Makes data/tabletop again: `python -m data.recipes.tabletop` in the checkout (about three minutes on one core)."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from data.recipes.tabletop.ground_truth import TakenView, describe_objects, sparse_points
from data.recipes.tabletop.render import LitScene, light_scene
from data.recipes.tabletop.scene import SceneObject, everything, tabletop_objects
from data.recipes.tabletop.views import FOCAL_PIXELS, SIDE_PIXELS, View, instance_map, photograph, tabletop_views
from vision3d.cameras.point_cloud import PointCloud
from vision3d.cameras.point_cloud_files import write_point_cloud
from vlm_bridge.assets import write_manifest_entry

_TARGET = Path(__file__).resolve().parents[2] / "tabletop"
_JPEG_QUALITY = 98


def lit_tabletop(objects: tuple[SceneObject, ...] | None = None) -> LitScene:
    """The scene with its baked light, ready to be photographed."""
    return light_scene(*everything(tabletop_objects() if objects is None else objects))


def take(scene: LitScene, view: View) -> TakenView:
    """Photo, masks and distances of one view."""
    ids, telling, distance = instance_map(scene, view)
    return TakenView(view=view, photo=photograph(scene, view), ids=ids, telling=telling, distance=distance)


def make(target: Path) -> None:
    """Render everything, write it beside `target`, then put it in its place and into the manifest."""
    objects = tabletop_objects()
    scene = lit_tabletop(objects)
    taken = [take(scene, view) for view in tqdm(tabletop_views(), desc="views")]
    write_scene(target, taken, describe_objects(objects, taken))
    files = sorted(path for path in target.rglob("*") if path.is_file())
    write_manifest_entry(
        "tabletop",
        files,
        source="rendered by data/recipes/tabletop",
        licence="Apache-2.0",
        made_by="python -m data.recipes.tabletop",
    )


def write_scene(target: Path, taken: list[TakenView], description: dict) -> None:
    """Photos, masks, points, cameras and description, written beside `target` and then put in its place."""
    staged = target.with_name(f"{target.name}.part")
    shutil.rmtree(staged, ignore_errors=True)
    for folder in ("images", "masks"):
        (staged / folder).mkdir(parents=True)
    for one in taken:
        photo = Image.fromarray(np.round(one.photo * 255).astype(np.uint8))
        photo.save(staged / "images" / f"{one.view.name}.jpg", quality=_JPEG_QUALITY, subsampling=0, optimize=True)
        Image.fromarray(one.ids.astype(np.uint8)).save(staged / "masks" / f"{one.view.name}.png", optimize=True)
    points, colours = sparse_points(taken)
    cloud = PointCloud(positions=torch.tensor(points).float(), colours=torch.tensor(colours).float())
    write_point_cloud(cloud, staged / "points3D.ply")
    _write_json(staged / "transforms.json", _transforms(taken))
    _write_json(staged / "objects.json", description)
    if target.exists():
        shutil.rmtree(target)
    os.replace(staged, target)


def _transforms(taken: list[TakenView]) -> dict:
    opengl = np.diag([1.0, -1.0, -1.0, 1.0])
    return {
        "camera_model": "PINHOLE",
        "fl_x": FOCAL_PIXELS,
        "fl_y": FOCAL_PIXELS,
        "cx": SIDE_PIXELS / 2,
        "cy": SIDE_PIXELS / 2,
        "w": SIDE_PIXELS,
        "h": SIDE_PIXELS,
        "ply_file_path": "points3D.ply",
        "frames": [
            {
                "file_path": f"images/{one.view.name}.jpg",
                "transform_matrix": (one.view.camera_to_world @ opengl).round(9).tolist(),
            }
            for one in taken
        ],
    }


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    make(_TARGET)
