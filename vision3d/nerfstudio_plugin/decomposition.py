"""`Decomposition`: a scene taken apart beside its training, on snapshots of the splats.

One thread of its own splits the photos into masks and encodes them as soon as the run starts, then takes apart each
snapshot it is given. Training, viewer and queries go on meanwhile; what is asked is answered from the last snapshot
that was finished.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from vision3d.cameras.camera_files import StoredCameras, save_cameras
from vision3d.cameras.posed_photos import Photos
from vision3d.errors import InvalidInputError
from vision3d.laga.laga_scene import LagaScene, laga_path_of, save_laga_scene
from vision3d.laga.object_looks import Looks
from vision3d.laga.scene_masks import features_of_masks, mask_source, masks_of_photos
from vision3d.laga.train_config import TrainLagaConfig
from vision3d.laga.train_laga import train_laga
from vision3d.language.catalogue import load_encoder
from vision3d.language.image_text_encoder import ImageTextEncoder
from vision3d.language.mask_features import MaskFeatures
from vision3d.masks.view_masks import ViewMasks
from vision3d.reconstruction.fit_scene import CAMERAS_NAME, REPORT_NAME, SCENE_NAME
from vision3d.scene.catalogue import write_splats
from vision3d.scene.gaussian_scene import GaussianScene
from vlm_bridge.atomic_write import write_text_whole
from vlm_bridge.runs.run_record import package_versions

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecompositionConfig:
    """How the scene is taken apart while it is trained."""

    at: tuple[float, ...] = (0.3,)
    """Shares of the training after which the scene is taken apart; it always is at the end."""
    masks: str = "contours"
    """Proposer of masks, or a folder of masks; `vision3d masks --help` lists the names."""
    encoder: str = "embedded"
    """Encoder of pictures and phrases: `embedded`, MODEL/TAG, MODEL=FILE or a folder."""
    describe_by: Literal["looks", "masks"] = "looks"
    """What describes an object: how it looks itself, or the masks that were grouped into it, as LaGa does."""
    laga: TrainLagaConfig = field(default_factory=TrainLagaConfig)
    """Engine, and its settings."""

    def __post_init__(self) -> None:
        if not all(0 < share <= 1 for share in self.at):
            raise InvalidInputError(f"DecompositionConfig: expected shares above 0 and up to 1, found {self.at}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenePlace:
    """What is known of the scene beside its splats."""

    photos: Photos
    """Photos trained on."""
    run: Path
    """Folder of the run; scene.ply and its answers are written into it."""
    kept: Path
    """Folder for masks and mask features, found again by later runs."""
    device: str
    """Where phrases and masks are encoded."""
    background: tuple[float, float, float]
    """Behind the scene in pictures of it."""
    antialiased: bool
    """Whether it is fitted with the antialiased filter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    encoder: ImageTextEncoder
    masks: ViewMasks
    features: MaskFeatures


class Decomposition:
    """Takes snapshots apart, one after the other, in a thread of its own."""

    def __init__(
        self, place: ScenePlace, config: DecompositionConfig, publish: Callable[[LagaScene, ImageTextEncoder], None]
    ) -> None:
        """Start with the photos at once; `publish` is told of every scene that is ready to be asked."""
        self._place = place
        self._config = config
        self._publish = publish
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="laga")
        self._prepared: Future[_Prepared] = self._pool.submit(self._prepare)
        self._latest: Future[None] | None = None

    def submit(self, scene: GaussianScene, step: int) -> None:
        """Have a snapshot taken apart; an older one that waits is dropped."""
        if self._latest is not None:
            self._latest.cancel()
        self._latest = self._pool.submit(self._take_apart, scene, step)

    def check(self) -> None:
        """Raise what went wrong in the thread, if anything did."""
        for job in (self._prepared, self._latest):
            if job is not None and job.done() and not job.cancelled():
                job.result()

    def finish(self) -> None:
        """Wait for the last snapshot; raises what went wrong."""
        self._prepared.result()
        if self._latest is not None:
            self._latest.result()
        self._pool.shutdown()

    def _prepare(self) -> _Prepared:
        started = time.monotonic()
        photos, names, kept = self._place.photos, self._place.photos.cameras.names, self._place.kept
        crops = self._config.laga.crops
        encoder = load_encoder(self._config.encoder, device=self._place.device)
        masks = masks_of_photos(photos.images, names, mask_source(self._config.masks), folder=kept / "masks")
        features = features_of_masks(photos.images, masks, encoder, crops, folder=kept / "features")
        if not len(features):
            raise InvalidInputError(
                f"Expected masks to take the scene apart by, found none of {crops.minimum_pixels} pixels in "
                f"{len(names)} photos. Lower --pipeline.model.objects.laga.crops.minimum-pixels, or use other masks."
            )
        _log.info("laga: %d masks of %d photos, %.1f s", len(features), len(names), time.monotonic() - started)
        return _Prepared(encoder=encoder, masks=masks, features=features)

    def _take_apart(self, scene: GaussianScene, step: int) -> None:
        started = time.monotonic()
        prepared, photos = self._prepared.result(), self._place.photos
        by_looks = self._config.describe_by == "looks"
        laga = train_laga(
            scene, photos.cameras.to(scene.device), prepared.masks, prepared.features, config=self._config.laga,
            looks=Looks(images=photos.images, encoder=prepared.encoder) if by_looks else None,
            encoder_name=self._config.encoder,
        )  # fmt: skip
        size = list(photos.cameras.uniform_size)
        facts = dict(laga.facts) | {"step": step, "size": size, "held_out": [], "versions": package_versions()}
        laga = replace(laga, background=self._place.background, antialiased=self._place.antialiased, facts=facts)
        self._write(laga)
        self._publish(laga, prepared.encoder)
        _log.info(
            "laga: %d objects at step %d, %.1f s; the scene can be asked",
            laga.object_count, step, time.monotonic() - started,
        )  # fmt: skip

    def _write(self, laga: LagaScene) -> None:
        """scene.ply, cameras and answers in the run folder, as `vision3d query` expects them."""
        run = self._place.run
        run.mkdir(parents=True, exist_ok=True)
        save_cameras(StoredCameras(cameras=self._place.photos.cameras, test=()), run / CAMERAS_NAME)
        look = {
            "gaussians": len(laga.scene), "step": laga.facts["step"], "background": list(laga.background),
            "antialiased": laga.antialiased,
        }  # fmt: skip
        write_text_whole(run / REPORT_NAME, json.dumps(look, indent=1) + "\n")
        write_splats(laga.scene.to("cpu"), run / SCENE_NAME)
        save_laga_scene(laga, laga_path_of(run / SCENE_NAME), splats=run / SCENE_NAME)
