"""Every member of the two families, small: the true classes with fewer and narrower blocks."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from medseg.grounding.embedded_decoder import EmbeddedDecoderConfig, EmbeddedMaskDecoder
from medseg.grounding.picture_fit import PictureFit
from medseg.grounding.sam_decoder import SamMaskDecoder
from medseg.grounding.sam_door import sam_parts
from medseg.grounding.vista3d import Vista3dConfig, Vista3dMaskDecoder
from medseg.grounding.volume_decoder import VolumeDecoderConfig, VolumeMaskDecoder
from medseg.grounding.volume_fit import VolumeFit

SIDE = 64
"""Of the small picture decoders' square."""
BLOCK = (32, 32, 32)
"""Of the small volume decoders' window."""


def small_sam(side: int = SIDE, width: int = 32) -> Any:
    """segment_anything's own `Sam`, of two blocks."""
    parts = sam_parts()
    grid = side // 16
    return parts.Sam(
        image_encoder=parts.ImageEncoderViT(
            depth=2, embed_dim=24, img_size=side, mlp_ratio=2, norm_layer=partial(nn.LayerNorm, eps=1e-6), num_heads=2,
            patch_size=16, qkv_bias=True, use_rel_pos=True, global_attn_indexes=(1,), window_size=3, out_chans=width,
        ),
        prompt_encoder=parts.PromptEncoder(
            embed_dim=width, image_embedding_size=(grid, grid), input_image_size=(side, side), mask_in_chans=8
        ),
        mask_decoder=parts.MaskDecoder(
            num_multimask_outputs=3, transformer_dim=width, iou_head_depth=3, iou_head_hidden_dim=32,
            transformer=parts.TwoWayTransformer(depth=2, embedding_dim=width, mlp_dim=64, num_heads=4),
        ),
    )  # fmt: skip


def small_sam_decoder() -> SamMaskDecoder:
    return SamMaskDecoder(small_sam(), PictureFit(side=SIDE))


def small_embedded(sharp: int = 4) -> EmbeddedMaskDecoder:
    config = EmbeddedDecoderConfig(
        side=SIDE, width=32, channels=(8, 8, 16, 16, 16), blocks=(1, 1, 1, 1, 1), sharp=sharp
    )  # fmt: skip
    return EmbeddedMaskDecoder(config)


def small_segresnet() -> VolumeMaskDecoder:
    return VolumeMaskDecoder(VolumeDecoderConfig(width=16, fit=VolumeFit(patch=BLOCK)))


def small_vista3d() -> Vista3dMaskDecoder:
    return Vista3dMaskDecoder(
        Vista3dConfig(width=8, fit=VolumeFit(patch=BLOCK, multiple=16, window=(-1000.0, 1000.0), spacing=(1.5,) * 3))
    )


SMALL_MASK_DECODERS: dict[str, Callable[[], nn.Module]] = {"embedded": small_embedded, "sam": small_sam_decoder}
SMALL_VOLUME_DECODERS: dict[str, Callable[[], nn.Module]] = {"segresnet": small_segresnet, "vista3d": small_vista3d}


def settled(build: Callable[[], nn.Module]) -> Any:
    """A member with the same random weights each time, ready to answer."""
    torch.manual_seed(0)
    return build().eval()
