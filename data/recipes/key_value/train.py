"""Training of the small model: a Qwen2 from nothing, on lists that grow as it learns.

A list is looked up in two steps: a layer tells each place what stands before it, and a later one finds the place that
the letters of the key stand before. The second step cannot be learned before the first. So while it trains, two linear
readers of the first layer's output name the two tokens before each place, and their loss is added; with it the
second step came after 300 to 800 updates, without it none was seen in the first 600. They are not part of the model.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import Qwen2Config, Qwen2ForCausalLM

from data.recipes.key_value.task import NOT_ASKED, PAD, VOCABULARY, questions

TRAINING_PAIRS = 64
"""Longest list that is trained on."""
_FIRST_PAIRS = 8
_READER_WEIGHT = 1.0
_GROWS_AT = 0.9
"""Lists grow once this share above chance is answered right."""
_HOLD = 0.5
"""Share of the steps after which the learning rate begins to fall."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How long and how."""

    steps: int = 2000
    seed: int = 0
    tokens: int = 1024
    """Of a batch, about."""
    learning_rate: float = 5e-3
    """Of the matrices, by Muon."""
    other_learning_rate: float = 2e-3
    """Of embeddings, norms and biases, by AdamW."""
    log_every: int = 100


def new_model(seed: int) -> Qwen2ForCausalLM:
    """A Qwen2 of 0.67 million random weights with the rotary base of Qwen2."""
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=True,
        pad_token_id=PAD,
        bos_token_id=None,
        eos_token_id=None,
    )
    torch.manual_seed(seed)
    return Qwen2ForCausalLM(config)


def train(model: Qwen2ForCausalLM, config: TrainConfig, report: Callable[[str], None]) -> None:
    """Train for `config.steps` updates; equal settings give equal weights."""
    readers = nn.Linear(model.config.hidden_size, 2 * VOCABULARY)
    optimizers = _optimizers(model, readers, config)
    generator = torch.Generator().manual_seed(config.seed)
    started, pairs, right = time.process_time(), _FIRST_PAIRS, 0.0
    model.train()
    for step in range(1, config.steps + 1):
        for optimizer, rate in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * min(1.0, step / 50) * _decay(step / config.steps)
        loss, share = _loss(model, readers, pairs, config.tokens, generator)
        for optimizer, _ in optimizers:
            optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, _ in optimizers:
            optimizer.step()
        right += 0.03 * (share - right)
        if right > _GROWS_AT and pairs < TRAINING_PAIRS:
            pairs, right = min(TRAINING_PAIRS, pairs * 3 // 2), 0.6
        if step % config.log_every == 0:
            spent = time.process_time() - started
            report(f"step {step}, {spent:.0f} s on a core, up to {pairs} pairs: {right:.3f} over chance")
    model.eval()


def _loss(
    model: Qwen2ForCausalLM, readers: nn.Linear, longest: int, tokens: int, generator: torch.Generator
) -> tuple[Tensor, float]:
    """Loss of one batch, and the share of right answers above chance (any value of the list)."""
    pairs = int(torch.randint(max(3, longest // 3), longest + 1, (1,), generator=generator))
    asked = min(pairs, max(4, pairs // 2))
    made = questions(max(4, tokens // (3 * pairs + 4 * asked)), pairs, asked, generator)
    wanted = made.labels[:, 1:]
    answers = wanted != NOT_ASKED
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model.model(made.ids, output_hidden_states=True)
        logits = model.lm_head(output.last_hidden_state[:, :-1][answers])
        read = readers(output.hidden_states[1][:, 2:]).unflatten(-1, (2, VOCABULARY))
    before = torch.stack([made.ids[:, 1:-1], made.ids[:, :-2]], -1)
    loss = cross_entropy(logits.float(), wanted[answers])
    read_loss = cross_entropy(read.float().flatten(0, 2), before.flatten())
    share = float((logits.argmax(-1) == wanted[answers]).float().mean())
    return loss + _READER_WEIGHT * read_loss, (share - 1 / pairs) / (1 - 1 / pairs)


def _decay(progress: float) -> float:
    falling = max(0.0, progress - _HOLD) / (1 - _HOLD)
    return 0.5 * (1 + math.cos(math.pi * falling))


def _optimizers(
    model: Qwen2ForCausalLM, readers: nn.Linear, config: TrainConfig
) -> list[tuple[torch.optim.Optimizer, float]]:
    """Each with its learning rate at full height."""
    inside = {id(value) for value in model.model.layers.parameters() if value.ndim == 2}
    matrices = [value for value in model.parameters() if id(value) in inside]
    others = [value for value in (*model.parameters(), *readers.parameters()) if id(value) not in inside]
    muon = torch.optim.Muon(matrices, lr=config.learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(others, lr=config.other_learning_rate, weight_decay=0.0, betas=(0.9, 0.98))
    return [(muon, config.learning_rate), (adam, config.other_learning_rate)]
