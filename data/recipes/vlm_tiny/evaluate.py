"""How many questions of each kind are answered word for word as expected, on pictures nobody learned from.

Greedy decoding says the expected answer exactly if at each of its places the likeliest token is the expected one, so
one pass over question and expected answer tells; `benchmarks/backbone_answers.py` asks by generating instead.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch

from data.recipes.vlm_tiny.batches import IGNORED, Writer, draw_exchanges, pack
from data.recipes.vlm_tiny.exchange import Picture, Rng
from data.recipes.vlm_tiny.network import patch_features
from data.recipes.vlm_tiny.train import Trained, answer_logits
from vlm_bridge.backbone.cpu_precision import cpu_has_bfloat16

Score = tuple[int, int]
"""Answered as expected, asked."""


def exact_answers(trained: Trained, pictures: Sequence[Picture], writer: Writer, rng: Rng) -> dict[str, Score]:
    """Scores by `source: kind`."""
    scores: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    trained.eval()
    for first in range(0, len(pictures), 16):
        some = pictures[first : first + 16]
        chosen = [draw_exchanges(picture, 10, rng) for picture in some]
        batch = pack(some, chosen, writer)
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=cpu_has_bfloat16()):
            said = answer_logits(trained.model, patch_features(trained.model, batch.pixels), batch).argmax(-1)
        due = batch.labels != IGNORED
        right = torch.ones_like(due)
        right[due] = said == batch.labels[due]
        for row, exchanges in enumerate(chosen):
            for number, one in enumerate(exchanges, start=1):
                score = scores[f"{some[row].source}: {one.kind}"]
                score[0] += bool(right[row][batch.exchange[row] == number].all())
                score[1] += 1
    trained.train()
    return {name: (right, asked) for name, (right, asked) in sorted(scores.items())}
