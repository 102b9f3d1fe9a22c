"""The mask-contrastive loss of LaGa over the pixels of one view.

Pixels of a mask are pulled to the mask's prototype, pixels outside are pushed away, level by level. Levels are nested:
what is together at a fine level must be together at the next coarser one, what is apart at a coarse level must be apart
at the next finer one. Masks of a level do not overlap, so a label map says everything, and one sum per mask gives its
prototypes at all levels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from vision3d.laga.affinity_field import level_dims

_EPSILON = 1e-9


def contrastive_loss(
    rendered: Float[Tensor, "pixel dim"],
    labels: Int[Tensor, "level pixel"],
    draws: Sequence[Float[Tensor, "pixel _"]],
    *,
    block_dims: tuple[int, ...],
    hard_negative_cosine: float = 0.5,
) -> Float[Tensor, ""]:
    """The loss of one view: minus the mean cosine inside masks, plus the positive cosine outside, plus the norm term.

    Args:
        rendered: blended features at the pixels (of blocks normalised per Gaussian).
        labels: mask at each pixel, level by level, finest first; -1 = none.
        draws: for each level numbers in [0, 1), one per pixel and mask: a pixel outside a mask is pushed away where
            its number lies below (pixels inside) / (pixels outside), or where it looks like the mask.
        block_dims: channels of each block, coarsest level first.
        hard_negative_cosine: what looks like the mask.

    Source: LaGa (arXiv 2505.24746), section 3.2, in the form its published code trains.
    """
    dims = level_dims(block_dims)
    pixels = [normalize(rendered[:, :dim], dim=-1, eps=_EPSILON) for dim in dims]
    terms = [(1 - _mean_block_length(rendered, block_dims)) ** 2]
    for level, (label, draw) in enumerate(zip(labels, draws, strict=True)):
        if not draw.shape[1]:
            continue
        inside, outside = _insides(label, draw.shape[1])
        sums = inside.T @ rendered
        at = {other: _prototypes(sums, dims, other) for other in range(level - 1, level + 2) if 0 <= other < len(dims)}
        cosines = pixels[level] @ at[level].T
        terms.append(-_mean_inside(cosines, label, level, pixels, at))
        with torch.no_grad():
            share = inside.sum(0) / outside.sum(0).clamp_min(1)
            chosen = outside * ((draw < share) | (cosines > hard_negative_cosine))
        apart = cosines if level == 0 else torch.maximum(cosines, pixels[level - 1] @ at[level - 1].T)
        terms.append((apart.relu() * chosen).sum() / chosen.sum().clamp_min(1))
    return torch.stack(terms).sum()


def _insides(label: Tensor, count: int) -> tuple[Float[Tensor, "pixel mask"], Float[Tensor, "pixel mask"]]:
    inside = (label[:, None] == torch.arange(count, device=label.device)).float()
    return inside, 1 - inside


def _prototypes(sums: Float[Tensor, "mask dim"], dims: tuple[int, ...], level: int) -> Float[Tensor, "mask level_dim"]:
    return normalize(sums[:, : dims[level]], dim=-1, eps=_EPSILON)


def _mean_inside(
    cosines: Tensor, label: Tensor, level: int, pixels: Sequence[Tensor], prototypes: dict[int, Tensor]
) -> Tensor:
    """Mean cosine of pixels with their own mask, at this level or the next coarser one, whichever is smaller."""
    (rows,) = torch.nonzero(label >= 0, as_tuple=True)
    own = label[rows].long()
    together = cosines[rows, own]
    if level + 1 in prototypes:
        coarser = (pixels[level + 1][rows] * prototypes[level + 1][own]).sum(-1)
        together = torch.minimum(together, coarser)
    return together.sum() / max(len(rows), 1)


def _mean_block_length(rendered: Tensor, block_dims: tuple[int, ...]) -> Tensor:
    lengths = [block.norm(dim=-1).mean() for block in rendered.split(list(block_dims), dim=-1)]
    return torch.stack(lengths).mean()
