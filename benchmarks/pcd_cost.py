"""What a token costs with positional contrastive decoding, against plain greedy decoding in the same run.

`python -m benchmarks.pcd_cost` decodes behind a prompt of 2,048 tokens with a Qwen2 of 39 million random weights (8
layers of width 512, 8 heads, 2 of keys), on one thread. Four ways take turns: transformers' own greedy search, a bare
greedy loop, PCD inside transformers' `generate`, and PCD called directly. Times are of the processor, so that other
work on the machine counts little; each round gives one ratio, and the table shows the median.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from transformers import DynamicCache, GenerationConfig, Qwen2Config, Qwen2ForCausalLM
from transformers.generation.streamers import BaseStreamer

from vlm_bridge.decoding.pcd import pcd_generate

_CONTEXT, _WORDS, _ROUNDS = 2048, 24, 5
_BAR = 2.3


class Clock(BaseStreamer):
    """The time at which each word is known; a prompt is no word."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, value: Any) -> None:
        """Note the time."""
        if value.ndim == 1:
            self.times.append(time.process_time())

    def end(self) -> None:
        """Nothing to do."""


def _model() -> Any:
    config = Qwen2Config(
        vocab_size=32_000,
        hidden_size=512,
        intermediate_size=1408,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=2,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
    )
    torch.manual_seed(0)
    return Qwen2ForCausalLM(config).eval()


@torch.inference_mode()
def _bare_greedy(model: Any, ids: torch.Tensor, clock: Clock) -> torch.Tensor:
    """The loop of PCD without its second branch."""
    cache = DynamicCache(config=model.config)
    place = torch.arange(ids.shape[1])[None]
    logits = model(ids, position_ids=place, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1]
    place = place[:, -1:]
    while True:
        words = logits.float().argmax(-1)
        ids = torch.cat([ids, words[:, None]], 1)
        clock.put(words)
        if ids.shape[1] == _CONTEXT + _WORDS:
            return ids
        place = place + 1
        logits = model(
            words[:, None], position_ids=place, past_key_values=cache, use_cache=True, logits_to_keep=1
        ).logits[:, -1]


def _greedy(model: Any, ids: torch.Tensor, clock: Clock) -> torch.Tensor:
    return model.generate(ids, max_new_tokens=_WORDS, do_sample=False, streamer=clock)


def _pcd_inside(model: Any, ids: torch.Tensor, clock: Clock) -> torch.Tensor:
    strategy = partial(pcd_generate, streamer=clock)
    return model.generate(ids, max_new_tokens=_WORDS, do_sample=False, custom_generate=strategy)


def _pcd_directly(model: Any, ids: torch.Tensor, clock: Clock) -> Any:
    return pcd_generate(model, ids, generation_config=GenerationConfig(max_new_tokens=_WORDS), streamer=clock)


_WAYS: dict[str, Callable[[Any, torch.Tensor, Clock], Any]] = {
    "greedy, transformers": _greedy,
    "greedy, bare loop": _bare_greedy,
    "PCD in generate": _pcd_inside,
    "PCD called directly": _pcd_directly,
}


def measure(model: Any, ids: torch.Tensor) -> dict[str, tuple[list[float], list[float]]]:
    """Of each way the milliseconds of the prompt and the median ones of a further word, one of each per round."""
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in _WAYS}
    for number in range(_ROUNDS + 1):
        for name, way in _WAYS.items():
            clock, start = Clock(), time.process_time()
            way(model, ids, clock)
            steps = [1e3 * (after - before) for before, after in zip(clock.times, clock.times[1:], strict=False)]
            if number:  # the first round warms up
                found[name][0].append(1e3 * (clock.times[0] - start))
                found[name][1].append(statistics.median(steps))
    return found


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    model = _model()
    ids = torch.randint(1, 32_000, (1, _CONTEXT), generator=torch.Generator().manual_seed(0))
    same = torch.equal(_greedy(model, ids, Clock()), _bare_greedy(model, ids, Clock()))
    found = measure(model, ids)
    print(f"torch {torch.__version__}, 1 thread, float32, context {_CONTEXT}, {_ROUNDS} rounds in turn")
    print(f"both greedy ways say {'the same' if same else 'OTHER WORDS'}")
    print("\n| way | prompt, ms | a token, ms | token: times transformers' greedy | token: times the bare loop |")
    print("|---|---|---|---|---|")
    for name, (prompt, token) in found.items():
        ratios = [
            statistics.median(own / other for own, other in zip(token, found[base][1], strict=True))
            for base in ("greedy, transformers", "greedy, bare loop")
        ]
        cells = (statistics.median(prompt), statistics.median(token), *ratios)
        print(f"| {name} | {cells[0]:.0f} | {cells[1]:.1f} | {cells[2]:.2f} | {cells[3]:.2f} |")
    print(f"\nbar: a token of PCD at most {_BAR} times a token of greedy decoding")


if __name__ == "__main__":
    main()
