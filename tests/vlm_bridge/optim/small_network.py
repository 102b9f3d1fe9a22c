"""A network that has one parameter of every role, and losses on it: what optimisers are tested with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

WORDS, WIDTH = 11, 12


class SmallNetwork(nn.Module):
    """Embedding with tied head, position table, convolution, linear layers, norm, biases; one layer is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, WIDTH)
        self.positions = nn.Parameter(0.1 * torch.randn(1, 5, WIDTH))
        self.mixer = nn.Conv1d(WIDTH, WIDTH, kernel_size=3, padding=1)
        self.norm = nn.LayerNorm(WIDTH)
        self.wide = nn.Linear(WIDTH, 20)
        self.narrow = nn.Linear(20, WIDTH)
        self.head = nn.Linear(WIDTH, WORDS, bias=False)
        self.head.weight = self.embedding.weight
        self.unused = nn.Linear(4, 4)

    def get_output_embeddings(self) -> nn.Module:
        return self.head

    def forward(self, words: Tensor) -> Tensor:
        hidden = self.embedding(words) + self.positions
        hidden = hidden + self.mixer(hidden.transpose(1, 2)).transpose(1, 2)
        return self.head(hidden + self.narrow(torch.tanh(self.wide(self.norm(hidden)))))


def small_network(dtype: torch.dtype = torch.float32) -> SmallNetwork:
    """Always the same one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return SmallNetwork().to(dtype)


def word_loss(model: nn.Module, number: int = 0) -> Tensor:
    """Cross-entropy of the words that follow, in the batch of that number."""
    generator = torch.Generator().manual_seed(number)
    words = torch.randint(0, WORDS, (6, 5), generator=generator)
    return nn.functional.cross_entropy(model(words).flatten(0, 1), (3 * words + 1).flatten() % WORDS)


def regression_gradients(shape: tuple[int, int], dtype: torch.dtype = torch.float64) -> Callable[[Tensor, int], Tensor]:
    """Gradient of a noisy linear regression at some weights, of the minibatch of that number."""
    rows, columns = shape
    generator = torch.Generator().manual_seed(7)
    inputs = torch.randn(60, rows, generator=generator, dtype=dtype)
    outputs = torch.randn(60, columns, generator=generator, dtype=dtype)

    def gradient(weights: Tensor, number: int) -> Tensor:
        chosen = torch.randint(0, 60, (8,), generator=torch.Generator().manual_seed(number))
        return inputs[chosen].T @ (inputs[chosen] @ weights.detach() - outputs[chosen]) / 8

    return gradient
