"""Asking a scene: a phrase, a click or a picture in, the Gaussians meant out, with an answer when there are none.

`query_scene` answers once; `SceneQueries` keeps what does not depend on the question and answers many times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.errors import InvalidInputError
from vision3d.laga.laga_scene import LagaScene
from vision3d.laga.query_config import QueryConfig
from vision3d.laga.relevance import ObjectRelevance, object_relevance
from vision3d.laga.smoothing import NeighbourWeights, neighbour_weights, smooth
from vision3d.language.image_query import encode_image_query
from vision3d.language.image_text_encoder import ImageTextEncoder, check_same_encoder
from vision3d.language.prompts import CANONICAL_NEGATIVES, encode_phrases
from vision3d.language.word_tokenizer import split_words
from vision3d.rendering.catalogue import choose_renderer
from vision3d.rendering.render_views import splats_of
from vision3d.rendering.renderer import RasterOptions, Renderer

Status = Literal["found", "uncertain", "not found"]
_CLICK_SHARES = (0.5, 0.3)
"""Share of a clicked pixel that an object has to paint to be found, and to be uncertain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryResult:
    """The answer to one question."""

    question: str
    """The phrase, or what was shown or clicked."""
    status: Status
    """Whether the scene has it; nothing is chosen when it is not found."""
    relevance: float
    """Absolute, 0-1: how likely the best object is meant, against the canonical phrases, times the weight of the
    descriptor that says so. The status goes by it."""
    objects: Int[Tensor, " chosen_object"]
    """Objects that make the selection, best first."""
    object_scores: Float[Tensor, " object"]
    """Weighted relevance of every object."""
    gaussian_scores: Float[Tensor, " gaussian"]
    """Relative: 1 is the best of this scene for this question."""
    chosen: Bool[Tensor, " gaussian"]
    """The Gaussians meant."""
    unknown_words: tuple[str, ...] = ()
    """Words of the phrase that the encoder never learned."""


