"""`propagate`: masks of a volume by a 2D decoder, slice by slice with the same prompt vector.

Three steps: every slice is decoded; presence is smoothed along the slices (`presence_chain`); from the key slice, the
one that shows the target best or that somebody chose, the run is followed both ways until it stops. With `carry_mask`
slices are decoded once more on the way, each with its neighbour's mask as the dense prompt. The route of specialised
trackers (SAM 2's memory) is another one. Research use only; not a medical device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import interpolate

from medseg.errors import InvalidInputError
from medseg.grounding.decode_picture import PictureDecoder, PictureMasks
from medseg.grounding.mask_decoder import MaskDecoder
from medseg.grounding.presence_chain import most_likely_presence, run_through
from medseg.study.slice_plan import SlicePlan

DecodeSlice = Callable[[int, Float[Tensor, "token prompt"], Float[Tensor, "token height width"] | None], PictureMasks]
"""Number of a slice, prompts, and logits of a neighbour's masks (or None) -> masks on the slice's own pixels."""
_NOTHING_DRAWN = -6.0
"""Evidence of a slice where no pixel was drawn."""
_OVERLAP_EDGE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class PropagationConfig:
    """How slices are joined."""

    stay: float = 0.9
    """Chance that the target is there in a slice if it is in the one before, and absent if absent."""
    gap: int = 3
    """Slices in a row without the target that end it."""
    least_share: float = 0.02
    """Share of the largest area below which a slice counts as one without."""
    follow: bool = True
    """Keep the run of the key slice alone; False keeps every slice that is present, for targets that come again."""
    carry_mask: bool = False
    """Decode once more on the way out, with the neighbour's mask as dense prompt."""

    def __post_init__(self) -> None:
        if not (0.5 <= self.stay < 1 and self.gap >= 1 and 0 <= self.least_share < 1):
            raise InvalidInputError(
                f"PropagationConfig: expected stay of 0.5 to below 1, gap of 1 and more and least_share in 0-1, found "
                f"{self.stay}, {self.gap} and {self.least_share}. Change them."
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SliceMasks:
    """Masks of tokens through a stack of slices."""

    masks: Bool[ndarray, "token slice height width"]
    """Empty in slices without the target."""
    evidence: Float[ndarray, "token slice"]
    """Log-odds of each slice on its own."""
    key: Int[ndarray, " token"]
    """The slice that each run starts from; -1 where no slice shows the target."""
    overlap: Float[ndarray, " token"]
    """Estimated overlap, the mean over kept slices weighted by area; 0 where there are none."""


def propagate_pictures(
    decoder: MaskDecoder,
    picture_of: Callable[[int], UInt8[ndarray, "height width 3"]],
    plan: SlicePlan,
    prompts: Float[Tensor, "token prompt"],
    config: PropagationConfig = PropagationConfig(),
    *,
    key: int | None = None,
) -> SliceMasks:
    """`propagate` with a decoder of pictures, on the slices of a plan (`plan_slices` chooses the plane).

    Args:
        decoder: SAM, MedSAM or the embedded one.
        picture_of: Number of a slice -> that slice in its window, RGB of 0-255, pixels square or not.
        plan: How the volume is cut; `plan.volume_of` brings the masks back onto its grid.
        prompts: Projected [SEG] states; there may be none.
        config: How slices are joined.
        key: A slice that is known to show the targets.
    """

    def decode(number: int, some: Tensor, previous: Tensor | None) -> PictureMasks:
        picture = picture_of(number)
        size = (picture.shape[0], picture.shape[1])
        if previous is not None:
            previous = _resized(previous, size)
        found = PictureDecoder(decoder, picture).decode(some, np.zeros(len(some), dtype=bool), previous)
        logits = _resized(found.logits, (plan.shape[1], plan.shape[2]))
        return PictureMasks(logits=logits, overlap=found.overlap, object_logits=found.object_logits)

    return propagate(decode, plan.shape, prompts, config, key=key)


@torch.no_grad()
def propagate(
    decode: DecodeSlice,
    shape: tuple[int, int, int],
    prompts: Float[Tensor, "token prompt"],
    config: PropagationConfig = PropagationConfig(),
    *,
    key: int | None = None,
) -> SliceMasks:
    """Masks of the tokens through `shape` (slices, height, width); every token is followed on its own.

    Raises:
        InvalidInputError: there is no slice `key`.
    """
    if key is not None and not 0 <= key < shape[0]:
        raise InvalidInputError(f"Key slice: expected 0 to {shape[0] - 1}, found {key}. Choose another.")
    masks = np.zeros((len(prompts), *shape), dtype=bool)
    evidence, overlap = (np.zeros((len(prompts), shape[0])) for _ in range(2))
    if not len(prompts):
        return SliceMasks(masks=masks, evidence=evidence, key=np.zeros(0, dtype=int), overlap=np.zeros(0))
    for number in range(shape[0]):
        found = decode(number, prompts, None)
        masks[:, number] = (found.logits > 0).cpu().numpy()
        evidence[:, number] = _evidence(found)
        overlap[:, number] = found.overlap.float().cpu().numpy()
    keys = np.full(len(prompts), -1)
    for token in range(len(prompts)):
        keys[token] = _join(masks[token], evidence[token], overlap[token], config, key)
        if config.carry_mask and keys[token] >= 0:
            _carry(decode, prompts[token : token + 1], int(keys[token]), masks[token], overlap[token], config)
    areas = masks.sum(axis=(2, 3))
    mean = (overlap * areas).sum(axis=1) / np.maximum(areas.sum(axis=1), 1)
    return SliceMasks(masks=masks, evidence=evidence, key=keys, overlap=mean)


def _evidence(found: PictureMasks) -> Float[ndarray, " token"]:
    """Log-odds that a slice shows the target: the object head's where there is one, else those of the overlap."""
    share = found.overlap.double().clamp(_OVERLAP_EDGE, 1 - _OVERLAP_EDGE)
    said = torch.where(torch.isposinf(found.object_logits), torch.logit(share), found.object_logits.double())
    drawn = (found.logits > 0).flatten(1).any(1)
    return torch.where(drawn, said, said.clamp(max=_NOTHING_DRAWN)).cpu().numpy()


def _join(
    masks: Bool[ndarray, "slice height width"],
    evidence: Float[ndarray, " slice"],
    overlap: Float[ndarray, " slice"],
    config: PropagationConfig,
    key: int | None,
) -> int:
    """Empty the slices of one token where it is not there, in place; the key slice, -1 where there is none."""
    areas = masks.sum(axis=(1, 2))
    certain = key if key is not None and areas[key] else None
    present = most_likely_presence(evidence, config.stay, certain) & (areas > 0)
    kept, chosen = present, -1
    if present.any():
        chosen = certain if certain is not None else int(np.argmax(np.where(present, areas * overlap.clip(0.01), -1.0)))
        if config.follow:
            kept = run_through(present, areas, chosen, gap=config.gap, least_share=config.least_share)
    masks[~kept] = False
    return chosen


def _carry(
    decode: DecodeSlice,
    prompt: Float[Tensor, "1 prompt"],
    key: int,
    masks: Bool[ndarray, "slice height width"],
    overlap: Float[ndarray, " slice"],
    config: PropagationConfig,
) -> None:
    """Decode the kept slices once more from `key` outwards, each with its inner neighbour's logits, in place.

    A slice that was kept and is empty now ends the run on its side, as `gap` slices in a row do.
    """
    start = decode(key, prompt, None).logits
    kept = masks.any(axis=(1, 2))
    for step in (1, -1):
        previous, missed, number = start, 0, key + step
        while 0 <= number < len(masks):
            if kept[number] and missed < config.gap:
                found = decode(number, prompt, previous)
                masks[number] = (found.logits[0] > 0).cpu().numpy()
                overlap[number] = float(found.overlap[0])
                previous = found.logits if masks[number].any() else previous
            else:
                masks[number] = False
            missed = 0 if masks[number].any() else missed + 1
            number += step


def _resized(logits: Float[Tensor, "token a b"], size: tuple[int, int]) -> Float[Tensor, "token height width"]:
    if tuple(logits.shape[1:]) == size:
        return logits
    return interpolate(logits[None], size, mode="bilinear", align_corners=False)[0]
