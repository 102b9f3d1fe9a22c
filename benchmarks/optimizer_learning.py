"""How far each optimiser of the catalogue brings a small language model in the same number of steps.

`python -m benchmarks.optimizer_learning` trains a Qwen2 of 0.23 million weights (2 layers of width 96) from scratch on
an endless synthetic text of 64 words, in which a word depends on the two before it. Every optimiser gets the same six
learning rates, the same batches and a linear schedule; its best rate is shown, and that rate from a second start. The
loss is on batches never trained on. The entropy of the text, below which no model comes, is printed beside it. The task
is small and trained from scratch: it shows that an optimiser works, and says little about large models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm
from transformers import Qwen2Config, Qwen2ForCausalLM

from vlm_bridge.optim.catalogue import make_optimizer
from vlm_bridge.optim.config import OptimizerConfig
from vlm_bridge.optim.mlorc import MLorcConfig
from vlm_bridge.optim.state_size import state_bytes

_WORDS, _ROWS, _LENGTH, _STEPS = 64, 16, 32, 150
_RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
_WAYS = (
    ("adamw", 0), ("adafactor", 0), ("lion", 0), ("muon", 0),
    ("mlorc_adamw", 1), ("mlorc_adamw", 4), ("mlorc_lion", 4),
)  # fmt: skip
"""Member and rank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A source of words: the next one is drawn by logits that depend on the last two."""

    last: Tensor
    """Logits [word word] by the last word."""
    before: Tensor
    """And by the one before it."""

    def batch(self, seed: int) -> tuple[Tensor, float]:
        """Rows of words, and the mean entropy of those drawn."""
        generator = torch.Generator().manual_seed(seed)
        words = torch.randint(0, _WORDS, (_ROWS, 2), generator=generator)
        entropies = []
        while words.shape[1] < _LENGTH:
            chances = (self.last[words[:, -1]] + self.before[words[:, -2]]).softmax(-1)
            entropies.append(-(chances * chances.log()).sum(-1).mean())
            words = torch.cat([words, torch.multinomial(chances, 1, generator=generator)], 1)
        return words, float(torch.stack(entropies).mean())


def synthetic_text() -> Text:
    """Always the same one; both tables are of rank 8."""
    generator = torch.Generator().manual_seed(0)
    tables = [
        torch.randn(_WORDS, 8, generator=generator) @ torch.randn(8, _WORDS, generator=generator) for _ in range(2)
    ]
    return Text(last=tables[0], before=tables[1])


def small_model(seed: int) -> Any:
    """An untrained one."""
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=_WORDS, hidden_size=96, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=64, bos_token_id=None, eos_token_id=None,
        tie_word_embeddings=True,
    )  # fmt: skip
    return Qwen2ForCausalLM(config)


def _loss(model: Any, words: Tensor) -> Tensor:
    logits = model(input_ids=words).logits[:, 1:-1]  # the first word but one is the first that depends on two
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), words[:, 2:].flatten())


def train(batches: list[Tensor], held_out: list[Tensor], way: tuple[str, int], rate: float, seed: int) -> tuple:
    """Loss on the batches held out, and bytes of the optimiser."""
    model = small_model(seed).train()
    config = OptimizerConfig(learning_rate=rate, mlorc=MLorcConfig(rank=way[1]))
    optimizer = make_optimizer(model, way[0], config)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / 20, 1 - step / len(batches)))
    for words in batches:
        _loss(model, words).backward()
        try:
            optimizer.step()
        except ValueError:  # a gradient that is not finite: the rate is too high
            return float("inf"), 0
        optimizer.zero_grad()
        schedule.step()
    with torch.no_grad():
        losses = [float(_loss(model.eval(), words)) for words in held_out]
    return sum(losses) / len(losses), state_bytes(optimizer)


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    text = synthetic_text()
    batches = [text.batch(seed)[0] for seed in range(_STEPS)]
    drawn = [text.batch(10_000 + seed) for seed in range(16)]
    held_out = [words for words, _ in drawn]
    entropy = sum(one for _, one in drawn) / len(drawn)
    rows = []
    for way in tqdm(_WAYS):
        found = {rate: train(batches, held_out, way, rate, seed=0) for rate in _RATES}
        best = min(found, key=lambda rate: found[rate][0])
        second, held = train(batches, held_out, way, best, seed=1)
        losses = ", ".join(f"{found[rate][0]:.3f}" for rate in _RATES)
        name = f"{way[0]}, rank {way[1]}" if way[1] else way[0]
        rows.append(f"| {name} | {found[best][0]:.3f} | {second:.3f} | {best:g} | {held:,} | {losses} |")
    count = sum(value.numel() for value in small_model(0).parameters())
    print(f"torch {torch.__version__}; {count:,} weights, {_STEPS} steps of {_ROWS} x {_LENGTH} words")
    print(f"entropy of the text: {entropy:.3f}\n")
    print(
        f"| optimiser | loss | second start | best rate | state, bytes | loss at rates {', '.join(map(str, _RATES))} |"
    )
    print("|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
