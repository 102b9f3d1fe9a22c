"""`BackboneJudge`: a vision-language backbone as the judge of `reasoning`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from vlm_bridge.backbone.protocol import VisionLanguageBackbone
from vlm_bridge.decoding.choices import choose
from vlm_bridge.prompts.conversation import ask

QUESTION = 'Someone asks: "{}" Could the thing in the middle be meant?'
"""Asked of each picture; the embedded backbone was trained with these words."""
YES, NO = "Yes.", "No."
_AT_ONCE = 16


class BackboneJudge:
    """Asks a backbone of each picture and compares how likely it says yes and no."""

    def __init__(self, backbone: VisionLanguageBackbone) -> None:
        self._backbone = backbone

    def __call__(self, pictures: Sequence[Image.Image], request: str) -> Float[Tensor, " picture"]:
        """Probability of yes against no, one per picture."""
        likely: list[float] = []
        for first in range(0, len(pictures), _AT_ONCE):
            asked = [ask(QUESTION.format(request), picture) for picture in pictures[first : first + _AT_ONCE]]
            likely += [float(choice.shares[0]) for choice in choose(self._backbone, asked, (YES, NO))]
        return torch.tensor(likely)
