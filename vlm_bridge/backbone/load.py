"""`load_backbone` and `save_backbone`: backbones from and to folders in the layout of transformers.

No code that comes with a checkpoint is run and nothing is unpickled. The processor of transformers is not needed, so
neither are its video parts.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from transformers import AutoTokenizer, BitsAndBytesConfig, InternVLForConditionalGeneration, PreTrainedTokenizerFast

from vlm_bridge.backbone.backbone_files import check_config, check_weights, find_tiling
from vlm_bridge.backbone.catalogue import backbone_place
from vlm_bridge.backbone.cpu_precision import cpu_has_bfloat16
from vlm_bridge.backbone.image_settings import write_image_settings
from vlm_bridge.backbone.internvl import InternVLBackbone, known_tokens
from vlm_bridge.backbone.tokenizer_settings import write_tokenizer
from vlm_bridge.backbone.whole_folder import folder_written_whole
from vlm_bridge.errors import BackboneError, InvalidInputError, MissingExtraError
from vlm_bridge.prompts.new_rows import add_tokens_to_model
from vlm_bridge.prompts.special_tokens import SpecialTokens

_NOT_QUANTISED = ["vision_tower", "multi_modal_projector", "lm_head"]
"""Small beside the decoder, and what segmentation and grounding stand on."""


def load_backbone(
    name_or_folder: str | Path,
    *,
    dtype: torch.dtype | str = "auto",
    device: str = "auto",
    device_map: str | dict[str, Any] | None = None,
    quantise: Literal["8bit", "4bit"] | None = None,
    grounding: bool = False,
) -> InternVLBackbone:
    """The backbone of a folder, a name of the catalogue, or OWNER/NAME on the hub, ready to answer.

    Args:
        name_or_folder: Where it is.
        dtype: Of the weights; `auto` takes what they are stored in, and float32 on a CPU that only emulates bfloat16.
        device: `auto` takes CUDA where there is one.
        device_map: How to spread the model, as accelerate says it (`auto`, `balanced`, ...); takes the place of
            `device`.
        quantise: Load the decoder in 8 or 4 bits (bitsandbytes, CUDA).
        grounding: Add the tokens of grounded answers that the tokenizer lacks, with the mean of the known rows.

    Raises:
        BackboneError: the place holds no backbone, or one to be converted first; weights are missing, pickled or
            damaged; the device is not there.
        MissingExtraError: a package for `device_map` or `quantise` is not installed.
        InvalidInputError: options that exclude each other, or an unknown dtype.
    """
    place = backbone_place(name_or_folder)
    options = _loading_options(_dtype(dtype), device, device_map, quantise)
    check_config(place)
    if Path(place).is_dir():
        check_weights(Path(place))
    tiling = find_tiling(place)
    tokenizer = _load_tokenizer(place)
    model = _load_model(place, options).eval()
    if grounding:
        add_tokens_to_model(model, tokenizer, known_tokens(tokenizer, SpecialTokens()))
    try:
        return InternVLBackbone(model, tokenizer, tiling)
    except BackboneError as error:
        raise BackboneError(f"{place}: {error}") from error


def save_backbone(backbone: InternVLBackbone, folder: Path, *, overwrite: bool = False) -> None:
    """Write `backbone` to a folder that `load_backbone` and the auto classes of transformers read; it appears whole.

    Raises:
        InvalidInputError: the folder holds something and may not be overwritten.
        BackboneError: the model is wrapped; merge its adapters first.
    """
    if not isinstance(backbone.model, InternVLForConditionalGeneration):
        raise BackboneError(
            f"{folder}: expected a plain model to save, found {type(backbone.model).__name__}. "
            "Merge its adapters first."
        )
    with folder_written_whole(folder, overwrite=overwrite) as partial:
        backbone.model.save_pretrained(partial)
        write_tokenizer(backbone.tokenizer, partial, backbone.tokens)
        write_image_settings(backbone.tiling, backbone.model.config.image_seq_length, partial)


def _dtype(dtype: torch.dtype | str) -> torch.dtype | str:
    found = dtype if dtype == "auto" or isinstance(dtype, torch.dtype) else getattr(torch, dtype, None)
    if found != "auto" and not (isinstance(found, torch.dtype) and found.is_floating_point):
        raise InvalidInputError(f"dtype: expected auto, bfloat16, float16 or float32, found {dtype!r}. Choose one.")
    return found


def _loading_options(dtype: torch.dtype | str, device: str, device_map: Any, quantise: str | None) -> dict[str, Any]:
    if device_map is not None and device != "auto":
        raise InvalidInputError(
            f"Device: expected device or device_map, found both ({device} and {device_map}). Leave one out."
        )
    where = None if device_map is not None else _device(device)
    emulated = where == torch.device("cpu") and not cpu_has_bfloat16()
    options: dict[str, Any] = {"dtype": torch.float32 if dtype == "auto" and emulated else dtype}
    if quantise is not None:
        options["quantization_config"] = _quantisation(quantise)
    if device_map is not None or quantise is not None or where != torch.device("cpu"):
        if importlib.util.find_spec("accelerate") is None:
            raise MissingExtraError(
                "Expected the package accelerate to place a model on a GPU, found none. "
                "Run: pip install 'vision3d-medseg[vlm]'"
            )
        options["device_map"] = {"": where} if device_map is None else device_map
    return options


def _quantisation(quantise: str) -> BitsAndBytesConfig:
    if quantise not in ("8bit", "4bit"):
        raise InvalidInputError(f"quantise: expected 8bit or 4bit, found {quantise!r}. Choose one, or leave it out.")
    if not torch.cuda.is_available():
        raise BackboneError(
            f"quantise={quantise}: expected a CUDA device, found none. Load without quantise, in bfloat16."
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingExtraError(
            f"quantise={quantise}: expected the package bitsandbytes, found none. Run: pip install bitsandbytes"
        )
    if quantise == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=_NOT_QUANTISED)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=_NOT_QUANTISED,
    )


def _device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise InvalidInputError(f"device: expected auto, cpu, cuda or cuda:N, found {device!r}.") from error
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found.type == "cuda" and (found.index or 0) >= count:
        raise BackboneError(f"device {device}: expected that CUDA device, found {count} of them. Choose another.")
    return found


def _load_tokenizer(place: str) -> PreTrainedTokenizerFast:
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackboneError(
            f"{place}: expected the files of a tokenizer, found none that can be read ({type(error).__name__}: "
            f"{error}). Download the checkpoint again."
        ) from error
    if not getattr(tokenizer, "is_fast", False):
        raise BackboneError(
            f"{place}: expected a fast tokenizer (tokenizer.json), found {type(tokenizer).__name__}. "
            "Download the checkpoint again."
        )
    return tokenizer


def _load_model(place: str, options: dict[str, Any]) -> InternVLForConditionalGeneration:
    try:
        loaded: Any = InternVLForConditionalGeneration.from_pretrained(
            place, use_safetensors=True, trust_remote_code=False, output_loading_info=True, **options
        )
    except torch.OutOfMemoryError:
        raise
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        raise BackboneError(
            f"{place}: expected weights that fit its config.json, found others ({type(error).__name__}: {error}). "
            "Download the checkpoint again."
        ) from error
    model, info = loaded
    lacking = sorted(info["missing_keys"])
    if lacking:
        raise BackboneError(
            f"{place}: expected all weights of the model, found none for {len(lacking)} of them, first {lacking[0]}. "
            "Download the checkpoint again."
        )
    return model
