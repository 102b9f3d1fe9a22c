"""A SpecLoRA adapter written as a plain LoRA, exactly, for programs that know nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from safetensors.torch import save_file
from torch import Tensor

from vlm_bridge.adapters.peft_door import WEIGHTS_FILE
from vlm_bridge.adapters.speclora_linear import SpecLoraLinear
from vlm_bridge.errors import InvalidInputError


@torch.no_grad()
def speclora_to_lora(model: PeftModel, adapter_name: str = "default") -> tuple[LoraConfig, dict[str, Tensor]]:
    """Settings and tensors of the LoRA that changes each weight as the adapter does.

    Its rank is k + r (less in a layer with fewer singular values), its scaling 1. Tensors have the names PEFT gives
    them in a file, and are on the CPU.

    Raises:
        InvalidInputError: the model has no SpecLoRA adapter of that name, or one that learned modules as a whole.
    """
    layers = {
        key: module
        for key, module in model.named_modules()
        if isinstance(module, SpecLoraLinear) and adapter_name in module.r
    }
    if not layers:
        raise InvalidInputError(
            f"To LoRA: expected a SpecLoRA adapter {adapter_name!r}, found adapters {sorted(model.peft_config)} of "
            f"{type(model.base_model).__name__}. Name another, or save it as it is."
        )
    settings: Any = model.peft_config[adapter_name]
    if settings.modules_to_save:
        raise InvalidInputError(
            f"To LoRA: expected an adapter alone, found modules_to_save {settings.modules_to_save}. Save it as it is."
        )
    tensors, ranks = {}, {}
    for key, layer in layers.items():
        up, down = layer.low_rank(adapter_name)
        tensors[f"{key}.lora_A.weight"] = down.float().cpu().contiguous()
        tensors[f"{key}.lora_B.weight"] = up.float().cpu().contiguous()
        ranks[key.removeprefix("base_model.model.")] = down.shape[0]
    return _config(settings, ranks), tensors


def save_speclora_as_lora(model: PeftModel, folder: Path, adapter_name: str = "default") -> None:
    """Write the adapter to `folder` as a plain LoRA that PEFT, transformers and servers of models load.

    Raises:
        InvalidInputError: the folder holds something, or as `speclora_to_lora`.
    """
    config, tensors = speclora_to_lora(model, adapter_name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInputError(f"{folder}: expected a new or empty folder, found files. Choose another, or remove it.")
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    config.save_pretrained(str(folder))


def _config(settings: Any, ranks: dict[str, int]) -> LoraConfig:
    rank = max(ranks.values())
    others = {f"^{re.escape(key)}$": one for key, one in ranks.items() if one != rank}
    return LoraConfig(
        r=rank,
        lora_alpha=rank,
        target_modules=sorted(ranks),
        rank_pattern=others,
        alpha_pattern=dict(others),
        task_type=settings.task_type,
        base_model_name_or_path=settings.base_model_name_or_path,
        revision=settings.revision,
        inference_mode=True,
    )
