"""`ContourNetwork`: how likely a border runs through each pixel of a photo, at three levels from fine to coarse.

A small U-Net: half resolution inside, full resolution out. Its weights come with the package (asset `contours`) and are
made by a recipe on rendered household scenes.
"""

from __future__ import annotations

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
_WIDTHS = (24, 40, 64, 96)
_STRIDE = 16
"""Photos are padded to a multiple of this."""


class ContourNetwork(nn.Module):
    """Photo in, three maps of logits out, all at the photo's resolution."""

    def __init__(self, widths: tuple[int, ...] = _WIDTHS) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(12, widths[0], 3, padding=1), nn.ReLU(inplace=True), _block(widths[0], widths[0])
        )
        self.down = nn.ModuleList(_block(a, b, stride=2) for a, b in pairwise(widths))
        self.middle = _block(widths[-1], widths[-1])
        self.up = nn.ModuleList(_block(a + b, b) for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.head = nn.Conv2d(widths[0], 4 * LEVELS, 3, padding=1)

    def forward(self, images: Float[Tensor, "image 3 height width"]) -> Float[Tensor, "image level height width"]:
        """Logits of a border; height and width are multiples of 16, colours display values 0-1."""
        x = self.stem(nn.functional.pixel_unshuffle(images * 2 - 1, 2))
        kept = []
        for down in self.down:
            kept.append(x)
            x = down(x)
        x = self.middle(x)
        for up, skip in zip(self.up, reversed(kept), strict=True):
            x = up(torch.cat([interpolate(x, scale_factor=2.0, mode="nearest"), skip], 1))
        return nn.functional.pixel_shuffle(self.head(x), 2)


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


@torch.inference_mode()
def border_maps(
    network: ContourNetwork, image: UInt8[ndarray, "height width 3"], *, longest_side: int = 512
) -> Float[ndarray, "level height width"]:
    """Probability of a border at each pixel; photos beyond `longest_side` are looked at in a smaller version."""
    height, width = image.shape[:2]
    values = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
    factor = min(1.0, longest_side / max(height, width))
    if factor < 1:
        size = (max(1, round(height * factor)), max(1, round(width * factor)))
        values = interpolate(values, size=size, mode="bilinear", antialias=True, align_corners=False)
    rows, columns = values.shape[-2:]
    values = pad(values, (0, -columns % _STRIDE, 0, -rows % _STRIDE), mode="replicate")
    maps = torch.sigmoid(network(values))[:, :, :rows, :columns]
    if factor < 1:
        maps = interpolate(maps, size=(height, width), mode="bilinear", align_corners=False)
    return maps[0].numpy()


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
