"""Losses of grounded answers: the words, the masks, and what the heads say of each mask.

Weights are those of the LISA family (words 1, binary cross-entropy 2, Dice 0.5), with presence 0.5 and estimated
overlap 0.1. All is computed in float32. A mask target is the share of a pixel that is inside, 0-1, or `IGNORED`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from medseg.errors import InvalidInputError
from medseg.grounding.mask_decoder import DecodedMasks
from medseg.grounding.projection import StateSays

IGNORED = 255.0
"""Target of a pixel that no loss looks at, as in ReasonSeg; also of the padding beside a picture."""
_SMALL = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class LossWeights:
    """What each loss counts; the last three are our own."""

    words: float = 1.0
    """Cross-entropy of the answer's tokens, marks included."""
    cross_entropy: float = 2.0
    """Binary cross-entropy of the pixels."""
    dice: float = 0.5
    """1 - soft Dice, of masks that are not empty."""
    presence: float = 0.5
    """Whether the target is there: of the state, and of the decoder's own head where it has one."""
    overlap: float = 0.1
    """Squared error of the estimated overlap (IoU)."""
    fine: float = 0.1
    """Whether the target is thin or small."""
    of_previous: float = 0.1
    """Whether the target is, or is a part of, what was marked before."""
    part: float = 0.1
    """Which part of a mask is meant."""

    def __post_init__(self) -> None:
        wrong = [part.name for part in fields(self) if not 0 <= getattr(self, part.name) < float("inf")]
        if wrong:
            raise InvalidInputError(
                f"Loss weights: expected finite numbers of 0 and more, found others in {', '.join(wrong)}. Change them."
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskTruth:
    """What is true of each mask asked for."""

    masks: Float[Tensor, "token h w"]
    """On the decoder's grid: share of each pixel that is inside, or `IGNORED`."""
    present: Bool[Tensor, " token"]
    """The picture shows the target."""
    visible: Bool[Tensor, " token"]
    """So does the part of it that the decoder was given."""
    fine: Bool[Tensor, " token"]
    """It is thin or small."""
    of_previous: Bool[Tensor, " token"]
    """It is, or is a part of, what was marked before."""
    part: Int[Tensor, " token"]
    """Number in `PARTS` of the part of a mask that is meant; -1 where it is none of them."""


def grounding_losses(decoded: DecodedMasks, says: StateSays, truth: MaskTruth) -> dict[str, Float[Tensor, ""]]:
    """Each loss of masks by the name it has in `LossWeights`; a loss that no mask takes part in is 0.

    Sums over masks are divided by the number of masks that take part: an empty mask has no Dice, and none of estimated
    overlap.
    """
    with torch.autocast(decoded.logits.device.type, enabled=False):
        logits = decoded.logits.float()
        filled = _filled(truth.masks)
        presence = _bce(says.present, truth.present)
        if decoded.object_logits is not None:
            presence = (presence + _bce(decoded.object_logits, truth.visible)) / 2
        overlaps = torch.where(filled, decoded.overlap.float() - true_overlaps(logits, truth.masks), 0.0)
        return {
            "cross_entropy": mask_cross_entropies(logits, truth.masks).mean() if len(logits) else logits.sum(),
            "dice": _mean_where(mask_dice_losses(logits, truth.masks), filled),
            "presence": presence,
            "overlap": _mean_where(overlaps.square(), filled),
            "fine": _mean_where(_each_bce(says.fine, truth.fine), truth.present),
            "of_previous": _bce(says.of_previous, truth.of_previous),
            "part": _part_loss(says.part, truth.part),
        }


def mask_cross_entropies(
    logits: Float[Tensor, "mask h w"], targets: Float[Tensor, "mask h w"]
) -> Float[Tensor, " mask"]:
    """Binary cross-entropy of each mask, mean over the pixels that are not ignored; 0 where all are.

    Example:
        >>> mask_cross_entropies(torch.zeros(1, 1, 2), torch.tensor([[[1.0, 255.0]]])).item()  # log 2
        0.6931471824645996
    """
    known = targets != IGNORED
    each = binary_cross_entropy_with_logits(logits.float(), targets.float().clamp(0, 1), reduction="none")
    return torch.where(known, each, 0.0).flatten(1).sum(1) / known.flatten(1).sum(1).clamp(min=1)


def mask_dice_losses(logits: Float[Tensor, "mask h w"], targets: Float[Tensor, "mask h w"]) -> Float[Tensor, " mask"]:
    """1 - soft Dice of each mask over the pixels that are not ignored; 0 where the reference is empty.

    Example:
        >>> round(mask_dice_losses(torch.zeros(1, 2, 1), torch.tensor([[[1.0], [0.0]]])).item(), 4)  # 1 - 2 * 0.5 / 2
        0.5
    """
    known = targets != IGNORED
    chance = torch.where(known, logits.float().sigmoid(), 0.0).flatten(1)
    inside = torch.where(known, targets.float(), 0.0).flatten(1)
    both = (chance * inside).sum(1)
    loss = 1 - (2 * both + _SMALL) / (chance.sum(1) + inside.sum(1) + _SMALL)
    return torch.where(_filled(targets), loss, 0.0)


@torch.no_grad()
def true_overlaps(logits: Float[Tensor, "mask h w"], targets: Float[Tensor, "mask h w"]) -> Float[Tensor, " mask"]:
    """Overlap (IoU) of each mask with its reference, both as yes or no; 1 where both are empty."""
    known = targets != IGNORED
    marked, inside = (logits > 0) & known, (targets > 0.5) & known
    both, either = (marked & inside).flatten(1).sum(1), (marked | inside).flatten(1).sum(1)
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def words_loss(
    logits: Float[Tensor, "row token word"], ids: Int[Tensor, "row token"], taught: Bool[Tensor, "row token"]
) -> tuple[Float[Tensor, ""], Int[Tensor, ""], Int[Tensor, ""]]:
    """Cross-entropy summed over the taught tokens, how many there are, and how many are the likeliest word."""
    chosen = taught[:, 1:]
    predicted, wanted = logits[:, :-1][chosen].float(), ids[:, 1:][chosen]
    total = cross_entropy(predicted, wanted, reduction="sum") if len(wanted) else predicted.sum()
    right = (predicted.detach().argmax(-1) == wanted).sum()
    return total, chosen.sum(), right


def weighted(losses: dict[str, Float[Tensor, ""]], weights: LossWeights) -> Float[Tensor, ""]:
    """The sum of losses, each times its weight."""
    return torch.stack([getattr(weights, name) * value for name, value in losses.items()]).sum()


def _filled(targets: Tensor) -> Tensor:
    return ((targets > 0) & (targets != IGNORED)).flatten(1).any(1)


def _each_bce(logits: Tensor, truth: Tensor) -> Tensor:
    return binary_cross_entropy_with_logits(logits.float(), truth.float(), reduction="none")


def _bce(logits: Tensor, truth: Tensor) -> Tensor:
    return _each_bce(logits, truth).sum() / max(1, len(truth))


def _part_loss(logits: Tensor, truth: Tensor) -> Tensor:
    each = cross_entropy(logits.float(), truth.clamp(min=0), reduction="none")
    return _mean_where(each, truth >= 0)


def _mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    return torch.where(chosen, values, 0.0).sum() / chosen.sum().clamp(min=1)
