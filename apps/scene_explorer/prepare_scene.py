"""`prepare_scene`: the embedded scene, fitted and taken apart once and found again ever after."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from vision3d.demo import DEMO_STEPS
from vision3d.laga.laga_scene import laga_path_of
from vision3d.laga.train_config import TrainSceneConfig
from vision3d.laga.train_scene import train_scene
from vision3d.reconstruction.fit_config import FitConfig, FitSceneConfig
from vision3d.reconstruction.fit_scene import REPORT_NAME, SCENE_NAME, fit_scene
from vlm_bridge.assets import asset_path

EMBEDDED_FOLDER = Path("out/embedded_scene")
"""Where the page keeps what it prepared."""
DEMO_FOLDER = Path("out/demo")
"""Where `make demo` leaves the same scene."""
EMBEDDED_FIT = FitSceneConfig(max_side=256, fit=FitConfig(steps=DEMO_STEPS))
"""As the demo fits it."""
_log = logging.getLogger(__name__)


def find_prepared(folders: Sequence[Path] = (DEMO_FOLDER, EMBEDDED_FOLDER)) -> Path | None:
    """The first folder with the finished scene; None where there is none yet."""
    for folder in folders:
        if laga_path_of(folder / SCENE_NAME).is_file() and (folder / SCENE_NAME).is_file():
            return folder
    return None


def prepare_scene(
    folder: Path = EMBEDDED_FOLDER,
    *,
    photos: Path | None = None,
    fit: FitSceneConfig = EMBEDDED_FIT,
    train: TrainSceneConfig | None = None,
) -> Path:
    """The folder with the scene, whatever of it is missing made first, with progress bars; a cut run goes on.

    Args:
        folder: where it is kept.
        photos: None takes the embedded tabletop.
        fit: settings of the fit.
        train: how it is taken apart; None leaves the views out that the fit held out.

    Raises:
        RunFolderError: the folder holds something else, or a fit with other settings.
    """
    photos = asset_path("tabletop") if photos is None else photos
    if find_prepared([folder]) is not None:
        return folder
    if not (folder / REPORT_NAME).is_file():
        _log.info("step 1 of 2: fitting Gaussians to the photos, kept in %s", folder)
        fit_scene(photos, folder, fit)
    _log.info("step 2 of 2: taking the scene apart into objects")
    train_scene(folder, photos, config=train or TrainSceneConfig(test_every=fit.test_every), progress=True)
    return folder
