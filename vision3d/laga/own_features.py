"""`read_own_features`: vectors that LangSplat's or OpenGaussian's pre-processing left beside its masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import normalize

from vision3d.errors import InvalidInputError
from vision3d.language.image_text_encoder import ImageTextEncoder
from vision3d.language.mask_features import MaskFeatures
from vision3d.masks.own_masks import LANGSPLAT_SUFFIX, read_langsplat

_VECTORS_SUFFIX = "_f.npy"


def read_own_features(
    folder: Path, names: Sequence[str], size: tuple[int, int], encoder: ImageTextEncoder
) -> MaskFeatures:
    """Vectors of the masks that `read_own_masks` gives for the same folder, names and size.

    The files do not say which encoder made them: that it is `encoder` is the caller's word, and only the number of
    dimensions is checked. LangSplat's own are of ViT-B-16/laion2b_s34b_b88k.

    Raises:
        InvalidInputError: a file is missing, unreadable, of another encoder's dimensions, or has too few vectors.
    """
    vectors, places = [torch.zeros(0, encoder.dim)], []
    for view, name in enumerate(names):
        stem = Path(name).stem
        rows = _read(folder / f"{stem}{_VECTORS_SUFFIX}", encoder.dim)
        for level, numbers in enumerate(read_langsplat(folder / f"{stem}{LANGSPLAT_SUFFIX}", size)[1]):
            if len(numbers) and numbers.max() >= len(rows):
                raise InvalidInputError(
                    f"{folder / (stem + _VECTORS_SUFFIX)}: expected a vector for mask {numbers.max()}, found "
                    f"{len(rows)}. Give the two files of one run."
                )
            vectors.append(normalize(torch.from_numpy(rows[numbers].astype(np.float32)), dim=-1))
            places += [(view, level, number) for number in range(len(numbers))]
    view, level, number = torch.tensor(places, dtype=torch.long).reshape(-1, 3).T
    return MaskFeatures(
        vectors=torch.cat(vectors), view=view, level=level, number=number, encoder_id=encoder.encoder_id
    )


def _read(path: Path, dim: int) -> np.ndarray:
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InvalidInputError(
            f"{path}: expected an array of vectors, found a file that is none ({error}). Write it with numpy.save."
        ) from error
    if rows.ndim != 2 or rows.shape[1] != dim or not np.issubdtype(rows.dtype, np.floating):
        raise InvalidInputError(
            f"{path}: expected vectors [mask {dim}] of the encoder, found {rows.dtype} {rows.shape}. Load the encoder "
            "that made them."
        )
    return rows
