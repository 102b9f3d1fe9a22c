"""The one door of this package to segment_anything: its parts, and one decoding step over tokens of many pictures.

SAM's own `predict_masks` takes one picture and its prompts. `decode_tokens` runs the same modules on one row per token,
so a batch may hold several pictures, and lets finer maps in as SAM 2 does. A test holds it against SAM's own result.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medseg.errors import InvalidInputError, MissingExtraError

SAM_WIDTHS: dict[str, int] = {"vit_b": 768, "vit_l": 1024, "vit_h": 1280}
"""Size of SAM -> width of its image encoder."""

SamKind = Literal["vit_b", "vit_l", "vit_h"]
"""The three sizes of SAM."""


def build_sam(kind: SamKind) -> Any:
    """A SAM of its true size with random weights, put together by segment_anything's own function.

    Raises:
        InvalidInputError: there is no such size.
        MissingExtraError: segment_anything is not installed.
    """
    sam_parts()
    from segment_anything import sam_model_registry

    if kind not in SAM_WIDTHS:
        raise InvalidInputError(f"SAM: expected {', '.join(SAM_WIDTHS)}, found {kind!r}. Choose one.")
    return sam_model_registry[kind]()


def sam_parts() -> Any:
    """The module `segment_anything.modeling`.

    Raises:
        MissingExtraError: segment_anything is not installed.
    """
    try:
        from segment_anything import modeling
    except ImportError as error:
        raise MissingExtraError(
            "Expected segment_anything for mask decoders, found it missing. Run: pip install 'vision3d-medseg[medseg]'."
        ) from error
    return modeling


def build_prompt_encoder(width: int, grid: int, image_side: int, mask_channels: int = 16) -> nn.Module:
    """SAM's prompt encoder for a map of `grid` x `grid`."""
    return sam_parts().PromptEncoder(
        embed_dim=width, image_embedding_size=(grid, grid), input_image_size=(image_side, image_side),
        mask_in_chans=mask_channels,
    )  # fmt: skip


def build_mask_decoder(width: int, *, depth: int = 2, heads: int = 8, mlp_width: int = 2048) -> nn.Module:
    """SAM's mask decoder with one mask per prompt."""
    parts = sam_parts()
    return parts.MaskDecoder(
        transformer_dim=width, num_multimask_outputs=0, iou_head_hidden_dim=width,
        transformer=parts.TwoWayTransformer(depth=depth, embedding_dim=width, mlp_dim=mlp_width, num_heads=heads),
    )  # fmt: skip


def dense_prompts(
    prompt_encoder: Any, previous: Float[Tensor, "token h w"] | None, tokens: int
) -> Float[Tensor, "token width grid grid"]:
    """What SAM adds to the picture's map: an earlier mask, or the vector that says there is none.

    `previous` has SAM's size of mask inputs; rows of NaN have none.
    """
    grid = prompt_encoder.image_embedding_size
    nothing = prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(tokens, -1, *grid)
    if previous is None or not tokens:
        return nothing
    given = ~torch.isnan(previous).flatten(1).any(1)
    if not given.any():
        return nothing
    drawn = prompt_encoder.mask_downscaling(torch.nan_to_num(previous)[:, None])
    return torch.where(given[:, None, None, None], drawn, nothing)


def decode_tokens(
    decoder: Any,
    embedding: Float[Tensor, "token width grid grid"],
    place: Float[Tensor, "1 width grid grid"],
    sparse: Float[Tensor, "token prompt width"],
    fine: tuple[Tensor, ...] = (),
) -> tuple[Float[Tensor, "token h w"], Float[Tensor, " token"], Float[Tensor, "token states width"]]:
    """Mask logits, estimated overlap and the states of overlap token, mask tokens and prompts, one row per token.

    Args:
        decoder: SAM's mask decoder; its single-mask output is taken.
        embedding: map of each token's picture with its dense prompt added.
        place: position encoding of the map.
        sparse: prompt vectors of each token.
        fine: one map per enlargement (coarse, fine), each of the enlarged map's shape, added before the activation.
    """
    rows = len(embedding)
    own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    tokens = torch.cat([own.expand(rows, -1, -1), sparse], dim=1)
    states, source = decoder.transformer(embedding, place.expand(rows, -1, -1, -1), tokens)
    source = source.transpose(1, 2).reshape(embedding.shape)
    enlarge_1, norm, activation_1, enlarge_2, activation_2 = decoder.output_upscaling
    coarse = enlarge_1(source)
    if fine:
        coarse = coarse + fine[0]
    finest = enlarge_2(activation_1(norm(coarse)))
    if fine:
        finest = finest + fine[1]
    finest = activation_2(finest)
    filters = decoder.output_hypernetworks_mlps[0](states[:, 1])
    logits = torch.einsum("tc,tchw->thw", filters, finest)
    return logits, decoder.iou_prediction_head(states[:, 0])[:, 0], states
