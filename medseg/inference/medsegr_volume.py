"""`VolumeGrounder`: [SEG] states grounded in a picture, in every slice of a volume, or in the volume by a 3D decoder.

A volume goes to the 3D decoder where the model has one and the answer's phrase is a structure that was taught to it;
other phrases are decoded slice by slice with the same prompt, and presence is smoothed from slice to slice.
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

from medseg.errors import SegmenterError
from medseg.grounding.decode_picture import PictureDecoder, PictureMasks
from medseg.grounding.propagation import propagate
from medseg.grounding.seg_tokens import SegTokens
from medseg.grounding.volume_windows import decode_volume
from medseg.inference.shown_slice import shown_square
from medseg.model import MedSegConfig, MedSegModel
from medseg.study.slice_plan import SlicePlan, stretch
from medseg.study.volume import Volume
from medseg.study.windows import IntensityWindow

_NOWHERE = -8.0
"""Evidence of a target that was followed to no slice."""
_EARLIER_LOGIT = 6.0
"""Size of the logits as which an earlier mask enters the decoder."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroundedVolume:
    """Masks of tokens on the volume's voxels."""

    masks: tuple[Bool[ndarray, "i j k"], ...]
    overlap: Float[Tensor, " token"]
    """Estimated overlap (IoU) with the truth, 0-1."""
    object_logits: Float[Tensor, " token"]
    """Evidence that the target is there."""
    how: str
    """For the record."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Looks:
    """How pictures are looked at."""

    fine: Bool[ndarray, " token"]
    """In windows."""
    mirrored: Bool[ndarray, " token"]
    """In the mirror too."""


def same_in_a_mirror(phrase: str, config: MedSegConfig) -> bool:
    """Whether a phrase is decoded both ways round.

    Where parts are cut from masks, the half of a polyp is decoded as the polyp; where the prompt itself means the half,
    its mirror image is another half.

    Example:
        >>> cut, drawn = (MedSegConfig(earlier=one, mirrored=("polyp",)) for one in ("cut", "drawn"))
        >>> [same_in_a_mirror("image-left half of the polyp", one) for one in (cut, drawn)]
        [True, False]
    """
    name = phrase.lower()
    return (name.split(" of the ")[-1] if config.earlier == "cut" else name) in config.mirrored


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VolumeGrounder:
    """One model over one volume."""

    model: MedSegModel
    volume: Volume
    plan: SlicePlan
    window: IntensityWindow
    picture_decoder: Callable[[UInt8[ndarray, "height width 3"]], PictureDecoder]
    """Makes or finds the decoder of a picture."""
    earlier: Bool[ndarray, "i j k"] | None = None
    """A mask that enters the 2D decoder as a dense prompt of the tokens below."""
    of_earlier: Bool[ndarray, " token"] | None = None
    """Tokens that are drawn from it."""

    @torch.no_grad()
    def ground(
        self,
        tokens: SegTokens,
        fine: Bool[ndarray, " token"],
    ) -> GroundedVolume:
        """Masks of the tokens; `fine` says which pictures are decoded in windows."""
        hidden = tokens.hidden.float()
        in_volume = np.array([self._taught_in_3d(phrase) for phrase in tokens.phrases], bool)
        if self.earlier is not None and self.of_earlier is not None:
            in_volume &= ~self.of_earlier
        mirrored = [same_in_a_mirror(phrase, self.model.config) for phrase in tokens.phrases]
        looks = _Looks(fine=fine, mirrored=np.array(mirrored, bool))
        masks: list[Bool[ndarray, "i j k"]] = [np.zeros(0, bool)] * len(hidden)
        overlap, present = torch.zeros(len(hidden)), torch.zeros(len(hidden))
        how = []
        for rows, decode, words in (
            (np.flatnonzero(in_volume), self._in_volume, "3D decoder"),
            (np.flatnonzero(~in_volume), self._in_slices, "2D decoder" + ("" if self._flat else ", slice by slice")),
        ):
            if not len(rows):
                continue
            how.append(words)
            found, overlap_rows, present_rows = decode(hidden[rows], looks, rows)
            overlap[rows], present[rows] = overlap_rows.cpu(), present_rows.cpu()
            for row, mask in zip(rows, found, strict=True):
                masks[row] = mask
        return GroundedVolume(
            masks=tuple(masks), overlap=overlap, object_logits=present, how=" and ".join(how) or "none were asked for"
        )

    @property
    def _flat(self) -> bool:
        return self.plan.shape[0] == 1

    def _taught_in_3d(self, phrase: str) -> bool:
        grey = self.volume.voxels.ndim == 3
        return (
            self.model.volume_decoder is not None
            and not self._flat
            and grey
            and phrase.lower() in self.model.config.volume_structures
        )

    def _in_volume(
        self, hidden: Tensor, looks: _Looks, rows: Int[ndarray, " token"]
    ) -> tuple[list[Bool[ndarray, "i j k"]], Tensor, Tensor]:
        decoder = self.model.volume_decoder
        if decoder is None:
            raise SegmenterError("3D decoder: expected one in the model, found none. Decode slice by slice.")
        found = decode_volume(decoder, self.volume, self.model.volume_projection(hidden))
        present = found.object_logits if found.object_logits is not None else torch.full((len(hidden),), torch.inf)
        return [one.numpy() for one in (found.logits > 0).cpu()], found.overlap, present

    def _in_slices(
        self, hidden: Tensor, looks: _Looks, rows: Int[ndarray, " token"]
    ) -> tuple[list[Bool[ndarray, "i j k"]], Tensor, Tensor]:
        prompts = self.model.projection(hidden)

        def decode(number: int, some: Tensor, _neighbour: Tensor | None) -> PictureMasks:
            picture = shown_square(self.volume, self.plan, number, self.window)
            previous = self._previous(number, (picture.shape[0], picture.shape[1]), rows)
            found = self.picture_decoder(picture).decode(some, looks.fine[rows], previous, looks.mirrored[rows])
            size = (self.plan.shape[1], self.plan.shape[2])
            logits = found.logits
            if tuple(logits.shape[1:]) != size:
                logits = interpolate(logits[None], size, mode="bilinear", align_corners=False)[0]
            return PictureMasks(logits=logits, overlap=found.overlap, object_logits=found.object_logits)

        if self._flat:
            found = decode(0, prompts, None)
            masks = (found.logits > 0).cpu().numpy()[:, None]
            return [self.plan.volume_of(one) for one in masks], found.overlap, found.object_logits
        followed = propagate(decode, self.plan.shape, prompts)
        # where no slice was kept, no single one speaks for the target
        evidence = torch.from_numpy(np.where(followed.key >= 0, followed.evidence.max(1), _NOWHERE)).float()
        return (
            [self.plan.volume_of(one) for one in followed.masks],
            torch.from_numpy(followed.overlap).float(),
            evidence,
        )

    def _previous(
        self, number: int, size: tuple[int, ...], rows: Int[ndarray, " token"]
    ) -> Float[Tensor, "token height width"] | None:
        """The earlier mask in one slice as logits, for the tokens drawn from it; NaN for the others."""
        if self.earlier is None or self.of_earlier is None or not self.of_earlier[rows].any():
            return None
        mask = self.plan.pictures(self.earlier)[number].astype(np.uint8)
        if mask.shape != tuple(size):
            mask = stretch(mask, (size[0], size[1]), "nearest")
        logits = (torch.from_numpy(np.ascontiguousarray(mask)).float() * 2 - 1) * _EARLIER_LOGIT
        previous = torch.full((len(rows), *mask.shape), torch.nan)
        previous[np.flatnonzero(self.of_earlier[rows])] = logits
        return previous.to(self.model.heads.weight.device)
