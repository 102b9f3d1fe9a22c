"""`query_run`: questions to a saved scene in, answers.json and a picture per question out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy import ndarray
from PIL import Image, UnidentifiedImageError

from vision3d.errors import ImageFileError, InvalidInputError
from vision3d.laga.laga_scene import SUFFIX, LagaScene, load_laga_scene, object_sizes, splats_path
from vision3d.laga.query_pictures import answer_picture, caption_of, highlighted, marked
from vision3d.laga.query_run_config import QueryRunConfig
from vision3d.laga.query_scene import QueryResult, SceneQueries
from vision3d.laga.query_views import QueryViews, query_views
from vision3d.laga.reasoning import Judge, reason
from vision3d.laga.scene_files import find_scene_files
from vision3d.language.catalogue import load_encoder
from vision3d.language.image_text_encoder import ImageTextEncoder
from vision3d.reconstruction.fit_scene import choose_device
from vision3d.rendering.image_files import write_png
from vlm_bridge.atomic_write import write_text_whole, written_whole

ANSWERS_NAME = "answers.json"
_SLUG_LENGTH = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What is asked, in this order."""

    phrases: Sequence[str] = ()
    """Text."""
    clicks: Sequence[tuple[str, float, float]] = ()
    """View, x and y in pixels of the pictures that are shown."""
    images: Sequence[Path] = ()
    """Pictures of the thing, cut close."""
    requests: Sequence[str] = ()
    """Text that names nothing, such as "what could I drink from?"; a `Judge` answers it."""

    def __post_init__(self) -> None:
        if not (self.phrases or self.clicks or self.images or self.requests):
            raise InvalidInputError(
                "Expected something to look for, found no phrase, click, picture or request. Give a phrase, --click, "
                "--image or --reason."
            )
        for phrase in (*self.phrases, *self.requests):
            if not phrase.strip() or any("\ud800" <= letter <= "\udfff" for letter in phrase):
                raise InvalidInputError(
                    f"Expected phrases of at least one word, found {phrase!r}. Say what to look for."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer and the files that show it."""

    kind: str
    """text, click, image or request."""
    result: QueryResult
    """The answer itself."""
    pixels: Mapping[str, int]
    """View -> pixels of the selection."""
    picture: Path
    """The views with the selection highlighted."""


def query_run(
    laga_file: str | Path,
    questions: Questions,
    out: str | Path,
    *,
    data: str | Path | None = None,
    config: QueryRunConfig = QueryRunConfig(),
    encoder: ImageTextEncoder | None = None,
    judge: Judge | None = None,
) -> tuple[Answer, ...]:
    """Answer every question and write answers.json and the pictures into `out`; nothing is written before all answers.

    Args:
        laga_file: NAME.laga.safetensors as `train_scene` wrote it, its splats beside it; or their folder.
        questions: what to ask.
        out: folder for the results; files of the same names are replaced.
        data: folder of the photos, to show the answers on; None shows renders from the fit's cameras, or from an orbit
            where the scene has none.
        config: settings.
        encoder: None loads the one the scene was trained with.
        judge: looks at each object where there are requests.

    Raises:
        ModelFileError: scene or encoder are missing or damaged, or the splats are others than then.
        InvalidInputError: another encoder, an unknown level, or a click outside the picture.
        UnknownViewError: a view has no camera.
        ImageFileError: a picture to ask with cannot be read.
    """
    if questions.requests and judge is None:
        raise InvalidInputError("Expected a judge for the requests, found none. Pass one, e.g. a `BackboneJudge`.")
    path = find_laga_file(Path(laga_file))
    device = choose_device(config.device)
    pictures = [_read_picture(Path(image)) for image in questions.images]
    laga = load_laga_scene(path)
    files = find_scene_files(splats_path(path))
    encoder = encoder or load_encoder(config.encoder or laga.encoder_name, device=device)
    laga = replace(laga, scene=laga.scene.to(device))
    queries = SceneQueries(laga, encoder, config=config.query, negatives=config.negatives)
    source = None if data is None else Path(data)
    views = query_views(laga, files, source, config=config)
    asked: list[tuple[str, QueryResult, QueryViews, tuple[float, float] | None]] = []
    asked += [("text", queries.text(phrase), views, None) for phrase in questions.phrases]
    for name, x, y in questions.clicks:
        own = query_views(laga, files, source, config=config, first=name)
        asked.append(("click", queries.click(own.cameras.select(own.cameras.names[:1]), x=x, y=y), own, (x, y)))
    for image, pixels in zip(questions.images, pictures, strict=True):
        asked.append(("image", queries.picture(pixels, name=Path(image).name), views, None))
    if questions.requests and judge is not None:
        wider = query_views(laga, files, source, config=replace(config, views=(), view_count=config.reason.views))
        for request in questions.requests:
            asked.append(("request", reason(queries, wider, request, judge, config.reason), views, None))
    return _written(Path(out), path, queries, asked, config)


def find_laga_file(source: Path) -> Path:
    """The file of a scene: itself, or the only one in a folder.

    Raises:
        InvalidInputError: the folder holds none or several.
    """
    if not source.is_dir():
        return source
    found = sorted(source.glob(f"*{SUFFIX}"))
    if len(found) != 1:
        raise InvalidInputError(
            f"{source}: expected one file *{SUFFIX}, found {len(found)}. Run `vision3d train` first, or name the file."
        )
    return found[0]


def file_stems(questions: Sequence[str]) -> list[str]:
    """A file name without ending per question: its number and what of it any file system keeps.

    Example:
        >>> file_stems(["red mug", "../Red mug?", "茶壶"])
        ['01_red_mug', '02_Red_mug', '03_茶壶']
    """
    digits = max(2, len(str(len(questions))))
    stems = []
    for number, question in enumerate(questions, start=1):
        kept = "".join(letter if letter.isalnum() else " " for letter in question)
        stems.append("_".join([f"{number:0{digits}}", *kept.split()])[: _SLUG_LENGTH + digits].rstrip("_"))
    return stems


def _written(
    folder: Path,
    path: Path,
    queries: SceneQueries,
    asked: Sequence[tuple[str, QueryResult, QueryViews, tuple[float, float] | None]],
    config: QueryRunConfig,
) -> tuple[Answer, ...]:
    answers, records = [], []
    stems = file_stems([result.question for _, result, _, _ in asked])
    for stem, (kind, result, views, place) in zip(stems, asked, strict=True):
        masks = dict(_masks(queries, result, views))
        tiles = [highlighted(image.numpy(), masks[name]) for name, image in zip(masks, views.images, strict=True)]
        if place is not None:
            tiles[0] = marked(tiles[0], *place)
        picture = folder / f"{stem}.png"
        write_png(answer_picture(tiles, caption_of(result.question, result.status, result.relevance)), picture)
        pixels = {name: int(mask.sum()) for name, mask in masks.items()}
        answer = Answer(kind=kind, result=result, pixels=pixels, picture=picture)
        record = _record(answer, queries.laga)
        if config.save_masks:
            record["masks"] = _write_masks(folder, stem, masks)
        if config.save_scores:
            record["scores"] = _write_scores(folder, stem, result)
        answers.append(answer)
        records.append(record)
    found, uncertain = queries.found_relevances
    content = {
        "scene": path.name,
        "encoder_id": queries.laga.encoder_id,
        "levels": list(queries.laga.level_names),
        "negatives": list(config.negatives),
        "thresholds": asdict(config.query)
        | {
            "found_relevance": found,
            "uncertain_relevance": uncertain,
            "cosine_gate": queries.cosine_gate,
        },
        "answers": records,
    }
    write_text_whole(folder / ANSWERS_NAME, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return tuple(answers)


def _masks(queries: SceneQueries, result: QueryResult, views: QueryViews) -> Iterator[tuple[str, ndarray]]:
    """The selection view by view, so that memory stays small."""
    for name in views.cameras.names:
        yield name, queries.masks(result, views.cameras.select([name]))[0].numpy()


def _record(answer: Answer, laga: LagaScene) -> dict[str, Any]:
    result, sizes = answer.result, object_sizes(laga)
    scored = (result.object_scores > 0).nonzero().flatten()
    order = scored[result.object_scores[scored].argsort(descending=True, stable=True)].tolist()
    return {
        "question": result.question,
        "kind": answer.kind,
        "status": result.status,
        "relevance": round(result.relevance, 6),
        "objects": result.objects.tolist(),
        "gaussians": int(result.chosen.sum()),
        "unknown_words": list(result.unknown_words),
        "pixels": dict(answer.pixels),
        "object_scores": [
            {
                "object": number,
                "level": laga.level_names[int(laga.object_level[number])],
                "score": round(float(result.object_scores[number]), 6),
                "gaussians": int(sizes[number]),
            }
            for number in order
        ],
        "picture": answer.picture.name,
    }


def _write_masks(folder: Path, stem: str, masks: Mapping[str, ndarray]) -> dict[str, str]:
    names = {}
    for view, (name, mask) in zip(file_stems([PurePosixPath(name).stem for name in masks]), masks.items(), strict=True):
        names[name] = f"masks/{stem}/{view}.png"
        write_png(np.where(mask, 255, 0).astype(np.uint8), folder / names[name])
    return names


def _write_scores(folder: Path, stem: str, result: QueryResult) -> str:
    name = f"scores/{stem}.npz"
    with written_whole(folder / name) as partial, partial.open("wb") as file:
        np.savez_compressed(file, scores=result.gaussian_scores.numpy(), chosen=result.chosen.numpy())
    return name


def _read_picture(path: Path) -> ndarray:
    try:
        with Image.open(path) as image:
            return np.array(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise ImageFileError(
            f"{path}: expected a picture of the thing to look for, found: {error}. Give a PNG or JPEG."
        ) from error
