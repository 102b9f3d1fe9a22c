"""A click on real photos: `python -m benchmarks.real_clicks SHARED_DATA [--scenes fox lund_door] [--pictures DIR]`.

Fits the scene with `fit_scene`, takes it apart with the embedded models, clicks once in the middle of the thing in the
first outlined photo, and compares what was selected in 3D, seen from every outlined view, with outlines drawn by hand
(tests/vision3d/laga/outlines). All outlined views but the clicked one show how well the selection holds in 3D. Where a
thing hangs on a mount that masks may count to it, the table has a row with the mount and a row without.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.camera_files import load_cameras
from vision3d.laga.laga_scene import LagaScene, load_laga_scene
from vision3d.laga.query_pictures import answer_picture, highlighted, marked
from vision3d.laga.query_scene import QueryResult, SceneQueries
from vision3d.laga.scene_files import find_scene_files, photos_of, read_views
from vision3d.laga.train_config import TrainLagaConfig, TrainSceneConfig
from vision3d.laga.train_scene import train_scene
from vision3d.language.catalogue import load_encoder
from vision3d.reconstruction.fit_config import FitConfig, FitSceneConfig
from vision3d.reconstruction.fit_scene import CAMERAS_NAME, REPORT_NAME, fit_scene
from vision3d.reconstruction.previews import render_frames
from vision3d.rendering.renderer import RasterOptions
from vision3d.scene.selection import remove_gaussians

FOLDER = Path("out/benchmarks")
OUTLINES = Path("tests/vision3d/laga/outlines")


def outline_mask(corners: list[list[float]], width: int, height: int) -> ndarray:
    """Pixels inside an outline whose corners are shares of width and height."""
    image = Image.new("1", (width, height))
    ImageDraw.Draw(image).polygon([(x * width, y * height) for x, y in corners], fill=1)
    return np.asarray(image)


def middle(mask: ndarray) -> tuple[float, float]:
    """The place x, y inside a mask that is farthest from its border."""
    row, column = np.unravel_index(distance_transform_edt(mask).argmax(), mask.shape)
    return float(column) + 0.5, float(row) + 0.5


def main() -> None:
    """Print one row per scene, engine and level."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds scene_fox and scene_lund_door")
    parser.add_argument("--scenes", nargs="+", default=["fox", "lund_door"])
    parser.add_argument("--engines", nargs="+", default=["lift"])
    parser.add_argument("--masks", default="contours")
    parser.add_argument("--pictures", type=Path, default=None)
    asked = parser.parse_args()
    print(
        "| scene | outline | engine | level | IoU per view | mean IoU | clicked share |\n|---|---|---|---|---|---|---|"
    )
    for name in asked.scenes:
        data, run = asked.data / f"scene_{name}", FOLDER / f"{name}_fit"
        if not (run / REPORT_NAME).is_file():
            fit_scene(data, run, FitSceneConfig(fit=FitConfig(random_background=0.5)))
        for engine in asked.engines:
            out = FOLDER / f"{name}_{engine}_{asked.masks.partition('=')[0]}"
            out.mkdir(parents=True, exist_ok=True)
            config = TrainSceneConfig(masks=asked.masks, laga=TrainLagaConfig(engine=engine))
            report = train_scene(run, data, out, config=config, overwrite=True)
            _measure(name, engine, report.path, data, asked.pictures)


def _measure(name: str, engine: str, path: Path, data: Path, pictures: Path | None) -> None:
    drawn = json.loads((OUTLINES / f"scene_{name}.json").read_text(encoding="utf-8"))
    laga = load_laga_scene(path)
    files = find_scene_files(path.with_name("scene.ply"))
    stored = load_cameras(FOLDER / f"{name}_fit" / CAMERAS_NAME).cameras
    posed = read_views(data, files)
    views = tuple(view for known in drawn["outlines"] for view in posed.cameras.names if Path(view).name == known)
    photos = photos_of(posed, views, max_side=max(stored.uniform_size))
    truths = _truths(drawn, photos.cameras.uniform_size)
    thing = truths[drawn["thing"]]
    queries = SceneQueries(laga, load_encoder("embedded"))
    x, y = middle(thing[0])
    results: dict[str, tuple[QueryResult, float]] = {}
    for level in laga.level_names:
        result = queries.click(photos.cameras.select(views[:1]), x=x, y=y, level=level)
        found = queries.masks(result, photos.cameras).numpy()
        for told, masks in truths.items():
            ious = [(one & mask).sum() / max((one | mask).sum(), 1) for one, mask in zip(found, masks, strict=True)]
            results[level] = result, float(np.mean(ious))
            row = ", ".join(f"{value:.2f}" for value in ious)
            print(f"| {name} | {told} | {engine} | {level} | {row} | {np.mean(ious):.3f} | {result.relevance:.2f} |")
    if pictures is not None:
        best = max(results, key=lambda level: results[level][1])
        _draw(pictures / f"{name}_{engine}.jpg", laga, queries, results[best][0], photos.cameras, (x, y))


def _truths(drawn: dict, size: tuple[int, int]) -> dict[str, list[ndarray]]:
    """Masks of every outlined view, for the thing and for the thing with what it is mounted on."""
    thing = {name: outline_mask(corners, *size) for name, corners in drawn["outlines"].items()}
    truths = {drawn["thing"]: list(thing.values())}
    if "mount" in drawn:
        mount = {name: outline_mask(corners, *size) for name, corners in drawn["mount"].items()}
        truths[f"{drawn['thing']} with its mount"] = [thing[name] | mount[name] for name in thing]
    return truths


def _draw(
    path: Path, laga: LagaScene, queries: SceneQueries, result: QueryResult, cameras: CameraBatch,
    place: tuple[float, float],
) -> None:  # fmt: skip
    """Renders of every outlined view with what was selected, and below them the scene without it."""
    options, background = RasterOptions(antialiased=laga.antialiased), torch.tensor(laga.background)
    found = queries.masks(result, cameras).numpy()
    views = render_frames(laga.scene, cameras, background=background, options=options)
    tiles = [highlighted(image, mask) for image, mask in zip(views, found, strict=True)]
    tiles[0] = marked(tiles[0], *place)
    rest = remove_gaussians(laga.scene, result.chosen)
    tiles += render_frames(rest, cameras, background=background, options=options)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(answer_picture(tiles, f"{result.question}; below: the scene without it")).save(path)


if __name__ == "__main__":
    main()
