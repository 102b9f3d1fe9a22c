"""How well scenes are asked in words: `python -m benchmarks.language_queries [--scenes tabletop 900001 ...]`.

3D protocol on views that neither the fit nor the objects saw: the Gaussians a phrase selects are rendered into the
whole scene, and the mask is compared with the true pixels of everything the phrase means. Mean IoU over all (phrase,
view) pairs that show at least 30 such pixels; besides, how many absent phrases are refused and present ones answered.

Scenes: the embedded tabletop, or seeds of the household generator, rendered and fitted on first use (some five minutes
each) into out/benchmarks. No model of the package was trained on any of them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vision3d.cameras.camera_files import load_cameras
from vision3d.cameras.catalogue import read_posed_photos
from vision3d.cameras.load_photos import load_photos
from vision3d.cameras.posed_photos import Photos
from vision3d.evaluation.evaluate_phrases import evaluate_phrases
from vision3d.evaluation.instance_scene import InstanceScene, read_instance_ids, read_instance_scene
from vision3d.evaluation.scores import PairScore, localisation_accuracy, mean_iou
from vision3d.laga.laga_scene import LagaScene
from vision3d.laga.object_descriptors import AGGREGATIONS
from vision3d.laga.object_looks import Looks
from vision3d.laga.query_config import QueryConfig
from vision3d.laga.query_scene import SceneQueries
from vision3d.laga.train_config import ENGINES, TrainLagaConfig
from vision3d.laga.train_laga import train_laga
from vision3d.language.catalogue import load_encoder
from vision3d.language.image_text_encoder import ImageTextEncoder
from vision3d.language.mask_features import MaskFeatures, encode_views
from vision3d.masks.catalogue import load_proposer
from vision3d.masks.propose_masks import propose_masks
from vision3d.masks.view_masks import ViewMasks
from vision3d.reconstruction.fit_config import FitConfig, FitSceneConfig
from vision3d.reconstruction.fit_scene import CAMERAS_NAME, REPORT_NAME, SCENE_NAME, fit_scene
from vision3d.scene.catalogue import read_splats
from vision3d.scene.gaussian_scene import GaussianScene
from vlm_bridge.assets import asset_path

FOLDER = Path("out/benchmarks")
_COLUMNS = (
    "scene", "masks", "engine", "descriptors", "mIoU", "side phrases", "localised", "refused", "answered", "objects",
    "seconds", "query ms",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A fitted scene with its photos, ready to be taken apart."""

    name: str
    scene: GaussianScene
    photos: Photos
    train: tuple[str, ...]
    test: tuple[str, ...]
    truth: InstanceScene
    folder: Path
    """Where the photos and the true masks lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Scores of one scene."""

    pairs: tuple[PairScore, ...]
    kinds: dict[str, float]
    """Mean IoU per kind of phrase."""
    side_objects: float
    """Mean IoU of side phrases: those only one side of a thing tells."""
    refused: float
    """Share of the absent phrases that are not found."""
    answered: float
    """Share of the present phrases that are found or uncertain."""
    seconds: float
    """Mean time of a warm text query with one mask."""


def prepare(name: str, *, steps: int = 2000) -> Prepared:
    """Render (unless it is the tabletop) and fit the scene, or read what an earlier run left."""
    folder = asset_path("tabletop") if name == "tabletop" else FOLDER / f"household_{name}"
    if not folder.is_dir():
        from data.recipes.household.test_scenes import make_test_scene

        make_test_scene(int(name), folder)
    fit = FOLDER / f"{name}_fit"
    if not (fit / REPORT_NAME).is_file():
        fit_scene(folder, fit, FitSceneConfig(max_side=256, fit=FitConfig(steps=steps)))
    stored = load_cameras(fit / CAMERAS_NAME)
    photos = load_photos(read_posed_photos(folder), max_side=256)
    train = tuple(view for view in photos.cameras.names if view not in stored.test)
    return Prepared(
        name=name, scene=read_splats(fit / SCENE_NAME), photos=photos, train=train, test=stored.test,
        truth=read_instance_scene(folder, stored.test), folder=folder,
    )  # fmt: skip


def masks_of(prepared: Prepared, source: str) -> ViewMasks:
    """Masks of the training views: `truth` for the true instances, or a proposer by name."""
    if source == "truth":
        ids = np.stack([read_instance_ids(prepared.folder, view).numpy() for view in prepared.train])
        labels = (ids - 1).astype(np.int16)[:, None]
        return ViewMasks(labels=labels, view_names=prepared.train, level_names=("m",), source="truth")
    rows = [prepared.photos.cameras.names.index(view) for view in prepared.train]
    images = prepared.photos.images[rows]
    return propose_masks(
        images, prepared.train, load_proposer(source), folder=FOLDER / f"{prepared.name}_masks_{source}"
    )


