"""`PictureDecoder`: masks of prompt vectors on the pixels of one picture of any size, whole or in overlapping windows.

A target of thin or small structures (vessels, membranes, nuclei) is decoded in windows of the picture at twice the
resolution, blended where they overlap; everything else in the whole picture at once. A target that looks the same in a
mirror may be decoded both ways round, and the mean taken. Maps of the picture are made when they are first needed and
kept for the next question.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import interpolate

from medseg.grounding.mask_decoder import EncodedPictures, MaskDecoder
from medseg.grounding.picture_fit import PictureFit

FINE_FACTOR = 2
"""The picture's longer side in windows, in sides of the decoder's square."""
_OVERLAP = 0.25
"""Least share of a window that the next one repeats."""
_WINDOWS_AT_ONCE = 4
_FLAT_LOGIT = 8.0
"""Logits of an earlier mask are cut to this size."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PictureMasks:
    """One mask per prompt, on the picture's own pixels."""

    logits: Float[Tensor, "token height width"]
    """In the mask where above 0."""
    overlap: Float[Tensor, " token"]
    """Estimated overlap (IoU) with the truth, 0-1."""
    object_logits: Float[Tensor, " token"]
    """Evidence in the picture that the target is there; plus infinity where the decoder has no such head."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _View:
    """The picture, whole or in windows, as the decoder has seen it."""

    encoded: EncodedPictures
    corners: tuple[tuple[int, int], ...]
    """Row and column of each window in the scaled picture."""
    size: tuple[int, int]
    """Of the scaled picture, padded to at least one window."""
    inside: tuple[int, int]
    """Of the picture in it."""


class PictureDecoder:
    """A decoder over one picture; asked many times, the picture is encoded once per resolution."""

    def __init__(self, decoder: MaskDecoder, picture: UInt8[ndarray, "height width 3"]) -> None:
        """`picture` is RGB of 0-255."""
        self._decoder = decoder
        self._picture = picture
        self._views: dict[tuple[bool, bool], _View] = {}

    @torch.no_grad()
    def decode(
        self,
        prompts: Float[Tensor, "token channel"],
        fine: Bool[ndarray, " token"],
        previous: Float[Tensor, "token height width"] | None = None,
        mirrored: Bool[ndarray, " token"] | None = None,
    ) -> PictureMasks:
        """Masks of the prompts; `fine` says which are decoded in windows, `mirrored` which in the mirrored picture too.

        `previous` holds an earlier mask per prompt on the picture's pixels, as logits; rows of NaN where there is none.
        """
        height, width = self._picture.shape[:2]
        logits = prompts.new_zeros((len(prompts), height, width))
        overlap, present = prompts.new_zeros(len(prompts)), prompts.new_zeros(len(prompts))
        for in_windows in (False, True):
            rows = np.flatnonzero(np.asarray(fine, bool) == in_windows)
            if len(rows):
                before = None if previous is None else previous[rows]
                found = self._decode_view(self._view(in_windows), prompts[rows], before)
                logits[rows], overlap[rows], present[rows] = found.logits, found.overlap, found.object_logits
            twice = rows if mirrored is None else rows[np.asarray(mirrored, bool)[rows]]
            if mirrored is not None and len(twice):
                before = None if previous is None else previous[twice].flip(-1)
                found = self._decode_view(self._view(in_windows, in_mirror=True), prompts[twice], before)
                logits[twice] = (logits[twice] + found.logits.flip(-1)) / 2
                overlap[twice] = (overlap[twice] + found.overlap) / 2
                present[twice] = (present[twice] + found.object_logits) / 2
        return PictureMasks(logits=logits, overlap=overlap.clamp(0, 1), object_logits=present)

    def _view(self, in_windows: bool, in_mirror: bool = False) -> _View:
        if (in_windows, in_mirror) not in self._views:
            picture = np.ascontiguousarray(self._picture[:, ::-1]) if in_mirror else self._picture
            self._views[in_windows, in_mirror] = self._encode(picture, in_windows)
        return self._views[in_windows, in_mirror]

    @torch.no_grad()
    def _encode(self, picture: UInt8[ndarray, "height width 3"], in_windows: bool) -> _View:
        fit, side = self._decoder.fit, self._decoder.fit.side
        device = next(iter(self._decoder.parameters())).device  # type: ignore[attr-defined]
        if not in_windows:
            fitted = fit.fit(picture)[None].to(device)
            inside = fit.fitted_size(*picture.shape[:2])
            return _View(encoded=self._decoder.encode(fitted), corners=((0, 0),), size=(side, side), inside=inside)
        large = PictureFit(side=FINE_FACTOR * side, aspect=fit.aspect, values=fit.values, mean=fit.mean, std=fit.std)
        inside = large.fitted_size(*picture.shape[:2])
        size = (max(side, inside[0]), max(side, inside[1]))
        fitted = large.fit(picture)[:, : size[0], : size[1]].to(device)
        corners = tuple((row, column) for row in _starts(size[0], side) for column in _starts(size[1], side))
        windows = torch.stack([fitted[:, row : row + side, column : column + side] for row, column in corners])
        parts = [self._decoder.encode(some) for some in windows.split(_WINDOWS_AT_ONCE)]
        encoded = EncodedPictures(
            embedding=torch.cat([part.embedding for part in parts]),
            fine=tuple(torch.cat(maps) for maps in zip(*(part.fine for part in parts), strict=True)),
        )
        return _View(encoded=encoded, corners=corners, size=size, inside=inside)

    def _decode_view(
        self, view: _View, prompts: Float[Tensor, "token channel"], previous: Float[Tensor, "token height width"] | None
    ) -> PictureMasks:
        side = self._decoder.fit.side
        count, windows = len(prompts), len(view.corners)
        before = self._previous_windows(view, previous)
        sums = prompts.new_zeros((count, *view.size))
        weights = prompts.new_zeros(view.size)
        window_weight = _ramp(side, prompts) if windows > 1 else prompts.new_ones((side, side))
        overlaps, areas, presents = [], [], []
        for number, (row, column) in enumerate(view.corners):
            place = torch.full((count,), number, device=prompts.device)
            found = self._decoder.decode(view.encoded, place, prompts, None if before is None else before[number])
            drawn = interpolate(found.logits[None], (side, side), mode="bilinear", align_corners=False)[0]
            sums[:, row : row + side, column : column + side] += drawn * window_weight
            weights[row : row + side, column : column + side] += window_weight
            overlaps.append(found.overlap)
            areas.append((drawn > 0).flatten(1).sum(1) + 1.0)
            none = torch.full_like(found.overlap, torch.inf)
            presents.append(none if found.object_logits is None else found.object_logits)
        area = torch.stack(areas)
        cut = (sums / weights)[:, : view.inside[0], : view.inside[1]]
        height, width = self._picture.shape[:2]
        return PictureMasks(
            logits=interpolate(cut[None], (height, width), mode="bilinear", align_corners=False)[0],
            overlap=(torch.stack(overlaps) * area).sum(0) / area.sum(0),
            object_logits=torch.stack(presents).amax(0),
        )

    def _previous_windows(self, view: _View, previous: Tensor | None) -> list[Tensor] | None:
        if previous is None:
            return None
        side = self._decoder.fit.side
        missing = torch.isnan(previous).flatten(1).any(1)
        scaled = interpolate(
            torch.nan_to_num(previous)[None], view.inside, mode="bilinear", align_corners=False, antialias=True
        )[0].clamp(-_FLAT_LOGIT, _FLAT_LOGIT)
        padded = scaled.new_full((len(previous), *view.size), -_FLAT_LOGIT)
        padded[:, : view.inside[0], : view.inside[1]] = scaled
        padded[missing] = torch.nan
        return [padded[:, row : row + side, column : column + side] for row, column in view.corners]


def _starts(size: int, side: int) -> list[int]:
    """First pixels of windows that cover a length and overlap."""
    if size <= side:
        return [0]
    count = int(np.ceil((size - side) / (side * (1 - _OVERLAP)))) + 1
    return [int(start) for start in np.round(np.linspace(0, size - side, count))]


def _ramp(side: int, like: Tensor) -> Tensor:
    """Weights that fall towards the border of a window."""
    places = torch.arange(side, device=like.device, dtype=like.dtype) + 0.5
    rise = torch.minimum(places, side - places) / side
    return rise[:, None] * rise[None]
