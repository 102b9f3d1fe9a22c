"""A small real model on disk: a ResNet that sees 64 px, and a text tower that reads whole words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from vision3d.language.checkpoint_files import CONFIG_NAME, VOCABULARY_NAME, WEIGHT_NAMES
from vision3d.language.open_clip_door import build_model
from vision3d.language.open_clip_encoder import OpenClipEncoder
from vision3d.language.word_tokenizer import WordTokenizer

WORDS = ("red", "blue", "mug", "shelf", "object", "things", "stuff", "texture", "photo", "of")
SIZE, DIM = 64, 16


def small_config(words: tuple[str, ...] = WORDS, context_length: int = 24) -> dict[str, Any]:
    return {
        "embed_dim": DIM,
        "vision_cfg": {"layers": [1, 1, 1, 1], "width": 8, "image_size": SIZE},
        "text_cfg": {
            "context_length": context_length,
            "vocab_size": WordTokenizer(words, context_length=context_length).vocabulary_size,
            "width": 128,
            "heads": 4,
            "layers": 2,
        },
    }


def random_model(config: dict[str, Any], seed: int = 0) -> Any:
    """Random weights under which different pictures give different vectors: what is the same for all is taken out."""
    torch.manual_seed(seed)
    model = build_model(config)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            module.momentum = 1.0  # what pictures have in common is learnt from one batch
    pool = model.visual.attnpool
    for name, parameter in pool.named_parameters():
        if name == "positional_embedding" or name.endswith("bias"):
            torch.nn.init.zeros_(parameter)
    colours = torch.rand(64, 3, 1, 1, generator=torch.Generator().manual_seed(seed)) * 4 - 2
    with torch.no_grad():
        model.train().encode_image(colours + 0.3 * torch.randn(64, 3, SIZE, SIZE))
    return model.eval()


def written_model(folder: Path, seed: int = 0, preprocess: dict[str, Any] | None = None) -> Path:
    """A folder with configuration, vocabulary and weights in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    config = small_config()
    content = {"model_cfg": config, "preprocess_cfg": preprocess or {}}
    (folder / CONFIG_NAME).write_text(json.dumps(content), encoding="utf-8")
    (folder / VOCABULARY_NAME).write_text(json.dumps(WORDS), encoding="utf-8")
    save_file(random_model(config, seed).half().state_dict(), folder / WEIGHT_NAMES[0])
    return folder


def small_encoder(folder: Path, seed: int = 0) -> OpenClipEncoder:
    return OpenClipEncoder.from_folder(written_model(folder, seed))
