"""`MlpConnector`: turns the patch features of the vision tower into visual tokens of the language model."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from transformers.activations import ACT2FN

from vlm_bridge.errors import InvalidInputError

CONNECTOR_TENSORS = (
    "layer_norm.weight", "layer_norm.bias", "linear_1.weight", "linear_1.bias", "linear_2.weight", "linear_2.bias",
)  # fmt: skip
"""The six tensors of a connector, as transformers and we name them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorConfig:
    """What shapes a connector: two of equal config can exchange their tensors."""

    vision_width: int
    """Width of one patch feature."""
    language_width: int
    """Width of the language model."""
    ratio: float = 0.5
    """Of the pixel shuffle before it: `1 / ratio ** 2` patch features enter together."""
    activation: str = "gelu"
    """Between the two layers, by its name in transformers."""

    def __post_init__(self) -> None:
        side = round(1 / self.ratio) if 0 < self.ratio <= 1 else 0
        if self.vision_width < 1 or self.language_width < 1 or side * self.ratio != 1:
            raise InvalidInputError(
                f"Connector: expected widths of 1 and more and a ratio of 1, 1/2, 1/3 ..., found "
                f"{self.vision_width}, {self.language_width} and {self.ratio}. Take them from the model."
            )
        if self.activation not in ACT2FN:
            raise InvalidInputError(
                f"Connector: expected an activation that transformers knows, found {self.activation!r}. Try 'gelu'."
            )

    @property
    def input_width(self) -> int:
        """Width of what enters: one square of patch features."""
        return self.vision_width * round(1 / self.ratio) ** 2


class MlpConnector(nn.Module):
    """Norm, linear layer, activation, linear layer: the `multi_modal_projector` of InternVL, by the same names.

    Source:
        InternVL (arXiv:2404.16821, section 3.1; arXiv:2504.10479), which Skywork-R1V3 (arXiv:2507.06167) takes over.
    """

    def __init__(self, config: ConnectorConfig) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(config.input_width)
        self.linear_1 = nn.Linear(config.input_width, config.language_width)
        self.act = ACT2FN[config.activation]
        self.linear_2 = nn.Linear(config.language_width, config.language_width)

    def forward(self, features: Float[Tensor, "*cell dim"]) -> Float[Tensor, "*cell width"]:
        """Visual tokens of shuffled patch features."""
        return self.linear_2(self.act(self.linear_1(self.layer_norm(features))))
