"""`ContourNetwork`: where borders run in a photo, at three levels from fine to coarse, and which thing a pixel is of.

A small U-Net: half resolution inside, full resolution out. Besides borders it says how likely a pixel belongs to a
thing (and not to the room around), which kind of thing that is, and where the middle of the thing lies: what tells that
the label of a bottle and its glass are one. Its weights come with the package (asset `contours`) and are made by a
recipe on rendered household scenes.

Source: borders as in learned contour detection; offsets to the middle of each instance as in Panoptic-DeepLab.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from vision3d.errors import ModelFileError

LEVELS = 3
"""Pieces of one material, objects, objects with what they carry."""
KINDS = 56
"""Kinds of things and of pieces of the room the network tells apart (some numbers are unused)."""
OFFSET_UNIT = 32.0
"""Offsets are predicted in units of this many pixels."""
_PAIR_WEIGHTS = (0.0, 1.0, 0.0, 0.0, 0.0, 0.0)
"""Before they are fitted: two regions are apart as the border between them says."""
_WIDTHS = (24, 40, 64, 96, 160, 224)
_STRIDE = 64
"""Photos are padded to a multiple of this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContourLogits:
    """What the network says about each pixel, before activation."""

    borders: Float[Tensor, "image level height width"]
    """A border runs here."""
    thing: Float[Tensor, "image height width"]
    """This is part of a thing, not of the room."""
    offsets: Float[Tensor, "image 2 height width"]
    """From here to the middle of the thing, x and y, in units of `OFFSET_UNIT` pixels."""
    kinds: Float[Tensor, "image kind half_height half_width"]
    """What it is, at half the resolution."""


class ContourNetwork(nn.Module):
    """Photo in, maps of logits out."""

    def __init__(self, widths: tuple[int, ...] = _WIDTHS) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(12, widths[0], 3, padding=1), nn.ReLU(inplace=True), _block(widths[0], widths[0])
        )
        self.down = nn.ModuleList(_block(a, b, stride=2) for a, b in pairwise(widths))
        self.middle = _block(widths[-1], widths[-1])
        self.up = nn.ModuleList(_block(a + b, b) for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.head = nn.Conv2d(widths[0], 4 * (LEVELS + 3), 3, padding=1)
        self.kind_head = nn.Conv2d(widths[1], KINDS, 1)
        self.pair_weights = nn.Parameter(torch.tensor(_PAIR_WEIGHTS), requires_grad=False)

    def forward(self, images: Float[Tensor, "image 3 height width"]) -> ContourLogits:
        """Logits of photos whose height and width are multiples of 64, colours display values 0-1."""
        x = self.stem(nn.functional.pixel_unshuffle(images * 2 - 1, 2))
        kept = []
        for down in self.down:
            kept.append(x)
            x = down(x)
        x = self.middle(x)
        quarter = x
        for up, skip in zip(self.up, reversed(kept), strict=True):
            quarter = x
            x = up(torch.cat([interpolate(x, scale_factor=2.0, mode="nearest"), skip], 1))
        maps = nn.functional.pixel_shuffle(self.head(x), 2)
        return ContourLogits(
            borders=maps[:, :LEVELS],
            thing=maps[:, LEVELS],
            offsets=maps[:, LEVELS + 1 :],
            kinds=interpolate(self.kind_head(quarter), scale_factor=2.0, mode="nearest"),
        )


def load_contour_network(path: Path) -> ContourNetwork:
    """The network with the weights of a safetensors file, in evaluation mode.

    Raises:
        ModelFileError: the file is missing or holds other weights.
    """
    network = ContourNetwork()
    try:
        network.load_state_dict(
            {name: value.float() if value.is_floating_point() else value for name, value in load_file(path).items()}
        )
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ModelFileError(
            f"{path}: expected the weights of the contour network, found a file that does not load as such "
            f"({type(error).__name__}: {str(error)[:200]}). Restore the file, or choose another proposer."
        ) from error
    return network.eval()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContourMaps:
    """What the network says about each pixel of one photo."""

    borders: Float[ndarray, "level height width"]
    """Probability of a border."""
    thing: Float[ndarray, "height width"]
    """Probability of being part of a thing."""
    offsets: Float[ndarray, "2 height width"]
    """From here to the middle of the thing, x and y, in pixels."""
    kinds: Float[ndarray, "kind height width"]
    """Probabilities of the kinds."""


@torch.inference_mode()
def contour_maps(
    network: ContourNetwork, image: UInt8[ndarray, "height width 3"], *, longest_side: int = 512, enlarged: float = 1.5
) -> ContourMaps:
    """The maps of a photo, which is looked at enlarged, but not beyond `longest_side` pixels."""
    height, width = image.shape[:2]
    values = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
    factor = min(enlarged, longest_side / max(height, width))
    if factor != 1:
        size = (max(1, round(height * factor)), max(1, round(width * factor)))
        values = interpolate(values, size=size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
    rows, columns = values.shape[-2:]
    bottom, right = -rows % _STRIDE, -columns % _STRIDE
    values = pad(values, (0, right, 0, bottom), mode="replicate")
    found = network(values)
    parts = [
        torch.sigmoid(found.borders),
        torch.sigmoid(found.thing)[:, None],
        found.offsets * (OFFSET_UNIT / factor),
        interpolate(found.kinds.softmax(1), scale_factor=2.0, mode="nearest"),
    ]
    maps = torch.cat(parts, 1)[:, :, :rows, :columns]
    if factor != 1:
        maps = interpolate(maps, size=(height, width), mode="bilinear", align_corners=False)
    values = maps[0].numpy()
    return ContourMaps(
        borders=values[:LEVELS],
        thing=values[LEVELS],
        offsets=values[LEVELS + 1 : LEVELS + 3],
        kinds=values[LEVELS + 3 :],
    )


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
