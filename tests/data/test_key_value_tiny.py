"""The small model that looks values up: sure of lists as long as it was trained on, less so of longer ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen2ForCausalLM

from data.recipes.key_value.task import prompts
from vlm_bridge.decoding.config import PcdConfig
from vlm_bridge.decoding.pcd import pcd_generate
from vlm_bridge.decoding.salience import salience_score

COUNT = 60


@pytest.fixture(scope="module")
def folder(checkout: Path) -> Path:
    return checkout / "data/key_value_tiny"


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@torch.inference_mode()
def _salience(model: Any, pairs: int) -> float:
    ids, gold = prompts(COUNT, pairs, seed=77)
    logits = torch.cat([model(part, logits_to_keep=1).logits[:, -1] for part in ids.split(20)])
    return salience_score(logits, gold)


def test_it_is_small_and_says_how_it_was_trained(folder: Path) -> None:
    assert sum(path.stat().st_size for path in folder.iterdir()) < 3e6
    assert json.loads((folder / "training.json").read_text())["training_pairs"] == 64


def test_salience_falls_with_the_length_of_the_list(model: Any) -> None:
    """At its training length it is nearly always right; four times as long, 60 questions are enough to see the fall."""
    trained, longer = _salience(model, 64), _salience(model, 256)
    assert trained > 0.95
    assert longer < trained - 0.02


def test_contrast_leaves_what_is_sure(model: Any) -> None:
    """At half the training length, decoded by the product's own loop: at least 95 % right with and without."""
    ids, gold = prompts(COUNT, 32, seed=78)
    for pcd in (PcdConfig(beta=0.0), PcdConfig()):
        said = model.generate(ids, max_new_tokens=1, do_sample=False, custom_generate=pcd_generate, pcd=pcd)
        assert (said[:, -1] == gold).float().mean() >= 0.95
