"""`salience_score`: how near to the top the right word stands, whether or not it is chosen."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from vlm_bridge.errors import InvalidInputError


def salience_score(logits: Float[Tensor, "row word"], gold: Int[Tensor, " row"]) -> float:
    """Mean over the rows of 1 / (1 + number of words with a higher logit than the gold word), in (0, 1].

    A word with the same logit does not count against the gold word. Any increasing function of the probabilities gives
    the same score, so logits will do.

    Example:
        >>> import torch
        >>> salience_score(torch.tensor([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0]]), torch.tensor([0, 1]))
        0.6666666865348816

    Raises:
        InvalidInputError: there are no rows, or a gold word is not in the vocabulary.

    Source:
        The posterior salience of Xiao et al. 2025, arXiv:2506.08371, section 3.
    """
    if len(gold) == 0 or not 0 <= int(gold.min()) <= int(gold.max()) < logits.shape[1]:
        raise InvalidInputError(
            f"Gold words: expected at least one, each from 0 to {logits.shape[1] - 1}, found {gold.tolist()[:8]}. "
            "Give the ids of the right words."
        )
    own = logits.gather(1, gold[:, None])
    return float((1 / (1 + (logits > own).sum(1))).mean())
