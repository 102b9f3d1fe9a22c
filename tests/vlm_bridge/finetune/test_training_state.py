"""Optimiser and random generators, packed and unpacked through a checkpoint on disk."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vlm_bridge.errors import BackboneError
from vlm_bridge.finetune.training_state import pack_optimizer, pack_random, unpack_optimizer, unpack_random
from vlm_bridge.runs.checkpoints import read_checkpoint, write_checkpoint


def drawn() -> list[float]:
    return [random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), float(torch.rand(()))]


def test_random_generators_go_on_where_they_were(tmp_path: Path) -> None:
    drawn()  # leaves half a pair of normal numbers in two of the generators
    python = random.getstate()
    tensors, state = pack_random()
    path = write_checkpoint(tmp_path, 1, tensors, {"random": state}, keep=1)
    random.setstate(python)  # the checker of types, which tests run under, draws numbers of its own
    expected = drawn()
    assert drawn() != expected
    stored = read_checkpoint(path)
    unpack_random(stored.tensors, stored.state["random"])
    assert drawn() == expected


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD, torch.optim.Adafactor])
def test_an_optimiser_goes_on_where_it_was(tmp_path: Path, kind: type[torch.optim.Optimizer]) -> None:
    options = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    target = torch.rand(4, 3)

    def steps(layer: nn.Linear, optimizer: torch.optim.Optimizer) -> Tensor:
        for _ in range(3):
            optimizer.zero_grad()
            (layer.weight - target).square().sum().backward()
            optimizer.step()
        return layer.weight.detach().clone()

    layer = nn.Linear(3, 4)
    optimizer = kind(layer.parameters(), lr=0.1, **options)
    middle = steps(layer, optimizer)
    tensors, state = pack_optimizer(optimizer)
    path = write_checkpoint(tmp_path, 3, tensors, {"optimizer": state}, keep=1)
    end = steps(layer, optimizer)

    other = nn.Linear(3, 4)
    other.weight.data.copy_(middle)
    fresh = kind(other.parameters(), lr=0.5, **options)
    stored = read_checkpoint(path)
    unpack_optimizer(fresh, stored.tensors, stored.state["optimizer"])
    assert torch.equal(steps(other, fresh), end)


def test_a_state_that_cannot_be_stored_is_refused() -> None:
    layer = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    optimizer.state[layer.weight]["history"] = [1, 2]
    with pytest.raises(BackboneError, match=r"found list in 'history'"):
        pack_optimizer(optimizer)
