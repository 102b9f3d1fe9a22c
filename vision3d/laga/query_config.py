"""`QueryConfig`: every threshold between a phrase and the Gaussians it selects, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from vision3d.errors import InvalidInputError

FUSIONS = ("best", "mean", "max", "disjoint")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryConfig:
    """From scores of objects to a selection."""

    fusion: str = "best"
    """How levels become one score per Gaussian: `mean` is LaGa's, `max` takes the best level of each Gaussian, `best`
    keeps the one level on which the phrase is most relevant, `disjoint` takes the best objects of all levels that share
    no Gaussians."""
    level: str | None = None
    """Look at this level alone, e.g. `s`; overrides the fusion."""
    top: int | None = None
    """Keep at most this many objects, the best ones; None keeps all that pass."""
    selection_threshold: float = 0.8
    """Share of the best score, after the minimum is taken off, from which a Gaussian is selected. LaGa takes 0.6, with
    the mean over the levels, of which hardly any Gaussian reaches the best; on one level a second object at 0.6 is
    mostly another thing. Chosen on scenes that no benchmark uses."""
    whole_relevance: float = 0.95
    """A coarser level takes the place of the best one where its best object has this share of the best score; chosen
    with the threshold above. Above 1, never."""
    whole_share: float = 0.7
    """And where that object holds this share of the best one's Gaussians."""
    quantile: float = 0.25
    """Scores below this quantile over all Gaussians count as it. LaGa's."""
    cosine_gate: float | None = None
    """Objects whose cosine stays below are out; None takes the encoder's own gate."""
    found_relevance: float | None = None
    """Relevance of the best object, times the weight of the descriptor that says so, from which the phrase is found;
    None takes the encoder's own, which was measured for it or is the general default."""
    uncertain_relevance: float | None = None
    """Between this and `found_relevance` the answer is uncertain; below, the phrase is not found. None likewise."""
    neighbours: int = 16
    """Neighbours of the smoothing, the Gaussian itself included; 1 switches it off."""
    sigma_space: float = 0.5
    """Width of the smoothing in units of the median distance to the farthest of these neighbours, so that the scene's
    scale does not matter."""
    sigma_score: float = 0.5
    """Width in score."""
    sigma_colour: float = 0.5
    """Width in colour 0-1."""
    render_threshold: float = 0.5
    """Composited share of the selection from which a pixel is in its 2D mask; LaGa takes 0.1 and erodes by 2 pixels."""

    def __post_init__(self) -> None:
        own = (self.found_relevance, self.uncertain_relevance)
        shares = (self.selection_threshold, self.quantile, *(value for value in own if value is not None))
        if self.fusion not in FUSIONS or not all(0 <= share <= 1 for share in (*shares, self.render_threshold)):
            raise InvalidInputError(
                f"QueryConfig: expected a fusion of {', '.join(FUSIONS)} and thresholds in 0-1, found {self.fusion!r} "
                f"and {(*shares, self.render_threshold)}. Change them."
            )
        if min(self.whole_relevance, self.whole_share) < 0:
            raise InvalidInputError(
                f"QueryConfig: expected whole_relevance and whole_share of at least 0, found {self.whole_relevance} "
                f"and {self.whole_share}. Change them."
            )
        if self.neighbours < 1 or min(self.sigma_space, self.sigma_score, self.sigma_colour) <= 0:
            raise InvalidInputError(
                f"QueryConfig: expected at least 1 neighbour and positive sigmas, found {self.neighbours} and "
                f"{(self.sigma_space, self.sigma_score, self.sigma_colour)}. Change them."
            )
        if self.top is not None and self.top < 1:
            raise InvalidInputError(f"QueryConfig: expected top of at least 1, found {self.top}. Use None for all.")
