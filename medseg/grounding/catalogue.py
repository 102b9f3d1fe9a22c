"""The families of mask decoders: name -> configuration and builder. A new member is a file and a line here.

A builder gives random weights of the configuration's shape, to be trained or to load a checkpoint's tensors into;
published files are read by `load_sam_decoder` and `load_vista3d`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from medseg.errors import InvalidInputError
from medseg.grounding.embedded_decoder import EmbeddedDecoderConfig, EmbeddedMaskDecoder
from medseg.grounding.mask_decoder import MaskDecoder
from medseg.grounding.sam_decoder import SamDecoderConfig, build_sam_decoder
from medseg.grounding.vista3d import Vista3dConfig, Vista3dMaskDecoder
from medseg.grounding.volume_decoder import VolumeDecoderConfig, VolumeMaskDecoder
from medseg.grounding.volume_protocol import VolumeDecoder

_Member = TypeVar("_Member", MaskDecoder, VolumeDecoder)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderMember(Generic[_Member]):
    """One member of a family."""

    config: type
    """Its configuration; all fields have defaults."""
    build: Callable[[Any], _Member]
    """Configuration -> decoder with random weights."""
    about: str
    """In one line."""


MASK_DECODERS: dict[str, DecoderMember[MaskDecoder]] = {
    "embedded": DecoderMember(
        config=EmbeddedDecoderConfig, build=EmbeddedMaskDecoder, about="SAM's decoder over a small encoder of stride 8"
    ),
    "sam": DecoderMember(
        config=SamDecoderConfig, build=build_sam_decoder, about="SAM or MedSAM, ViT-B, -L or -H, 1024 x 1024"
    ),
}
"""Decoders of pictures."""

VOLUME_DECODERS: dict[str, DecoderMember[VolumeDecoder]] = {
    "segresnet": DecoderMember(
        config=VolumeDecoderConfig, build=VolumeMaskDecoder, about="MONAI's SegResNet blocks, trained from scratch"
    ),
    "vista3d": DecoderMember(
        config=Vista3dConfig, build=Vista3dMaskDecoder, about="MONAI's VISTA3D, its class embedding given by the token"
    ),
}
"""Decoders of volumes."""


def build_picture_decoder(name: str, config: Any = None) -> MaskDecoder:
    """A decoder of pictures with random weights, of its default configuration unless one is given.

    Raises:
        InvalidInputError: there is no such member, or the configuration is another member's.
    """
    return _built(MASK_DECODERS, name, config)


def build_volume_decoder(name: str, config: Any = None) -> VolumeDecoder:
    """A decoder of volumes with random weights, of its default configuration unless one is given.

    Example:
        >>> build_volume_decoder("segresnet").prompt_width
        128

    Raises:
        InvalidInputError: there is no such member, or the configuration is another member's.
    """
    return _built(VOLUME_DECODERS, name, config)


def member_of(config: Any) -> str:
    """The name of the member that a configuration belongs to.

    Example:
        >>> member_of(SamDecoderConfig()), member_of(VolumeDecoderConfig())
        ('sam', 'segresnet')

    Raises:
        InvalidInputError: it belongs to none.
    """
    for name, member in (*MASK_DECODERS.items(), *VOLUME_DECODERS.items()):
        if type(config) is member.config:
            return name
    raise InvalidInputError(
        f"Decoder: expected a configuration of {', '.join((*MASK_DECODERS, *VOLUME_DECODERS))}, found "
        f"{type(config).__name__}. Use one of theirs."
    )


def _built(family: dict[str, DecoderMember[_Member]], name: str, config: Any) -> _Member:
    if name not in family:
        raise InvalidInputError(f"Decoder: expected one of {', '.join(family)}, found {name!r}. Choose one.")
    member = family[name]
    chosen = member.config() if config is None else config
    if not isinstance(chosen, member.config):
        raise InvalidInputError(
            f"Decoder {name}: expected {member.config.__name__}, found {type(chosen).__name__}. Give its own."
        )
    return member.build(chosen)
