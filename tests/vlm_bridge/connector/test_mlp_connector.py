"""The connector: as in transformers, and by its formula."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import InternVLConfig, InternVLVisionConfig, Qwen2Config
from transformers.models.internvl.modeling_internvl import InternVLMultiModalProjector

from vlm_bridge.connector.mlp_connector import CONNECTOR_TENSORS, ConnectorConfig, MlpConnector
from vlm_bridge.errors import InvalidInputError


def projector(vision_width: int, language_width: int, ratio: float, activation: str) -> InternVLMultiModalProjector:
    return InternVLMultiModalProjector(
        InternVLConfig(
            vision_config=InternVLVisionConfig(hidden_size=vision_width),
            text_config=Qwen2Config(hidden_size=language_width),
            downsample_ratio=ratio,
            projector_hidden_act=activation,
        )
    )


@given(
    st.integers(1, 24),
    st.integers(1, 40),
    st.sampled_from([1.0, 0.5, 0.25]),
    st.sampled_from(["gelu", "silu", "relu"]),
)
def test_random_sizes_equal_transformers(width: int, language_width: int, ratio: float, activation: str) -> None:
    config = ConnectorConfig(vision_width=width, language_width=language_width, ratio=ratio, activation=activation)
    theirs, ours = projector(width, language_width, ratio, activation), MlpConnector(config)
    ours.load_state_dict(theirs.state_dict())
    features = torch.randn(2, 3, config.input_width)
    assert torch.equal(ours(features), theirs(features))


def test_formula_written_out() -> None:
    ours = MlpConnector(ConnectorConfig(vision_width=2, language_width=3)).double()
    weights = [torch.randn_like(tensor) for tensor in ours.state_dict().values()]
    ours.load_state_dict(dict(zip(CONNECTOR_TENSORS, weights, strict=True)))
    scale, shift, first, first_bias, second, second_bias = weights
    features = torch.randn(5, 8, dtype=torch.float64)
    centred = features - features.mean(dim=1, keepdim=True)
    normed = centred / (centred.square().mean(dim=1, keepdim=True) + 1e-5).sqrt() * scale + shift
    inner = normed @ first.T + first_bias
    outer = inner * (1 + torch.erf(inner / math.sqrt(2))) / 2 @ second.T + second_bias
    torch.testing.assert_close(ours(features), outer, rtol=1e-12, atol=1e-12)


def test_size_of_the_connector_of_38_billion() -> None:
    with torch.device("meta"):
        connector = MlpConnector(ConnectorConfig(vision_width=3200, language_width=5120))
    # 2 * 12800 + 12800 * 5120 + 5120 + 5120 * 5120 + 5120
    assert sum(tensor.numel() for tensor in connector.parameters()) == 91_786_240
    assert tuple(connector.state_dict()) == CONNECTOR_TENSORS


@pytest.mark.parametrize(
    "wrong", [{"vision_width": 0}, {"language_width": 0}, {"ratio": 0.4}, {"ratio": 0.0}, {"activation": "none"}]
)
def test_impossible_config_is_refused(wrong: dict) -> None:
    with pytest.raises(InvalidInputError, match="Connector: expected"):
        ConnectorConfig(**({"vision_width": 4, "language_width": 4} | wrong))