def features_of(prepared: Prepared, masks: ViewMasks, encoder: ImageTextEncoder) -> MaskFeatures:
    """One vector per mask of the training views."""
    rows = [prepared.photos.cameras.names.index(view) for view in prepared.train]
    return encode_views(prepared.photos.images[rows], masks.labels, encoder, TrainLagaConfig().crops)


def measure(prepared: Prepared, laga: LagaScene, encoder: ImageTextEncoder, config: QueryConfig) -> Measured:
    """Ask every phrase."""
    queries = SceneQueries(laga, encoder, config=config)
    cameras, answered = prepared.photos.cameras, {}

    def answer(phrase: str, views: Sequence[str]) -> tuple[Tensor, Tensor]:
        result = queries.text(phrase)
        answered[phrase] = result.status != "not found"
        coverage = queries.coverage(result, cameras.select(views))
        return coverage >= config.render_threshold, coverage

    truth = prepared.truth
    pairs = evaluate_phrases(truth.truths, answer)
    started = time.perf_counter()
    for phrase in truth.absent:
        queries.masks(queries.text(phrase), cameras.select(prepared.test[:1]))
    seconds = (time.perf_counter() - started) / max(len(truth.absent), 1)
    refused = [queries.text(phrase).status == "not found" for phrase in truth.absent]
    by_kind = {kind: [pair for pair in pairs if truth.kinds[pair.phrase] == kind] for kind in set(truth.kinds.values())}
    return Measured(
        pairs=tuple(pairs),
        kinds={kind: mean_iou(found) for kind, found in sorted(by_kind.items()) if found},
        side_objects=mean_iou(by_kind["side"]) if by_kind.get("side") else float("nan"),
        refused=float(np.mean(refused)),
        answered=float(np.mean(list(answered.values()))),
        seconds=seconds,
    )


def main() -> None:
    """Print one row per scene, masks, engine and aggregation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", nargs="+", default=["tabletop"])
    parser.add_argument("--engines", nargs="+", default=list(ENGINES))
    parser.add_argument("--masks", nargs="+", default=["contours", "truth"])
    parser.add_argument("--aggregations", nargs="+", default=["weighted"], choices=AGGREGATIONS)
    parser.add_argument("--describe-by", nargs="+", default=["looks"], choices=("looks", "masks"))
    parser.add_argument("--encoder", default="embedded")
    parser.add_argument("--details", action="store_true", help="also print the mean IoU of every phrase")
    asked = parser.parse_args()
    encoder = load_encoder(asked.encoder)
    print("| " + " | ".join(_COLUMNS) + " |")
    print("|---" * len(_COLUMNS) + "|")
    for name in asked.scenes:
        prepared = prepare(name)
        for source in asked.masks:
            masks = masks_of(prepared, source)
            features = features_of(prepared, masks, encoder)
            for how in product([source], asked.engines, asked.describe_by, asked.aggregations):
                _row(prepared, masks, features, encoder, how, details=asked.details)


def _row(
    prepared: Prepared, masks: ViewMasks, features: MaskFeatures, encoder: ImageTextEncoder,
    how: tuple[str, str, str, str], *, details: bool,
) -> None:  # fmt: skip
    source, engine, described, aggregation = how
    config = TrainLagaConfig(engine=engine)  # type: ignore[arg-type]
    config = replace(config, descriptors=replace(config.descriptors, aggregation=aggregation))
    rows = [prepared.photos.cameras.names.index(view) for view in prepared.train]
    looks = Looks(images=prepared.photos.images[rows], encoder=encoder) if described == "looks" else None
    started = time.perf_counter()
    laga = train_laga(prepared.scene, prepared.photos.cameras, masks, features, config=config, looks=looks)
    seconds = time.perf_counter() - started
    found = measure(prepared, laga, encoder, QueryConfig())
    located = localisation_accuracy(found.pairs) or 0.0
    print(
        f"| {prepared.name} | {source} | {engine} | {described}, {aggregation} | {mean_iou(found.pairs):.3f} "
        f"| {found.side_objects:.3f} | {located:.0%} "
        f"| {found.refused:.0%} | {found.answered:.0%} | {laga.object_count} | {seconds:.0f} "
        f"| {1000 * found.seconds:.0f} |",
        flush=True,
    )
    if details:
        values: dict[str, list[float]] = {}
        for pair in found.pairs:
            values.setdefault(pair.phrase, []).append(pair.intersection / max(pair.union, 1))
        print(json.dumps({phrase: round(float(np.mean(ious)), 3) for phrase, ious in sorted(values.items())}, indent=1))


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