class SceneQueries:
    """A scene ready to be asked: encoder, canonical phrases and neighbours are prepared once."""

    def __init__(
        self, laga: LagaScene, encoder: ImageTextEncoder, *, config: QueryConfig = QueryConfig(),
        negatives: Sequence[str] = CANONICAL_NEGATIVES, renderer: Renderer | None = None,
    ) -> None:  # fmt: skip
        """Prepare the scene.

        Raises:
            InvalidInputError: the scene's descriptors are of another encoder, or the level asked for is none of its.
        """
        check_same_encoder(laga.encoder_id, encoder, "The scene")
        self.laga = laga
        self.config = config
        self._encoder = encoder
        self._negatives = encode_phrases(negatives, encoder)
        self._renderer = renderer or choose_renderer(laga.scene.device)
        self._near: NeighbourWeights | None = None
        self._gate = encoder.cosine_gate if config.cosine_gate is None else config.cosine_gate
        found, uncertain = encoder.found_relevances
        self._found = (
            found if config.found_relevance is None else config.found_relevance,
            uncertain if config.uncertain_relevance is None else config.uncertain_relevance,
        )
        if config.level is not None:
            _level_index(laga, config.level)

    @property
    def device(self) -> torch.device:
        """Where the scene lies; cameras have to lie there too."""
        return self.laga.scene.device

    @property
    def cosine_gate(self) -> float:
        """Objects whose cosine stays below are out."""
        return self._gate

    @property
    def found_relevances(self) -> tuple[float, float]:
        """From where on a phrase is found, and from where on it is uncertain."""
        return self._found

    def text(self, phrase: str) -> QueryResult:
        """What the phrase means here.

        Raises:
            InvalidInputError: the phrase is empty.
        """
        unknown = self._encoder.unknown_words(phrase)
        scores = self._scores(encode_phrases([phrase], self._encoder)[0])
        if len(unknown) >= len(split_words(phrase)):  # nothing is known of what is asked for
            scores = replace(scores, weighted=torch.zeros_like(scores.weighted))
        return self._answer(phrase, scores, unknown)

    def picture(self, image: UInt8[ndarray, "height width 3"], *, name: str = "picture") -> QueryResult:
        """What looks like the picture, an image crop of the thing."""
        return self._answer(name, self._scores(encode_image_query(torch.from_numpy(image), self._encoder)), ())

    def click(self, cameras: CameraBatch, *, x: float, y: float, level: str | None = None) -> QueryResult:
        """The object at a pixel of one camera, x to the right and y down, in pixels from the image's corner.

        Its relevance is its share of what was painted there; what is in no object takes part too.

        Raises:
            InvalidInputError: not exactly one camera, a place outside its image, or an unknown level.
        """
        width, height = cameras.uniform_size
        if len(cameras) != 1 or not (0 <= x < width and 0 <= y < height):
            raise InvalidInputError(
                f"Expected one camera and a place within {width} x {height} pixels, found {len(cameras)} cameras and "
                f"({x}, {y}). Click inside the image of one view."
            )
        name = level or self.config.level or self.laga.level_names[min(len(self.laga.level_names) // 2, 1)]
        row = self.laga.gaussian_object[_level_index(self.laga, name)]
        scores = self._shares_at(cameras, int(y) * width + int(x), row)
        relevance = float(scores.max()) if len(scores) else 0.0
        status = _status(relevance, _CLICK_SHARES)
        best = -1 if status == "not found" else int(scores.argmax())
        return QueryResult(
            question=f"click at ({x:g}, {y:g}) in {cameras.names[0]}, level {name}",
            status=status,
            relevance=relevance,
            objects=torch.tensor([best] if best >= 0 else [], dtype=torch.long),
            object_scores=scores,
            gaussian_scores=torch.cat([scores, torch.zeros(1)])[row] / max(relevance, 1e-12),
            chosen=(row == best) & (row >= 0),
        )

    def objects(
        self, question: str, scores: Float[Tensor, " object"], *, found: float, uncertain: float
    ) -> QueryResult:
        """The objects whose scores reach `found`; where none does, the best one as uncertain from `uncertain` on."""
        best = float(scores.max()) if len(scores) else 0.0
        status = _status(best, (found, uncertain))
        meant = scores >= (found if status == "found" else best)
        per_gaussian = padded_scores(scores)[self.laga.gaussian_object].amax(0)
        chosen = torch.zeros(len(per_gaussian), dtype=torch.bool)
        if status != "not found":
            rows = torch.cat([meant, torch.zeros(1, dtype=torch.bool)])[self.laga.gaussian_object]
            chosen = self._smoothed(rows.any(0))
        return QueryResult(
            question=question,
            status=status,
            relevance=best,
            objects=_objects_of(self.laga, torch.where(meant, scores, 0.0), chosen),
            object_scores=scores,
            gaussian_scores=per_gaussian,
            chosen=chosen,
        )

    def masks(self, result: QueryResult, cameras: CameraBatch) -> Bool[Tensor, "view height width"]:
        """The selection seen from each camera; what stands in front of it hides it."""
        return self.coverage(result, cameras) >= self.config.render_threshold

    def coverage(self, result: QueryResult, cameras: CameraBatch) -> Float[Tensor, "view height width"]:
        """Share 0-1 of each pixel that the selection paints."""
        options = RasterOptions(antialiased=self.laga.antialiased)
        chosen = result.chosen.float()[:, None].to(self.laga.scene.device)
        with torch.no_grad():
            image = self._renderer.rasterize(splats_of(self.laga.scene), cameras, chosen, options=options)
        return image.channels[..., 0].cpu()

    def _scores(self, vector: Float[Tensor, " dim"]) -> ObjectRelevance:
        return object_relevance(self.laga.descriptors, vector, self._negatives, object_count=self.laga.object_count)

    def _answer(self, question: str, scores: ObjectRelevance, unknown: tuple[str, ...]) -> QueryResult:
        weighted = torch.where(scores.cosine >= self._gate, scores.weighted, 0.0)
        weighted = self._kept(weighted)
        best = float(weighted.max()) if len(weighted) else 0.0
        status = _status(best, self._found)
        relative = relative_scores(fused_scores(self.laga, weighted, self.config), self.config.quantile)
        chosen = torch.zeros(len(relative), dtype=torch.bool)
        if status != "not found":
            chosen = self._smoothed(relative >= self.config.selection_threshold)
        return QueryResult(
            question=question,
            status=status,
            relevance=best,
            objects=_objects_of(self.laga, weighted, chosen),
            object_scores=weighted,
            gaussian_scores=relative,
            chosen=chosen,
            unknown_words=unknown,
        )

    def _kept(self, weighted: Float[Tensor, " object"]) -> Float[Tensor, " object"]:
        """Scores of the objects of the level asked for, and of the `top` best ones."""
        if self.config.level is not None:
            own = self.laga.object_level == self.laga.level_names.index(self.config.level)
            weighted = torch.where(own, weighted, 0.0)
        if self.config.top is not None:
            if self.config.fusion == "best":  # other levels hold the same things again
                weighted = torch.where(
                    self.laga.object_level == best_level(self.laga, weighted, self.config), weighted, 0.0
                )
            weighted = weighted.clone()
            weighted[weighted.argsort(descending=True, stable=True)[self.config.top :]] = 0.0
        return weighted

    def _smoothed(self, chosen: Bool[Tensor, " gaussian"]) -> Bool[Tensor, " gaussian"]:
        if self.config.neighbours == 1:
            return chosen
        if self._near is None:
            self._near = neighbour_weights(
                self.laga.scene,
                neighbours=self.config.neighbours,
                sigma_space=self.config.sigma_space,
                sigma_colour=self.config.sigma_colour,
            )
        return smooth(chosen.float(), self._near, sigma_score=self.config.sigma_score) > 0.5

    def _shares_at(self, cameras: CameraBatch, pixel: int, row: Int[Tensor, " gaussian"]) -> Float[Tensor, " object"]:
        """Share of each object in what was painted at one pixel; what is in no object takes its share too."""
        options = RasterOptions(antialiased=self.laga.antialiased)
        blending = self._renderer.blending_weights(splats_of(self.laga.scene), cameras, options=options)[0]
        entries = slice(int(blending.row_offsets[pixel]), int(blending.row_offsets[pixel + 1]))
        owners, weights = row[blending.gaussians[entries].long().cpu()], blending.weights[entries].cpu()
        votes = torch.zeros(self.laga.object_count).index_add(0, owners[owners >= 0], weights[owners >= 0])
        return votes / weights.sum().clamp(min=1e-12)


def query_scene(
    laga: LagaScene, phrases: Sequence[str], encoder: ImageTextEncoder, *, config: QueryConfig = QueryConfig()
) -> tuple[QueryResult, ...]:
    """One answer per phrase.

    Raises:
        InvalidInputError: the scene's descriptors are of another encoder, or a phrase is empty.
    """
    queries = SceneQueries(laga, encoder, config=config)
    return tuple(queries.text(phrase) for phrase in phrases)


def fused_scores(
    laga: LagaScene, weighted: Float[Tensor, " object"], config: QueryConfig
) -> Float[Tensor, " gaussian"]:
    """Score of each Gaussian from the scores of its objects on all levels."""
    per_level = padded_scores(weighted)[laga.gaussian_object]
    if config.level is not None:
        return per_level[laga.level_names.index(config.level)]
    if config.fusion == "mean":
        return per_level.mean(0)
    if config.fusion == "max":
        return per_level.amax(0)
    if config.fusion == "disjoint":
        return padded_scores(disjoint_scores(laga, weighted))[laga.gaussian_object].amax(0)
    return per_level[best_level(laga, weighted, config)]


def padded_scores(weighted: Float[Tensor, " object"]) -> Float[Tensor, " object_and_none"]:
    """Scores without negative ones, and a zero in the last place: what -1, in no object, reads."""
    return torch.cat([weighted.clamp(min=0), torch.zeros(1)])


def disjoint_scores(
    laga: LagaScene, weighted: Float[Tensor, " object"], *, overlap: float = 0.3
) -> Float[Tensor, " object"]:
    """The scores without those of objects that share Gaussians with a better one.

    Levels hold the same things again, as parts and in groups. The best object wins; whatever shares more than `overlap`
    of its own Gaussians, or of the winner's, with winners is out. So one thing may be found on a fine level and
    another one on a coarse level.
    """
    kept = torch.zeros_like(weighted)
    owner = torch.full((laga.gaussian_object.shape[1],), -1)
    sizes = torch.zeros(laga.object_count, dtype=torch.long)
    for number in weighted.argsort(descending=True, stable=True).tolist():
        if weighted[number] <= 0:
            break
        own = laga.gaussian_object[int(laga.object_level[number])] == number
        sizes[number] = int(own.sum())
        taken = owner[own]
        shared = torch.bincount(taken[taken >= 0], minlength=laga.object_count)
        if int(shared.sum()) > overlap * int(sizes[number]) or bool((shared > overlap * sizes.clamp(min=1)).any()):
            continue
        kept[number] = weighted[number]
        owner[own & (owner < 0)] = number
    return kept


def best_level(laga: LagaScene, weighted: Float[Tensor, " object"], config: QueryConfig = QueryConfig()) -> int:
    """Level of the object with the highest score; of the finer ones where several have it.

    A thing's telling side alone is as much to the point as the whole thing, so a part wins by a hair now and then. A
    coarser level takes its place where the best object of that level has nearly its score and holds most of it.
    """
    best = torch.zeros(len(laga.level_names)).scatter_reduce(0, laga.object_level, weighted, "amax")
    level = int(best.argmax())
    if not len(weighted) or best[level] <= 0:
        return level
    inside = laga.gaussian_object[level] == int(weighted.argmax())
    for coarser in range(len(best) - 1, level, -1):
        whole = int(torch.where(laga.object_level == coarser, weighted, -1.0).argmax())
        held = (laga.gaussian_object[coarser][inside] == whole).float().mean()
        if best[coarser] >= config.whole_relevance * best[level] and float(held) >= config.whole_share:
            return coarser
    return level


def relative_scores(scores: Float[Tensor, " gaussian"], quantile: float) -> Float[Tensor, " gaussian"]:
    """Scores stretched to 0-1 after everything below the quantile is lifted to it.

    Where that would lift everything to the highest score, because the best object is most of the scene, nothing is
    lifted. Scores that are all alike become 1, or stay 0.

    Example:
        >>> relative_scores(torch.tensor([0.0, 1.0, 2.0, 3.0]), 1 / 3).tolist()
        [0.0, 0.0, 0.5, 1.0]
    """
    if not len(scores):
        return scores
    low, high = torch.quantile(scores[:: max(1, len(scores) // 1_000_000)], quantile), scores.max()
    if low >= high:
        low = scores.min()
    if low >= high:
        return (scores > 0).to(scores.dtype)
    return (scores.clamp(min=low) - low) / (high - low)


def _level_index(laga: LagaScene, name: str) -> int:
    if name not in laga.level_names:
        raise InvalidInputError(
            f"Expected a level of {', '.join(laga.level_names)}, found {name!r}. Choose one of the scene's levels."
        )
    return laga.level_names.index(name)


def _status(best: float, thresholds: tuple[float, float]) -> Status:
    found, uncertain = thresholds
    if best <= 0:
        return "not found"
    if best >= found:
        return "found"
    return "uncertain" if best >= uncertain else "not found"


def _objects_of(
    laga: LagaScene, weighted: Float[Tensor, " object"], chosen: Bool[Tensor, " gaussian"]
) -> Int[Tensor, " chosen_object"]:
    """Objects with a score, most of whose Gaussians were chosen, best first."""
    flat = laga.gaussian_object.flatten()
    inside = chosen.repeat(laga.gaussian_object.shape[0])
    known = flat >= 0
    sizes = torch.bincount(flat[known], minlength=laga.object_count)
    hits = torch.bincount(flat[known & inside], minlength=laga.object_count)
    found = ((hits > 0.5 * sizes) & (weighted > 0)).nonzero().flatten()
    return found[weighted[found].argsort(descending=True, stable=True)]
