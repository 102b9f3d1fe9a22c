"""`MedSegModel`: the one place where the backbone and the mask decoders meet.

MedSeg-R-style (arXiv:2506.10465): a vision-language model reads picture and question and says [SEG]; the states at
these tokens are projected to prompts of a mask decoder. The paper's own details are not published; those here follow
the LISA family. Research use only; not a medical device.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medseg.errors import CheckpointError, InvalidInputError
from medseg.grounding.catalogue import (
    MASK_DECODERS,
    VOLUME_DECODERS,
    build_picture_decoder,
    build_volume_decoder,
    member_of,
)
from medseg.grounding.embedded_decoder import EmbeddedDecoderConfig
from medseg.grounding.mask_decoder import DecodedMasks, EncodedPictures
from medseg.grounding.projection import SegProjection, StateHeads, StateSays
from medseg.grounding.sam_decoder import SamDecoderConfig
from medseg.grounding.vista3d import Vista3dConfig
from medseg.grounding.volume_decoder import VolumeDecoderConfig
from medseg.grounding.volume_fit import VolumeFit
from vlm_bridge.atomic_write import write_text_whole, written_whole
from vlm_bridge.backbone.load import load_backbone, save_backbone
from vlm_bridge.backbone.protocol import VisionLanguageBackbone
from vlm_bridge.decoding.seg_states import SegState
from vlm_bridge.errors import BackboneError

_FORMAT = "medseg-r 1"
_CONFIG, _WEIGHTS, _BACKBONE = "medsegr.json", "grounding.safetensors", "backbone"


@dataclass(frozen=True, slots=True, kw_only=True)
class MedSegConfig:
    """What a checkpoint is, beside its weights."""

    seg_state: SegState = "predicting"
    """Which state stands for a [SEG]; training and inference must agree."""
    earlier: Literal["drawn", "cut"] = "drawn"
    """What becomes of an earlier mask that an answer refers to. drawn: it enters the decoder as a dense prompt, which
    draws the new one; cut: the part that the state means is cut from it by geometry, exactly (`mask_parts`)."""
    decoder: EmbeddedDecoderConfig | SamDecoderConfig = EmbeddedDecoderConfig()
    """The 2D decoder: a member of the family and its shape."""
    structures: tuple[str, ...] = ()
    """Names it was trained to find in pictures, for messages; others may be asked for."""
    mirrored: tuple[str, ...] = ()
    """Phrases, in small letters, of what looks the same in a mirror, such as a polyp and unlike a liver: pictures are
    decoded both ways round for them, and the mean taken."""
    volume: VolumeDecoderConfig | Vista3dConfig | None = None
    """The 3D decoder, where there is one: a member of the family and its shape."""
    volume_structures: tuple[str, ...] = ()
    """Phrases that the 3D decoder was taught, in small letters; volumes are decoded slice by slice for all others."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroundedTokens:
    """Masks of tokens, and what their states tell."""

    masks: DecodedMasks
    says: StateSays


class MedSegModel(nn.Module):
    """A backbone, a projection of its [SEG] states, and a mask decoder."""

    def __init__(self, backbone: VisionLanguageBackbone, config: MedSegConfig = MedSegConfig()) -> None:
        """A model with a new decoder; `load_medseg` reads a trained one."""
        super().__init__()
        self.config = config
        self.backbone = backbone
        self.language: Any = backbone.model
        """The backbone's module, so that its parameters are this model's too."""
        width = backbone.parts().language_width
        self.decoder: Any = build_picture_decoder(member_of(config.decoder), config.decoder)
        self.projection = SegProjection(width, self.decoder.prompt_width)
        self.heads = StateHeads(width)
        self.volume_decoder: Any = None
        if config.volume is not None:
            self.volume_decoder = build_volume_decoder(member_of(config.volume), config.volume)
            self.volume_projection = SegProjection(width, self.volume_decoder.prompt_width)

    def ground(
        self,
        encoded: EncodedPictures,
        picture: Int[Tensor, " token"],
        hidden: Float[Tensor, "token width"],
        previous: Float[Tensor, "token h w"] | None = None,
    ) -> GroundedTokens:
        """Masks of [SEG] states in encoded pictures; `picture` says which one each state is about.

        `previous` holds logits of an earlier mask, rows of NaN where there is none.
        """
        hidden = hidden.to(self.heads.weight.dtype)
        masks = self.decoder.decode(encoded, picture, self.projection(hidden), previous)
        return GroundedTokens(masks=masks, says=self.heads.say(hidden))

    def grounding_modules(self) -> dict[str, nn.Module]:
        """Everything beside the backbone, by name."""
        modules = {"decoder": self.decoder, "projection": self.projection, "heads": self.heads}
        if self.volume_decoder is not None:
            modules |= {"volume_decoder": self.volume_decoder, "volume_projection": self.volume_projection}
        return modules


