"""`pixel_shuffle`: squares of neighbouring patch features become one longer feature each."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from vlm_bridge.errors import InvalidInputError


def pixel_shuffle(
    features: Float[Tensor, "tile width height dim"], ratio: float = 0.5
) -> Float[Tensor, "tile fewer_width fewer_height longer_dim"]:
    """Features on a grid with `ratio` times as many cells along either side, each `1 / ratio ** 2` times as long.

    Cell (i, j) holds the features of its square one after another: for ratio 0.5 those of (2i, 2j), (2i, 2j + 1),
    (2i + 1, 2j) and (2i + 1, 2j + 1). No value is changed, and the grid is not transposed. The name is InternVL's,
    though torch calls the way back by it, and orders channels otherwise.

    Example:
        >>> import torch
        >>> pixel_shuffle(torch.arange(16.0).reshape(1, 4, 4, 1))[0, 0, 1].tolist()
        [2.0, 3.0, 6.0, 7.0]

    Raises:
        InvalidInputError: the grid cannot be cut into such squares.

    Source:
        InternVL 1.5 (arXiv:2404.16821), section 3.1, in the second version of its code ("v2"), as in transformers.
    """
    side = round(1 / ratio) if 0 < ratio <= 1 else 0
    tiles, width, height, dim = features.shape
    if side * ratio != 1 or width % side or height % side:
        raise InvalidInputError(
            f"Pixel shuffle: expected a ratio of 1, 1/2, 1/3 ... and a grid that it divides, found {ratio} and "
            f"{width} x {height} patches. Change the size of tiles or patches."
        )
    squares = features.reshape(tiles, width // side, side, height // side, side, dim)
    return squares.transpose(2, 3).reshape(tiles, width // side, height // side, side * side * dim)
