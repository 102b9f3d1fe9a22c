"""`SamMaskDecoder`: SAM (ViT-B, -L, -H) and MedSAM as mask decoders of prompt vectors.

The prompt vector stands where SAM puts the vectors of points and boxes; a mask of before enters as SAM's own mask
prompt does. The two families of checkpoints have the same tensors and differ in how pictures are prepared, which no
tensor tells: so it is chosen, or read from a file name that says it. Research use only; not a medical device.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import interpolate

from medseg.errors import CheckpointError, InvalidInputError
from medseg.grounding.mask_decoder import DecodedMasks, EncodedPictures
from medseg.grounding.model_files import load_tensors, read_tensors
from medseg.grounding.picture_fit import PictureFit
from medseg.grounding.sam_door import SAM_WIDTHS, SamKind, build_sam, decode_tokens, dense_prompts

_log = logging.getLogger(__name__)
Preprocessing = Literal["sam", "medsam"]
PREPROCESSING: dict[Preprocessing, PictureFit] = {
    "sam": PictureFit(side=1024, aspect="keep", values="normalised"),
    "medsam": PictureFit(side=1024, aspect="stretch", values="picture_range"),
}
"""How each family prepares pictures: SAM keeps the aspect, MedSAM stretches and takes each picture's own range."""
_WIDTH_FROM = "image_encoder.pos_embed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SamDecoderConfig:
    """Which SAM; stored with its weights."""

    kind: SamKind = "vit_b"
    """Size of the image encoder."""
    preprocessing: Preprocessing = "medsam"
    """How pictures are prepared: that of SAM's checkpoints, or of MedSAM's."""


class SamMaskDecoder(nn.Module):
    """The SAM member of the family; see `MaskDecoder`. It has no object head: `object_logits` is None."""

    def __init__(self, sam: Any, fit: PictureFit, config: SamDecoderConfig = SamDecoderConfig()) -> None:
        """Args:
        sam: segment_anything's `Sam`.
        fit: the preprocessing of its weights; its side is that of the image encoder.
        config: which SAM that is, to be stored with it.
        """
        super().__init__()
        self.config = config
        side = sam.image_encoder.img_size
        if fit.side != side:
            raise InvalidInputError(
                f"SAM: expected a fit of side {side}, found {fit.side}. Choose that of its weights."
            )
        self.fit = fit
        self.image_encoder = sam.image_encoder
        self.prompt_encoder = sam.prompt_encoder
        self.mask_decoder = sam.mask_decoder
        self.prompt_width: int = sam.prompt_encoder.embed_dim

    def encode(self, pictures: Float[Tensor, "picture 3 side side"]) -> EncodedPictures:
        """The map of stride 16."""
        if pictures.shape[-1] != self.fit.side:
            raise InvalidInputError(
                f"SAM: expected pictures of side {self.fit.side}, found {pictures.shape[-1]}. Use the decoder's fit."
            )
        return EncodedPictures(embedding=self.image_encoder(pictures))

    def decode(
        self,
        encoded: EncodedPictures,
        picture: Int[Tensor, " token"],
        prompts: Float[Tensor, "token width"],
        previous: Float[Tensor, "token h w"] | None = None,
    ) -> DecodedMasks:
        """One mask per token, of a quarter of the square's side; SAM's single-mask output."""
        size = self.prompt_encoder.mask_input_size
        if not len(picture):
            return DecodedMasks(logits=prompts.new_zeros((0, *size)), overlap=prompts.new_zeros(0))
        if previous is not None:
            previous = interpolate(previous[:, None], size, mode="bilinear", align_corners=False)[:, 0]
        logits, overlap, _ = decode_tokens(
            self.mask_decoder,
            encoded.embedding[picture] + dense_prompts(self.prompt_encoder, previous, len(picture)),
            self.prompt_encoder.get_dense_pe(),
            prompts[:, None],
        )
        return DecodedMasks(logits=logits, overlap=overlap)


def build_sam_decoder(config: SamDecoderConfig = SamDecoderConfig()) -> SamMaskDecoder:
    """A SAM of its true size with random weights, to load a trained decoder's tensors into.

    Raises:
        InvalidInputError: there is no such size or preprocessing.
        MissingExtraError: segment_anything is not installed.
    """
    return SamMaskDecoder(build_sam(config.kind), _fit_of(config.preprocessing), config)


def load_sam_decoder(path: Path, preprocessing: Preprocessing | None = None) -> SamMaskDecoder:
    """The decoder whose weights a published SAM or MedSAM checkpoint holds, in evaluation mode.

    Which of the three sizes it is, is read from its tensors.

    Args:
        path: A .pth or .safetensors file in segment_anything's layout; no code of it is run.
        preprocessing: How pictures are prepared for it; None reads it from the file's name.

    Raises:
        CheckpointError: the file cannot be read, or holds something else.
        InvalidInputError: `preprocessing` is None and the name does not tell.
        MissingExtraError: segment_anything is not installed.
    """
    config = SamDecoderConfig(preprocessing=preprocessing or preprocessing_by_name(path.name))
    tensors = read_tensors(path)
    kind = sam_kind(tensors.get(_WIDTH_FROM), path.name)
    decoder = build_sam_decoder(SamDecoderConfig(kind=kind, preprocessing=config.preprocessing))
    # `Sam` keeps two tables of pixel values that the decoder has no use for: the fit holds them
    load_tensors(decoder, {k: v for k, v in tensors.items() if not k.startswith("pixel_")}, path.name, f"SAM {kind}")
    _log.info("%s: SAM %s, pictures prepared as for %s.", path.name, kind, config.preprocessing)
    return decoder.eval()


def preprocessing_by_name(name: str) -> Preprocessing:
    """The preprocessing that a checkpoint's file name tells.

    Example:
        >>> preprocessing_by_name("medsam_vit_b.pth"), preprocessing_by_name("sam_vit_h_4b8939.pth")
        ('medsam', 'sam')

    Raises:
        InvalidInputError: the name tells neither.
    """
    lowered = name.lower()
    if "medsam" in lowered:
        return "medsam"
    if lowered.startswith("sam_vit_"):
        return "sam"
    raise InvalidInputError(
        f"{name}: expected a name with medsam in it or one that begins with sam_vit_, to know how pictures are "
        "prepared, found neither. Say preprocessing='sam' (aspect kept, mean and deviation of SAM) or 'medsam' "
        "(stretched, each picture's range 0-1)."
    )


def sam_kind(place: Tensor | None, name: str) -> SamKind:
    """The size of SAM whose position table this is.

    Raises:
        CheckpointError: there is none, or its width is that of no SAM.
    """
    width = None if place is None else place.shape[-1]
    for kind, known in SAM_WIDTHS.items():
        if width == known:
            return cast(SamKind, kind)
    found = f"one of width {width}" if width else f"no tensor {_WIDTH_FROM}"
    raise CheckpointError(
        f"{name}: expected a SAM checkpoint of width {', '.join(map(str, SAM_WIDTHS.values()))}, found {found}. Give a "
        "file such as sam_vit_b_01ec64.pth or medsam_vit_b.pth."
    )


def _fit_of(preprocessing: str) -> PictureFit:
    for name, fit in PREPROCESSING.items():
        if name == preprocessing:
            return fit
    raise InvalidInputError(f"SAM: expected preprocessing sam or medsam, found {preprocessing!r}. Choose one.")
