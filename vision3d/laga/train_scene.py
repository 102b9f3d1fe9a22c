"""`train_scene`: from splats and photos on disk to a scene that can be asked, in one file beside the splats."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from vision3d.cameras.split_views import ViewSplit, split_views
from vision3d.errors import InvalidInputError, RunFolderError
from vision3d.laga.laga_scene import SUFFIX, LagaScene, laga_path_of, save_laga_scene
from vision3d.laga.object_looks import Looks
from vision3d.laga.scene_files import SceneFiles, find_scene_files, photos_of, read_views
from vision3d.laga.scene_masks import features_of_masks, mask_source, masks_of_photos
from vision3d.laga.train_config import TrainSceneConfig
from vision3d.laga.train_laga import train_laga
from vision3d.language.catalogue import load_encoder
from vision3d.language.image_text_encoder import ImageTextEncoder
from vision3d.reconstruction.fit_scene import choose_device
from vision3d.scene.catalogue import read_splats
from vlm_bridge.atomic_write import write_text_whole, written_whole
from vlm_bridge.file_hashes import file_sha256
from vlm_bridge.runs.run_record import package_versions, to_json_value

_log = logging.getLogger(__name__)
KEPT_FOLDER = "laga_cache"
"""Folder beside the result in which masks and mask features are kept; it may be deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """What came out of a training."""

    path: Path
    """The scene that can be asked."""
    laga: LagaScene
    """Its content."""
    objects_per_level: dict[str, int]
    """Number of objects on each level, fine levels first."""
    masks: int
    """Masks that were encoded."""
    train_views: int
    """Views used."""
    seconds: dict[str, float]
    """Wall time of each stage."""


def train_scene(
    run: str | Path,
    data: str | Path,
    out: str | Path | None = None,
    *,
    config: TrainSceneConfig = TrainSceneConfig(),
    encoder: ImageTextEncoder | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> TrainReport:
    """Take the splats of `run` apart by the photos of `data`; writes NAME.laga.safetensors and NAME.laga.json.

    Masks and mask features are kept in `laga_cache` beside the result, and found again by what they were made from.
    Nothing is written before splats, photos, proposer and encoder have been read.

    Args:
        run: folder of a `vision3d fit` run, or a splat file; background and filter of a run are taken over.
        data: folder of the photos with their cameras.
        out: file to write, or a folder for it; None writes beside the splats. Splats are copied into another folder.
        config: settings.
        encoder: None loads the one the settings name.
        overwrite: replace an earlier result.
        progress: show progress bars.

    Raises:
        SplatFileError, CameraFileError, ImageFileError, ModelFileError: a file cannot be read.
        RunFolderError: the result is there already and `overwrite` is False.
        InvalidInputError: settings are out of range, or splats, photos and masks do not belong together.
    """
    files = find_scene_files(Path(run))
    target = _target(files, None if out is None else Path(out), overwrite=overwrite)
    device, source, clock = choose_device(config.device), mask_source(config.masks), _Clock()
    with clock.stage("read"):
        encoder = encoder or load_encoder(config.encoder, device=device)
        scene = read_splats(files.splats)
        posed = read_views(Path(data), files, camera_format=config.camera_format)
        split = split_views(posed.cameras.names, every=config.test_every, held_out=posed.held_out)
        photos = photos_of(posed, split.train, max_side=files.side(config.max_side))
    kept = target.parent / KEPT_FOLDER
    with clock.stage("masks"):
        masks = masks_of_photos(photos.images, split.train, source, folder=kept / "masks", progress=progress)
    crops = config.laga.crops
    with clock.stage("features"):
        features = features_of_masks(photos.images, masks, encoder, crops, folder=kept / "features", progress=progress)
    if not len(features):
        raise InvalidInputError(
            f"{data}: expected masks to take the scene apart by, found none of {crops.minimum_pixels} pixels in "
            f"{len(split.train)} photos. Lower --laga.crops.minimum-pixels, or use other masks."
        )
    with clock.stage("objects"):
        looks = Looks(images=photos.images, encoder=encoder) if config.describe_by == "looks" else None
        laga = train_laga(
            scene.to(device), photos.cameras.to(device), masks, features, config=config.laga, looks=looks,
            encoder_name=config.encoder, progress=progress,
        )  # fmt: skip
    laga = _with_look(laga, files, split, photos.cameras.uniform_size)
    splats = _splats_beside(files.splats, target)
    save_laga_scene(replace(laga, scene=scene), target, splats=splats)
    report = TrainReport(
        path=target,
        laga=replace(laga, scene=scene),
        objects_per_level=_objects_per_level(laga),
        masks=len(features),
        train_views=len(split.train),
        seconds=clock.seconds,
    )
    _write_record(report, files, Path(data), config, split)
    return report


class _Clock:
    """Wall time of named stages, also written to the log."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started
        _log.info("%s: %.1f s", name, self.seconds[name])


def _target(files: SceneFiles, out: Path | None, *, overwrite: bool) -> Path:
    target = laga_path_of(files.splats) if out is None else out
    if target.is_dir():
        target = laga_path_of(target / files.splats.name)
    if not target.name.endswith(SUFFIX):
        raise InvalidInputError(f"{target}: expected a name that ends in {SUFFIX}, or a folder. Change the output.")
    if target.exists() and not overwrite:
        raise RunFolderError(
            f"{target}: expected no file yet, found an earlier training. Choose another output, or pass --overwrite."
        )
    return target


def _with_look(laga: LagaScene, files: SceneFiles, split: ViewSplit, size: tuple[int, int]) -> LagaScene:
    facts = dict(laga.facts) | {"held_out": list(split.test), "size": list(size), "versions": package_versions()}
    return replace(laga, background=files.background, antialiased=files.antialiased, facts=facts)


def _splats_beside(splats: Path, target: Path) -> Path:
    """The splats in the folder of the target: where they are, or a copy."""
    if splats.resolve().parent == target.resolve().parent:
        return splats
    copy = target.with_name(splats.name)
    if copy.is_file() and file_sha256(copy) == file_sha256(splats):
        return copy
    if copy.exists():
        raise RunFolderError(
            f"{copy}: expected no file or the same splats as {splats}, found others. Choose another output folder."
        )
    with written_whole(copy) as partial:
        partial.write_bytes(splats.read_bytes())
    return copy


def _objects_per_level(laga: LagaScene) -> dict[str, int]:
    counts = torch.bincount(laga.object_level, minlength=len(laga.level_names)).tolist()
    return dict(zip(laga.level_names, counts, strict=True))


def _write_record(
    report: TrainReport, files: SceneFiles, data: Path, config: TrainSceneConfig, split: ViewSplit
) -> None:
    laga = report.laga
    content = {
        "splats": str(files.splats),
        "gaussians": len(laga.scene),
        "data": str(data),
        "train_views": list(split.train),
        "held_out": list(split.test),
        "size": laga.facts["size"],
        "masks_source": laga.facts["masks"],
        "masks": report.masks,
        "encoder_name": laga.encoder_name,
        "encoder_id": laga.encoder_id,
        "objects": report.objects_per_level,
        "descriptors": len(laga.descriptors.object),
        "seconds": {stage: round(seconds, 3) for stage, seconds in report.seconds.items()},
        "config": to_json_value(config),
        "versions": laga.facts["versions"],
    }
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    write_text_whole(report.path.with_name(report.path.name.removesuffix(SUFFIX) + ".laga.json"), text)
