"""Rows of an embedding for new tokens: added with the mean of the known ones, and trained without touching these."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from vlm_bridge.errors import BackboneError, InvalidInputError
from vlm_bridge.prompts.new_tokens import add_special_tokens
from vlm_bridge.prompts.special_tokens import SpecialTokens


def add_tokens_to_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tokens: SpecialTokens) -> list[int]:
    """Rising ids of the tokens whose rows are new in the model; tokenizer and model know all of `tokens` after.

    The rows of new tokens, in the embedding and in the head, are the mean of the rows of the tokens known before,
    taken in float32: no new token is likelier at first than an average one. Tokens that the tokenizer knew but the
    model had no row for are new too. Rows that a checkpoint keeps in reserve are used before the matrices grow; they
    never shrink. A head tied to the embedding stays tied.

    Raises:
        BackboneError: the model has no embedding, or one that is not a plain matrix of floats (quantised).
    """
    rows_before = len(_plain_matrix(model.get_input_embeddings(), "embedding"))
    words_before = len(tokenizer)
    new = set(add_special_tokens(tokenizer, tokens)) | set(range(rows_before, len(tokenizer)))
    if len(tokenizer) > rows_before:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    matrices = [_plain_matrix(model.get_input_embeddings(), "embedding")]
    head = model.get_output_embeddings()
    if head is not None and head.weight is not matrices[0]:
        matrices.append(_plain_matrix(head, "head"))
    if head is not None and isinstance(getattr(head, "bias", None), nn.Parameter):
        matrices.append(head.bias)
    rows = sorted(new)
    for matrix in matrices:
        _set_to_mean(matrix, rows, min(words_before, rows_before))
    return rows


def train_only_rows(embedding_parameter: nn.Parameter, rows: Sequence[int]) -> RemovableHandle:
    """From now on the gradient of the parameter is zero outside `rows`; `remove()` of the handle ends this.

    This is enough for optimisers that leave a row alone whose gradient has always been zero, as SGD and Adam do. It is
    not where weight decay is on, which shrinks every row of a parameter: give the parameter a group with
    `weight_decay` 0 and let `check_no_decay` see it. Nor where an optimiser mixes rows (a low-rank momentum), or has
    seen gradients of the other rows before and still follows their momentum.

    Example:
        >>> weight = nn.Parameter(torch.ones(3, 2))
        >>> handle = train_only_rows(weight, [2])
        >>> weight.sum().backward()
        >>> weight.grad.tolist()
        [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]

    Raises:
        InvalidInputError: no row, or a row that the parameter has not got.
    """
    count = len(embedding_parameter)
    if not rows or not all(0 <= row < count for row in rows):
        raise InvalidInputError(
            f"Rows to train: expected some of 0 to {count - 1}, found {list(rows)[:20]}. Take them from "
            "add_tokens_to_model."
        )
    chosen = torch.tensor(sorted(set(rows)))

    def keep_rows(gradient: Tensor) -> Tensor:
        places = chosen.to(gradient.device)
        kept = torch.zeros_like(gradient)
        kept[places] = gradient[places]
        return kept

    return embedding_parameter.register_hook(keep_rows)


def check_no_decay(optimizer: Optimizer, embedding_parameter: nn.Parameter) -> None:
    """Refuse an optimizer that would shrink the rows of the parameter that are not trained.

    Raises:
        InvalidInputError: the parameter is in a group with weight decay.
    """
    for number, group in enumerate(optimizer.param_groups):
        held = any(tensor is embedding_parameter for tensor in group["params"])
        if held and group.get("weight_decay", 0):
            raise InvalidInputError(
                f"Optimizer: expected no weight decay on an embedding of which only some rows are trained, found "
                f"{group['weight_decay']} in group {number}. Give it a group of its own with weight_decay 0."
            )


def _set_to_mean(matrix: Tensor, rows: list[int], known: int) -> None:
    with torch.no_grad():
        matrix[rows] = matrix[:known].mean(dim=0, dtype=torch.float32).to(matrix.dtype)


def _plain_matrix(module: nn.Module | None, name: str) -> nn.Parameter:
    weight = getattr(module, "weight", None)
    if not isinstance(weight, nn.Parameter) or not weight.is_floating_point():
        raise BackboneError(
            f"New tokens: expected the {name} of the model as a matrix of floats, found "
            f"{type(module).__name__ if weight is None else weight.dtype}. Add tokens before the model is quantised."
        )
    return weight