def save_medseg(model: MedSegModel, folder: Path, *, half: bool = False, backbone: bool = True) -> None:
    """Write a model to a folder: configuration, grounding as safetensors, and the backbone in transformers' layout.

    Args:
        model: to be written.
        folder: made where it is missing.
        half: store the grounding in float16, which is half as large.
        backbone: write the backbone too; False leaves the one that is there.

    Raises:
        InvalidInputError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"{part}.{name}": value.detach().cpu().contiguous()
        for part, module in model.grounding_modules().items()
        for name, value in module.state_dict().items()
    }
    if half:
        tensors = {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
    with written_whole(folder / _WEIGHTS) as partial:
        save_file(tensors, partial, metadata={"format": _FORMAT})
    if backbone:
        save_backbone(model.backbone, folder / _BACKBONE, overwrite=True)  # type: ignore[arg-type]
    values = {"format": _FORMAT, **asdict(model.config)}
    for name in ("decoder", "volume"):
        if (config := getattr(model.config, name)) is not None:
            values[name] = {"member": member_of(config), **values[name]}
    write_text_whole(folder / _CONFIG, json.dumps(values, indent=1) + "\n")


def load_medseg(folder: Path, *, device: str = "cpu", seg_state: SegState | None = None) -> MedSegModel:
    """The model of a folder, ready to answer, in float32 beside a backbone in its own type.

    Args:
        folder: written by `save_medseg`.
        device: where it computes.
        seg_state: what the caller will read; refused where the checkpoint was trained otherwise.

    Raises:
        CheckpointError: the folder holds no such model, or a damaged one, or one of another `seg_state`.
    """
    config = _read_config(folder)
    if seg_state is not None and seg_state != config.seg_state:
        raise CheckpointError(
            f"{folder.name}: expected [SEG] states {seg_state!r}, found a checkpoint trained with "
            f"{config.seg_state!r}; masks would be wrong. Use its own."
        )
    try:
        model = MedSegModel(load_backbone(folder / _BACKBONE, device=device), config)
        tensors = load_file(folder / _WEIGHTS)
    except (BackboneError, OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder.name}: expected a MedSeg-R-style model, found files that cannot be read ({error}). Copy it again."
        ) from error
    for part, module in model.grounding_modules().items():
        own = {name.removeprefix(f"{part}."): value for name, value in tensors.items() if name.startswith(f"{part}.")}
        _load_part(module, own, f"{folder.name}: {part}")
    return model.to(device).eval()


def _load_part(module: nn.Module, tensors: dict[str, Tensor], place: str) -> None:
    wanted = module.state_dict()
    wrong = sorted(
        name for name in wanted.keys() | tensors.keys()
        if name not in wanted or name not in tensors or wanted[name].shape != tensors[name].shape
    )  # fmt: skip
    if wrong:
        raise CheckpointError(
            f"{place}: expected the tensors its configuration asks for, found {len(wrong)} missing, unknown or of "
            f"another shape, as {', '.join(wrong[:3])}. Use the folder as it was written."
        )
    module.load_state_dict(tensors)


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(one) if isinstance(one, list) else one for name, one in values.items()}


def _read_config(folder: Path) -> MedSegConfig:
    try:
        values = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        if values.pop("format") != _FORMAT:
            raise ValueError("another format")
        flat = values.pop("decoder")
        decoder = MASK_DECODERS[flat.pop("member", "embedded")].config(**_with_tuples(flat))
        volume = values.pop("volume")
        if volume is not None:
            fit = VolumeFit(**_with_tuples(volume.pop("fit")))
            member = VOLUME_DECODERS[volume.pop("member", "segresnet")]
            volume = member.config(fit=fit, **_with_tuples(volume))
        return MedSegConfig(decoder=decoder, volume=volume, **_with_tuples(values))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InvalidInputError) as error:
        raise CheckpointError(
            f"{folder.name}: expected {_CONFIG} of a MedSeg-R-style model ({_FORMAT}), found none that can be read "
            f"({type(error).__name__}). Give the folder that training wrote."
        ) from error
