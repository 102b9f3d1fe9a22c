"""Settings of fine-tuning: what cannot be is refused with its value."""

from __future__ import annotations

import pytest

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.finetune.config import FINETUNE_PRESETS, FinetuneConfig, Stage


def test_connector_preset_is_the_published_one() -> None:
    config = FINETUNE_PRESETS["connector_only"]
    (stage,) = config.stages
    # arXiv:2507.06167, section 5.2.
    assert (stage.policy, stage.epochs, stage.learning_rate) == ("connector_only", 2, 1e-5)
    assert config.batch_size * config.accumulation == 64
    assert (config.schedule, config.warmup_ratio, config.max_length) == ("cosine", 0.03, 16_384)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"policy": "everything"}, "found 'everything'"),
        ({"epochs": 0}, "found 0, None and"),
        ({"steps": 0}, "found 1, 0 and"),
        ({"learning_rate": 0.0}, "and 0.0"),
        ({"learning_rate": 1.0}, "and 1.0"),
        ({"policy": "sft_default", "new_rows": True}, "freezes the language model"),
    ],
)
def test_impossible_stages_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Stage(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"stages": ()}, "found 0 stages"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"accumulation": 0}, "accumulation=0"),
        ({"save_every": 0}, "save_every=0"),
        ({"evaluate_every": -1}, "evaluate_every=-1"),
        ({"log_every": 0}, "log_every=0"),
        ({"keep": 0}, "keep=0"),
        ({"warmup_ratio": 1.0}, "found 1.0"),
        ({"weight_decay": -0.1}, "-0.1"),
        ({"max_gradient_norm": -1.0}, "-1.0"),
        ({"workers": 2}, "found 2"),
        ({"seed": -1}, "and -1"),
        ({"patience": 0}, "found 0"),
        ({"max_length": 1}, "and 1"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        FinetuneConfig(**wrong)
