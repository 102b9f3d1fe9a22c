"""`ExploredScene`: an opened scene with everything the explorer needs of it; made once, shared, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from apps.scene_explorer.orbit import Orbit, find_orbit
from vision3d.errors import InvalidInputError
from vision3d.export.ask_config import AskConfig
from vision3d.export.object_table import ObjectRow, ObjectWords, object_table, vocabulary_of
from vision3d.export.open_scene import open_scene, scene_encoder
from vision3d.laga.laga_scene import SUFFIX, LagaScene, laga_path_of
from vision3d.laga.query_scene import SceneQueries
from vision3d.laga.scene_files import SceneFiles, find_scene_files
from vision3d.language.image_text_encoder import ImageTextEncoder
from vision3d.scene.catalogue import read_splats
from vision3d.scene.gaussian_scene import GaussianScene

_EXAMPLES = 5
_NO_NAMES = {
    "and", "are", "but", "for", "from", "has", "into", "its", "like", "made", "not", "off", "one", "out", "over",
    "read", "that", "the", "their", "there", "these", "they", "this", "two", "under", "what", "where", "which", "who",
    "with",
}  # fmt: skip
"""Words of the encoder that name nothing by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExploredScene:
    """What is looked at."""

    path: Path
    """NAME.laga.safetensors, or a splat file that was never taken apart."""
    scene: GaussianScene
    """Its Gaussians."""
    queries: SceneQueries | None
    """The scene ready to be asked; None for bare splats, which can only be looked at."""
    orbit: Orbit
    """How it is walked around."""
    background: tuple[float, float, float]
    """Behind it in pictures."""
    antialiased: bool
    """How it was fitted and is rendered."""
    objects: tuple[ObjectRow, ...]
    """All its objects; none for bare splats."""
    examples: tuple[str, ...]
    """Phrases to begin with."""

    @property
    def laga(self) -> LagaScene:
        """The scene with its objects.

        Raises:
            InvalidInputError: there are none.
        """
        return self.asked().laga

    def asked(self) -> SceneQueries:
        """What answers questions.

        Raises:
            InvalidInputError: the splats were never taken apart.
        """
        if self.queries is None:
            raise InvalidInputError(
                f"{self.path.name}: expected a scene that was taken apart into objects, found bare splats, which can "
                "be looked at but not asked. Run `vision3d train` on them with their photos, then open the result."
            )
        return self.queries

    @property
    def level_names(self) -> tuple[str, ...]:
        """Levels of objects from fine to coarse; none for bare splats."""
        return () if self.queries is None else self.queries.laga.level_names


def open_explored(
    source: str | Path,
    *,
    config: AskConfig = AskConfig(),
    encoder: ImageTextEncoder | None = None,
    examples: Sequence[str] = (),
) -> ExploredScene:
    """The scene of a `.laga.safetensors` file, a splat file, or the folder of either.

    Args:
        source: splats that have a scene of objects beside them are opened with it.
        config: how things are found.
        encoder: None loads the one the scene was trained with.
        examples: phrases to begin with; none takes words of its objects.

    Raises:
        InvalidInputError: no name was given, or the folder holds several scenes.
        ModelFileError, SplatFileError, CameraFileError: something cannot be read.
    """
    if not str(source).strip():
        raise InvalidInputError("Expected a scene to open, found an empty name. Give a file or a folder.")
    path = Path(str(source).strip()).expanduser()
    objects = _objects_file(path)
    return _bare(path) if objects is None else _with_objects(objects, config, encoder, tuple(examples))


def _objects_file(path: Path) -> Path | None:
    """The file or folder to open as a scene of objects; None where there are only splats."""
    if path.is_dir():
        return path if list(path.glob(f"*{SUFFIX}")) else None
    if path.name.endswith(SUFFIX):
        return path
    return laga_path_of(path) if laga_path_of(path).is_file() else None


def _bare(path: Path) -> ExploredScene:
    files = find_scene_files(path)
    scene = read_splats(files.splats)
    return ExploredScene(
        path=files.splats,
        scene=scene,
        queries=None,
        orbit=_orbit(scene, files),
        background=files.background,
        antialiased=files.antialiased,
        objects=(),
        examples=(),
    )


def _with_objects(
    path: Path, config: AskConfig, encoder: ImageTextEncoder | None, examples: tuple[str, ...]
) -> ExploredScene:
    opened = open_scene(path, device=config.device)
    laga, encoder = opened.laga, encoder or scene_encoder(opened, config)
    known = vocabulary_of(config.encoder or laga.encoder_name)
    words = tuple(word for word in known if word not in _NO_NAMES)
    described = ObjectWords(words=words, encoder=encoder, negatives=config.negatives) if words else None
    objects = object_table(laga, words=described)
    return ExploredScene(
        path=opened.path,
        scene=laga.scene,
        queries=SceneQueries(laga, encoder, config=config.query, negatives=config.negatives),
        orbit=find_orbit(laga.scene, opened.cameras),
        background=laga.background,
        antialiased=laga.antialiased,
        objects=objects,
        examples=examples or _words_of(objects),
    )


def _orbit(scene: GaussianScene, files: SceneFiles) -> Orbit:
    return find_orbit(scene, None if files.stored is None else files.stored.cameras)


def _words_of(objects: Sequence[ObjectRow]) -> tuple[str, ...]:
    """The best words of all objects, each once."""
    best = sorted((row.words[0] for row in objects if row.words), key=lambda pair: -pair[1])
    return tuple(dict.fromkeys(word for word, _ in best))[:_EXAMPLES]
