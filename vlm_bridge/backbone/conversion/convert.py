"""`convert_checkpoint`: InternVL's own layout (InternVL, Skywork-R1V3) -> a folder that transformers reads by itself.

Weights go from file to file, one file at a time, and no code of the checkpoint is run.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm
from transformers import InternVLConfig, InternVLForConditionalGeneration

from vlm_bridge.assets import AssetFile
from vlm_bridge.backbone.conversion.config_table import convert_config, expected_shapes, original_tiling
from vlm_bridge.backbone.conversion.key_table import is_computed, original_name, target_names
from vlm_bridge.backbone.conversion.original_checkpoint import OriginalCheckpoint, TensorHead, read_original
from vlm_bridge.backbone.conversion.tokenizer_files import convert_tokenizer
from vlm_bridge.backbone.image_settings import write_image_settings
from vlm_bridge.backbone.json_files import write_json_object
from vlm_bridge.backbone.whole_folder import folder_written_whole
from vlm_bridge.errors import BackboneError, InvalidInputError
from vlm_bridge.file_hashes import file_sha256
from vlm_bridge.prompts.special_tokens import SpecialTokens

_BITS = {"F64": 64, "F32": 32, "BF16": 16, "F16": 16}
"""Types of weights that are converted; quantised ones are not."""
_SPARE_BYTES = 64 * 2**20
"""Room for everything that is not weights."""
_HEAD = "language_model.lm_head.weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionReport:
    """What was written."""

    target: Path
    """The folder."""
    tensors: int
    """Tensors in it."""
    parameters: int
    """Numbers in them."""
    files: dict[str, AssetFile]
    """Digest and size of each file, by name."""

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files.values())


def convert_checkpoint(
    source: Path, target: Path, *, dtype: torch.dtype | None = None, progress: bool = False
) -> ConversionReport:
    """Write the checkpoint in `source` to the new folder `target` in the layout of transformers, in `dtype` where
    given.

    The folder appears when it is complete. Each file of weights becomes one, with the layers it had; its tensors are
    read as they are written, so no more than two files' worth of them is in memory.

    Raises:
        BackboneError: the checkpoint is of another layout, damaged, or computes what transformers cannot; names that
            are unknown or missing are listed.
        InvalidInputError: `target` holds something already, or `dtype` is not of floating point.
    """
    if dtype is not None and not dtype.is_floating_point:
        raise InvalidInputError(f"Conversion: expected a dtype of floating point, found {dtype}. Choose bfloat16.")
    original = read_original(source)
    shapes = _planned(original)
    with folder_written_whole(target) as partial:
        # Tokenizers are made for a model: a first config.json says of which kind.
        write_json_object(partial / "config.json", {"model_type": "internvl"})
        tokenizer = convert_tokenizer(source, partial)
        config = _config(original, tokenizer)
        config.dtype = _dtype_name(original, dtype)
        _check_names(original, config, shapes)
        _check_space(original, target, dtype)
        config.save_pretrained(partial)
        write_image_settings(original_tiling(original.config), config.image_seq_length, partial)
        _write_generation_settings(config, tokenizer, partial)
        _convert_weights(original, partial, dtype, progress)
        return _report(partial, target, shapes)


def _planned(original: OriginalCheckpoint) -> dict[str, tuple[int, ...]]:
    """Name on disk -> shape of each converted tensor."""
    shapes: dict[str, tuple[int, ...]] = {}
    unknown = []
    for name, head in original.heads():
        if is_computed(name):
            continue
        new = target_names(name)
        if not new:
            unknown.append(name)
        elif head.dtype not in _BITS:
            raise BackboneError(
                f"{original.folder}: expected weights in {', '.join(_BITS)}, found {name} in {head.dtype}. "
                "Quantised checkpoints cannot be converted: convert the full one and load it quantised."
            )
        elif head.shape[0] % len(new):
            raise BackboneError(f"{original.folder}: expected {name} to hold {len(new)} equal blocks of rows, found "
                                f"shape {head.shape}. Download the checkpoint again.")  # fmt: skip
        else:
            rows = head.shape[0] // len(new)
            shapes |= {target: (rows, *head.shape[1:]) for target in new}
    if unknown:
        raise BackboneError(
            f"{original.folder}: expected tensors of InternVL's layout, found {_listed(unknown)}. "
            "A checkpoint with adapters must be merged first."
        )
    return shapes


def _config(original: OriginalCheckpoint, tokenizer: Any) -> InternVLConfig:
    known = tokenizer.get_vocab()
    tokens = SpecialTokens()
    text = original.config.get("llm_config")
    has_head = any(name == _HEAD for name, _ in original.heads())
    return convert_config(
        original.config,
        image_token_id=known[tokens.image_context],
        eos_token_id=known.get(tokens.turn_end),
        tied=not has_head and isinstance(text, dict) and bool(text.get("tie_word_embeddings")),
    )


def _check_names(original: OriginalCheckpoint, config: InternVLConfig, shapes: dict[str, tuple[int, ...]]) -> None:
    """The converted tensors are exactly those the model reads."""
    with torch.device("meta"):
        expected = expected_shapes(InternVLForConditionalGeneration(config))
    missing = sorted({original_name(name) for name in expected.keys() - shapes.keys()})
    surplus = sorted({original_name(name) for name in shapes.keys() - expected.keys()})
    wrong = [name for name in expected if name in shapes and expected[name] != shapes[name]]
    if missing:
        raise BackboneError(
            f"{original.folder}: expected every tensor of the configuration, found none called {_listed(missing)}. "
            "Download the checkpoint again."
        )
    if surplus:
        raise BackboneError(
            f"{original.folder}: expected only tensors of the configuration, found also {_listed(surplus)}. "
            "config.json and weights are of two checkpoints."
        )
    if wrong:
        raise BackboneError(
            f"{original.folder}: expected shapes of the configuration, found {len(wrong)} others, first of "
            f"{original_name(wrong[0])}: {shapes[wrong[0]]} instead of {expected[wrong[0]]}, after splitting. "
            "config.json and weights are of two checkpoints."
        )


def _dtype_name(original: OriginalCheckpoint, dtype: torch.dtype | None) -> str:
    if dtype is not None:
        return str(dtype).removeprefix("torch.")
    stated = original.config.get("torch_dtype") or original.config.get("dtype")
    return str(stated or "bfloat16").removeprefix("torch.")


def _check_space(original: OriginalCheckpoint, target: Path, dtype: torch.dtype | None) -> None:
    bits = None if dtype is None else torch.finfo(dtype).bits
    needed = sum(math.prod(head.shape) * (bits or _BITS[head.dtype]) // 8 for _, head in original.heads())
    free = shutil.disk_usage(target.parent).free
    if needed + _SPARE_BYTES > free:
        raise BackboneError(
            f"{target}: expected {(needed + _SPARE_BYTES) / 1e9:.1f} GB of free disk, found {free / 1e9:.1f} GB. "
            "Free some, or choose another disk."
        )


def _write_generation_settings(config: InternVLConfig, tokenizer: Any, folder: Path) -> None:
    end = config.get_text_config().eos_token_id
    padding = end if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    settings = {"eos_token_id": end, "pad_token_id": padding}
    write_json_object(
        folder / "generation_config.json", {name: value for name, value in settings.items() if value is not None}
    )


def _convert_weights(original: OriginalCheckpoint, folder: Path, dtype: torch.dtype | None, progress: bool) -> None:
    places: dict[str, str] = {}
    total = 0
    files = [(name, heads) for name, heads in original.shards.items() if any(not is_computed(head) for head in heads)]
    for number, (name, heads) in enumerate(tqdm(files, desc="converting", unit="file", disable=not progress), 1):
        new = "model.safetensors" if len(files) == 1 else f"model-{number:05d}-of-{len(files):05d}.safetensors"
        written = _convert_file(original.folder / name, heads, folder / new, dtype)
        total += sum(written.values())
        places |= dict.fromkeys(written, new)
    if len(files) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
        write_json_object(folder / "model.safetensors.index.json", index)


def _convert_file(
    source: Path, heads: dict[str, TensorHead], target: Path, dtype: torch.dtype | None
) -> dict[str, int]:
    """Name -> bytes of the tensors written."""
    tensors: dict[str, Tensor] = {}
    with safe_open(source, framework="pt") as file:
        for name in heads:
            new = () if is_computed(name) else target_names(name)
            for part, block in zip(new, file.get_tensor(name).chunk(len(new)) if new else (), strict=True):
                tensors[part] = block.to(dtype) if dtype is not None else block
        save_file(tensors, target, metadata={"format": "pt"})
    return {name: tensor.nbytes for name, tensor in tensors.items()}


def _report(partial: Path, target: Path, shapes: dict[str, tuple[int, ...]]) -> ConversionReport:
    files = {
        path.name: AssetFile(sha256=file_sha256(path), bytes=path.stat().st_size) for path in sorted(partial.iterdir())
    }
    parameters = sum(math.prod(shape) for shape in shapes.values())
    return ConversionReport(target=target, tensors=len(shapes), parameters=parameters, files=files)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more
