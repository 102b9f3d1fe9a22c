"""`decode_volume`: masks of a whole volume on its own grid, in one pass or window by window through MONAI's inferer.

The prompt vectors are the same in every window. Logits of windows are blended; the overlap is the mean over windows
weighted by the mask each drew, and the target is there where the surest window saw it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from monai.inferers.utils import sliding_window_inference
from torch import Tensor

from medseg.errors import InvalidInputError, SegmenterError
from medseg.grounding.volume_fit import FittedVolume
from medseg.grounding.volume_protocol import DecodedVolumeMasks, VolumeDecoder
from medseg.study.volume import Volume


@torch.no_grad()
def decode_volume(
    decoder: VolumeDecoder, volume: Volume, prompts: Float[Tensor, "token width"], *, overlap: float = 0.25
) -> DecodedVolumeMasks:
    """Masks of the tokens, logits on the volume's own grid.

    Args:
        decoder: In evaluation mode.
        volume: Of one channel, any orientation and spacing.
        prompts: Projected [SEG] states; there may be none.
        overlap: Share of a window that the next one repeats.

    Raises:
        InvalidInputError: the volume cannot be fitted, see `VolumeFit.fit`.
    """
    if not len(prompts):
        none = prompts.new_zeros(0)
        return DecodedVolumeMasks(logits=prompts.new_zeros((0, *volume.shape)), overlap=none, object_logits=none)
    fitted = decoder.fit.fit(volume)
    decoded = decode_fitted(decoder, fitted, prompts, overlap=overlap)
    return DecodedVolumeMasks(
        logits=decoder.fit.back(decoded.logits, fitted), overlap=decoded.overlap, object_logits=decoded.object_logits
    )


@torch.no_grad()
def decode_fitted(
    decoder: VolumeDecoder, fitted: FittedVolume, prompts: Float[Tensor, "token width"], *, overlap: float = 0.25
) -> DecodedVolumeMasks:
    """Masks on the grid of `fitted.values`; see `decode_volume`."""
    values = fitted.values[None].to(prompts.device)
    if tuple(values.shape[2:]) == decoder.fit.patch:
        return decoder.decode(decoder.encode(values), _of_volume(0, len(prompts), prompts), prompts)
    said = WindowHeads()
    network = window_network(decoder, prompts, said)
    logits = sliding_window_inference(values, decoder.fit.patch, 1, network, overlap=overlap, mode="gaussian")
    if not isinstance(logits, Tensor):
        raise SegmenterError("Sliding window: expected one tensor of logits, found several. Update monai.")
    return DecodedVolumeMasks(logits=logits[0], overlap=said.overlap(), object_logits=said.object_logits)


class WindowHeads:
    """What the heads of a decoder said in all windows so far."""

    def __init__(self) -> None:
        self.object_logits: Float[Tensor, " token"] | None = None
        """Largest evidence of any window that the target is there; None before the first, or without such a head."""
        self._weights: Tensor | float = 0.0
        self._weighted: Tensor | float = 0.0

    def add(self, decoded: DecodedVolumeMasks) -> None:
        """Take one window's answer in."""
        drawn = torch.sigmoid(decoded.logits).sum((1, 2, 3)) + 1e-6
        self._weights = self._weights + drawn
        self._weighted = self._weighted + drawn * decoded.overlap
        surest = decoded.object_logits
        if surest is not None:
            self.object_logits = surest if self.object_logits is None else torch.maximum(self.object_logits, surest)

    def overlap(self) -> Float[Tensor, " token"]:
        """Mean of the overlaps, each weighted by the voxels its window drew.

        Raises:
            InvalidInputError: no window was seen.
        """
        if not isinstance(self._weighted, Tensor):
            raise InvalidInputError("Windows: expected at least one, found none. Run the network first.")
        return self._weighted / self._weights


def window_network(
    decoder: VolumeDecoder, prompts: Float[Tensor, "token width"], said: WindowHeads | None = None
) -> Callable[[Tensor], Tensor]:
    """A network of windows [window 1 i j k] -> logits [window token i j k], as sliding windows take it.

    What each window's heads say is added to `said`.
    """

    def network(windows: Tensor) -> Tensor:
        encoded = decoder.encode(windows)
        found = [
            decoder.decode(encoded, _of_volume(number, len(prompts), prompts), prompts)
            for number in range(len(windows))
        ]
        if said is not None:
            for one in found:
                said.add(one)
        return torch.stack([one.logits for one in found])

    return network


def _of_volume(number: int, tokens: int, like: Tensor) -> Tensor:
    return torch.full((tokens,), number, dtype=torch.long, device=like.device)
