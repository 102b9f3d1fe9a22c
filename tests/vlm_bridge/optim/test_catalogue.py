"""What the members of the catalogue are made of; what all of them must do is in tests/families."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.vlm_bridge.optim.small_network import small_network, word_loss
from tests.vlm_bridge.tiny_models import tiny_internvl
from vlm_bridge.errors import InvalidInputError
from vlm_bridge.optim.catalogue import make_optimizer
from vlm_bridge.optim.config import OptimizerConfig
from vlm_bridge.optim.mlorc import MLorcConfig

FACTORED = {"mean_left", "mean_scale", "mean_right"}


def _names_with(optimizer: torch.optim.Optimizer, model: nn.Module, slots: set[str]) -> set[str]:
    return {name for name, value in model.named_parameters() if slots <= optimizer.state[value].keys()}


def _after_a_step(name: str, config: OptimizerConfig) -> tuple[torch.optim.Optimizer, nn.Module]:
    model = small_network()
    optimizer = make_optimizer(model, name, config)
    word_loss(model).backward()
    optimizer.step()
    return optimizer, model


@pytest.mark.parametrize("name", ["mlorc_adamw", "mlorc_lion"])
def test_mlorc_compresses_matrices_and_kernels_alone_unless_told_to(name: str) -> None:
    mlorc = MLorcConfig(rank=2)
    optimizer, model = _after_a_step(name, OptimizerConfig(mlorc=mlorc))
    assert _names_with(optimizer, model, FACTORED) == {"wide.weight", "narrow.weight", "mixer.weight"}
    optimizer, model = _after_a_step(name, OptimizerConfig(mlorc=mlorc, compress_embeddings=True))
    assert "embedding.weight" in _names_with(optimizer, model, FACTORED)


def test_what_mlorc_lion_does_not_compress_is_adamws() -> None:
    optimizer, model = _after_a_step("mlorc_lion", OptimizerConfig(mlorc=MLorcConfig(rank=2)))
    others = {name for name, value in model.named_parameters() if value.grad is not None}
    others -= {"wide.weight", "narrow.weight", "mixer.weight"}
    assert _names_with(optimizer, model, {"mean", "square"}) == others
    assert [group["betas"] for group in optimizer.param_groups] == [(0.95, 0.98), (0.9, 0.999), (0.9, 0.999)]


def test_lion_moves_every_number_by_the_rate() -> None:
    model = small_network()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer = make_optimizer(model, "lion", OptimizerConfig(learning_rate=0.01))
    word_loss(model).backward()
    optimizer.step()
    for name, value in model.named_parameters():
        if value.grad is not None:
            expected = before[name] - 0.01 * torch.sign(value.grad)
            assert torch.allclose(value, expected, atol=1e-7), name


def test_the_settings_reach_the_optimizer() -> None:
    config = OptimizerConfig(learning_rate=0.02, weight_decay=0.3, betas=(0.8, 0.9), eps=1e-6)
    for name in ("adamw", "mlorc_adamw"):
        for group in make_optimizer(small_network(), name, config).param_groups:
            assert (group["lr"], tuple(group["betas"]), group["eps"]) == (0.02, (0.8, 0.9), 1e-6)
    roles = OptimizerConfig(roles=(("wide.*", "vector"),))
    assert len(make_optimizer(small_network(), "muon", roles).param_groups[0]["params"]) == 2  # narrow and unused


def test_mlorc_keeps_little_of_an_internvl() -> None:
    model = tiny_internvl()
    words = torch.arange(40, 52)[None]
    model(input_ids=words, labels=words).loss.backward()
    optimizer = make_optimizer(model, "mlorc_adamw", OptimizerConfig(mlorc=MLorcConfig(rank=1)))
    optimizer.step()
    for layer in (model.model.language_model.layers[0].mlp.up_proj, model.model.language_model.layers[1].mlp.up_proj):
        kept = sum(value.numel() for value in optimizer.state[layer.weight].values() if isinstance(value, torch.Tensor))
        assert kept == 2 * (64 + 32 + 1)


def test_unknown_names_and_models_that_do_not_learn_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"expected one of adamw, .*found 'magic'"):
        make_optimizer(small_network(), "magic")
    with pytest.raises(InvalidInputError, match="found none"):
        make_optimizer(small_network().requires_grad_(False), "adamw")
    with pytest.raises(InvalidInputError, match="betas in"):
        OptimizerConfig(betas=(0.9, 1.0))
