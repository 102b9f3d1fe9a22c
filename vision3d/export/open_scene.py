"""Opening a trained scene with everything around it, and finding in it what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.camera_files import load_cameras
from vision3d.cameras.catalogue import read_posed_photos
from vision3d.errors import InvalidInputError
from vision3d.export.ask_config import AskConfig, Targets
from vision3d.export.pick_gaussians import Click, Picked, pick_click, pick_objects, pick_phrases
from vision3d.laga.laga_scene import LagaScene, load_laga_scene, splats_path
from vision3d.laga.query_run import find_laga_file
from vision3d.laga.query_scene import SceneQueries
from vision3d.laga.scene_files import SceneFiles, find_scene_files, named_views, resized_to_side
from vision3d.language.catalogue import load_encoder
from vision3d.language.image_text_encoder import ImageTextEncoder
from vision3d.reconstruction.fit_scene import CAMERAS_NAME, choose_device


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenScene:
    """A scene that was taken apart, and what lies beside it."""

    path: Path
    """NAME.laga.safetensors."""
    laga: LagaScene
    """The scene, on the device asked for."""
    files: SceneFiles
    """Its splats and what the fit left beside them."""
    cameras: CameraBatch | None
    """Cameras that were given, else those of the fit; None where there are none."""


def open_scene(source: str | Path, *, device: str = "auto", cameras: Path | None = None) -> OpenScene:
    """The scene of a `.laga.safetensors` file or its folder.

    Raises:
        ModelFileError: the scene is missing or damaged, or the splats are others than then.
        CameraFileError: the cameras cannot be read.
        InvalidInputError: a folder with several scenes or none.
    """
    path = find_laga_file(Path(source))
    laga = load_laga_scene(path)
    files = find_scene_files(splats_path(path))
    laga = replace(laga, scene=laga.scene.to(choose_device(device)))
    return OpenScene(path=path, laga=laga, files=files, cameras=_cameras(files, cameras))


def scene_encoder(opened: OpenScene, config: AskConfig) -> ImageTextEncoder:
    """The encoder that the scene is asked with.

    Raises:
        ModelFileError: its files are missing or damaged.
    """
    return load_encoder(config.encoder or opened.laga.encoder_name, device=opened.laga.scene.device)


def pick_targets(
    opened: OpenScene, targets: Targets, config: AskConfig, *, encoder: ImageTextEncoder | None = None
) -> tuple[Picked, ...]:
    """Everything that was asked for; objects by number need no encoder.

    Raises:
        InvalidInputError: something is not there, or the same thing is asked for twice.
        UnknownViewError: the clicked view has no camera.
        ModelFileError: the encoder is missing or damaged.
    """
    numbered = pick_objects(opened.laga, targets.objects)
    asked: Sequence[Picked] = ()
    if targets.phrases or targets.click is not None:
        encoder = encoder or scene_encoder(opened, config)
        queries = SceneQueries(opened.laga, encoder, config=config.query, negatives=config.negatives)
        asked = pick_phrases(queries, targets.phrases)
        if targets.click is not None:
            asked = (*asked, pick_click(queries, _click(opened, targets.click)))
    picked = (*asked, *numbered)
    names = [one.name for one in picked]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInputError(f"Expected every thing once, found {', '.join(twice)} several times. Name each once.")
    return picked


def _click(opened: OpenScene, place: tuple[str, float, float]) -> Click:
    if opened.cameras is None:
        raise InvalidInputError(
            f"{opened.files.splats}: expected cameras beside the splats to click into a view, found none. "
            "Pass --cameras SCENE, or choose by phrase or object number."
        )
    name, x, y = place
    camera = opened.cameras.select(named_views(opened.cameras, [name]))
    return Click(camera=resized_to_side(camera, opened.files.side(None)).to(opened.laga.scene.device), x=x, y=y)


def _cameras(files: SceneFiles, given: Path | None) -> CameraBatch | None:
    if given is None:
        return None if files.stored is None else files.stored.cameras
    stored = given / CAMERAS_NAME if given.is_dir() else given
    if stored.is_file() and stored.name == CAMERAS_NAME:
        return load_cameras(stored).cameras
    return read_posed_photos(given).cameras
