"""`AffinityConfig`: every setting of the trained affinity features, and what follows from it for a given scene."""

from __future__ import annotations

from dataclasses import dataclass

from vision3d.errors import InvalidInputError

_FEATURE_DIM = 32
_PUBLISHED_MINIMUM, _PUBLISHED_PIXELS = 400, 986 * 728
_LEAST_MINIMUM = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AffinityConfig:
    """Settings of the contrastive training. The published ones where nothing else is said.

    Example:
        >>> config = AffinityConfig()
        >>> config.blocks(3), config.least_pixels(728, 986), config.least_pixels(256, 256)
        ((16, 8, 8), 400, 37)
    """

    steps: int = 1_000
    """Steps of one view each (published: 30,000). More of them also learn the mistakes of the masks."""
    block_dims: tuple[int, ...] | None = None
    """Channels each level adds, coarsest level first; None = 16 for the coarsest of 32, the others share the rest."""
    learning_rate: float = 2.5e-3
    """Of Adam, for the features."""
    adam_epsilon: float = 1e-15
    """Of Adam."""
    initial_sigma: float = 0.01
    """Standard deviation of the features at the start."""
    pixels_per_step: int | None = 4_096
    """Pixels drawn from the view of each step; None = all of them, as published."""
    minimum_pixels: int | None = None
    """Masks of no more pixels are left out; None = as large a share as 400 pixels of 986 x 728, but at least 20."""
    duplicate_iou: float = 0.8
    """Masks that overlap a finer level's mask this much do not train a second time."""
    hard_negative_cosine: float = 0.5
    """Pixels outside a mask that look this much like it are always pushed away."""
    train_opacity: bool = False
    """Train the opacities too (published: yes), on the rasteriser instead of frozen blending weights: much slower."""
    opacity_learning_rate: float = 0.05
    """Of Adam, for the opacity logits."""
    minimum_weight: float = 0.005
    """Blending weights below this are dropped from the frozen views."""
    memory_budget: int = 1_000_000_000
    """Bytes of frozen blending weights kept; views beyond it are made anew each time."""
    seed: int = 0
    """Of the start, the order of the views and the sampled pixels."""

    def __post_init__(self) -> None:
        positive = ("steps", "learning_rate", "adam_epsilon", "initial_sigma", "opacity_learning_rate")
        for name in positive:
            if not getattr(self, name) > 0:
                raise InvalidInputError(f"AffinityConfig.{name}: expected more than 0, found {getattr(self, name)}.")
        for name in ("pixels_per_step", "minimum_pixels"):
            value = getattr(self, name)
            if value is not None and value < (name == "pixels_per_step"):
                raise InvalidInputError(f"AffinityConfig.{name}: expected a number of pixels or None, found {value}.")
        if self.block_dims is not None and (not self.block_dims or min(self.block_dims) < 1):
            raise InvalidInputError(
                f"AffinityConfig.block_dims: expected at least 1 channel per level, found {self.block_dims}."
            )

    def blocks(self, level_count: int) -> tuple[int, ...]:
        """Channels that each of `level_count` levels adds, coarsest level first.

        Raises:
            InvalidInputError: `block_dims` is for another number of levels, or there are no or too many levels.
        """
        if self.block_dims is not None:
            if len(self.block_dims) != level_count:
                raise InvalidInputError(
                    f"AffinityConfig.block_dims: expected one block for each of {level_count} levels, found "
                    f"{self.block_dims}. Give as many numbers as the masks have levels, or None."
                )
            return self.block_dims
        half = _FEATURE_DIM // 2
        if not 1 <= level_count <= half + 1:
            raise InvalidInputError(f"Expected masks of 1 to {half + 1} levels, found {level_count}. Use fewer levels.")
        if level_count == 1:
            return (_FEATURE_DIM,)
        share, left = divmod(half, level_count - 1)
        return (half, *(share + (place < left) for place in range(level_count - 1)))

    def least_pixels(self, height: int, width: int) -> int:
        """Pixels that a mask of an image of this size must exceed."""
        if self.minimum_pixels is not None:
            return self.minimum_pixels
        return max(_LEAST_MINIMUM, round(_PUBLISHED_MINIMUM * height * width / _PUBLISHED_PIXELS))
