"""What does a training step of the 3D mask decoder cost on one thread, and an answer of each embedded mask decoder?

Seconds of one core (not of the wall), which other load changes less.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from medseg.grounding.embedded_decoder import EmbeddedMaskDecoder
from medseg.grounding.volume_decoder import VolumeMaskDecoder

_SIZE = (48, 64, 48)
_TOKENS = 2
_REPEATS = 5


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| what, 2 tokens per volume or picture | s of one core, least of five |\n|---|---|")
    for volumes in (1, 2):
        print(f"| training step of the 3D decoder, {volumes} x {_SIZE} | {_least(_training_step(volumes)):.2f} |")
    volume, picture = VolumeMaskDecoder(), EmbeddedMaskDecoder()
    side = picture.fit.side
    print(f"| answer of the 3D decoder, {_SIZE} | {_least(_answer(volume, torch.rand(1, 1, *_SIZE))):.2f} |")
    print(
        f"| answer of the 2D decoder, {side} x {side} | {_least(_answer(picture, torch.rand(1, 3, side, side))):.2f} |"
    )


def _training_step(volumes: int) -> Callable[[], None]:
    decoder = VolumeMaskDecoder()
    optimiser = torch.optim.AdamW(decoder.parameters(), 1e-3)
    values = torch.rand(volumes, 1, *_SIZE)
    prompts = torch.randn(_TOKENS * volumes, decoder.prompt_width, requires_grad=True)
    targets = (torch.rand(_TOKENS * volumes, *_SIZE) > 0.9).float()
    about = torch.arange(volumes).repeat_interleave(_TOKENS)

    def step() -> None:
        found = decoder.decode(decoder.encode(values), about, prompts)
        loss = binary_cross_entropy_with_logits(found.logits, targets) + found.overlap.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def _answer(decoder: VolumeMaskDecoder | EmbeddedMaskDecoder, seen: Tensor) -> Callable[[], None]:
    prompts = torch.randn(_TOKENS, decoder.prompt_width)
    decoder.eval()

    @torch.inference_mode()
    def answer() -> None:
        decoder.decode(decoder.encode(seen), torch.zeros(_TOKENS, dtype=torch.long), prompts)  # type: ignore[arg-type]

    return answer


def _least(act: Callable[[], None]) -> float:
    act()
    taken = []
    for _ in range(_REPEATS):
        start = time.process_time()
        act()
        taken.append(time.process_time() - start)
    return min(taken)


if __name__ == "__main__":
    main()
