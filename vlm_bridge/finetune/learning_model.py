"""Making a model ready to learn, and leaving it as it was: precision of what learns, and the rows of new tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from vlm_bridge.backbone.protocol import VisionLanguageBackbone
from vlm_bridge.prompts.encode_conversation import special_id
from vlm_bridge.prompts.new_rows import train_only_rows

_HALF = (torch.float16, torch.bfloat16)
_WRAPPED = ("forward", "_original_forward")


@contextmanager
def left_as_found(model: Any) -> Iterator[None]:
    """Afterwards the model is in evaluation mode, parameters want gradients as before, and activations are kept."""
    wanted = {name: value.requires_grad for name, value in model.named_parameters()}
    try:
        yield
    finally:
        for name, value in model.named_parameters():
            value.requires_grad_(wanted[name])
            value.grad = None
        _method(model, "{}_checkpointing_disable")()
        model.eval()


@contextmanager
def learning(backbone: VisionLanguageBackbone, *, grounding_rows: bool) -> Iterator[dict[str, nn.Parameter]]:
    """Within, what learns is float32, because steps of 1e-5 vanish in bfloat16; afterwards as it was.

    With `grounding_rows` the rows of the tokens of grounded answers learn too, in embedding and head, and no other row
    of them. Gives these matrices by name.

    Raises:
        BackboneError: the tokenizer does not know one of the tokens.
    """
    model = backbone.model
    matrices = word_matrices(model) if grounding_rows else {}
    rows = [special_id(text, backbone.tokenizer) for text in backbone.tokens.grounding] if grounding_rows else []
    for matrix in matrices.values():
        matrix.requires_grad_(True)
    halves = [(value, value.dtype) for value in model.parameters() if value.requires_grad and value.dtype in _HALF]
    for value, _ in halves:
        value.data = value.data.float()  # before the hooks below: they would remember the type
    own, use_cache = {name: vars(model)[name] for name in _WRAPPED if name in vars(model)}, _cache_setting(model)
    with ExitStack() as hooks:
        hooks.callback(_reach_what_sees(backbone).remove)
        for matrix in matrices.values():
            hooks.callback(train_only_rows(matrix, rows).remove)
        try:
            yield matrices
        finally:
            # accelerate leaves the model's passes in its own precision, and the Trainer switches its cache off.
            for name in _WRAPPED:
                vars(model).pop(name, None)
            vars(model).update(own)
            vars(model.config).pop("use_cache", None)
            vars(model.config).update(use_cache)
            for value, dtype in halves:
                value.data = value.data.to(dtype)


def _cache_setting(model: Any) -> dict[str, Any]:
    return {"use_cache": model.config.use_cache} if "use_cache" in vars(model.config) else {}


def _reach_what_sees(backbone: VisionLanguageBackbone) -> RemovableHandle:
    """Give vision and connector a gradient of zero where a batch shows no picture.

    Otherwise a loss may have no gradient at all, and of several GPUs one would wait for gradients that never come.
    """
    parts = backbone.parts()
    seeing = [value for part in (parts.vision, parts.connector) for value in part.parameters() if value.requires_grad]

    def reach(_: nn.Module, given: tuple[Any, ...], words: dict[str, Any], output: Any) -> None:
        if words.get("pixel_values") is None and seeing and torch.is_grad_enabled():
            output["loss"] = output["loss"] + 0.0 * sum(value.sum() for value in seeing)

    return backbone.model.register_forward_hook(reach, with_kwargs=True)


def compute_activations_twice(model: Any) -> None:
    """From now on activations are computed again where gradients need them, rather than kept.

    The older kind of checkpointing (reentrant) learns nothing from inputs without gradients, which is what a frozen
    embedding gives, so transformers makes embeddings ask for them. The kind used here does not need that, and a frozen
    vision tower would keep its activations for it.
    """
    _method(model, "{}_checkpointing_enable")({"use_reentrant": False})
    if getattr(model, "_require_grads_hook", None) is not None:
        model.disable_input_require_grads()


def _method(model: Any, name: str) -> Any:
    # transformers 5 renamed gradient checkpointing midway.
    return getattr(model, name.format("activation"), None) or getattr(model, name.format("gradient"))


def runs_in_bfloat16(model: nn.Module, asked: Literal["auto", "float32", "bfloat16"]) -> bool:
    """Whether passes run in bfloat16."""
    if asked != "auto":
        return asked == "bfloat16"
    device = next(model.parameters()).device
    if any(value.dtype in _HALF for value in model.parameters()):
        return True
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


def word_matrices(model: Any) -> dict[str, nn.Parameter]:
    """Embedding and head, by name; one matrix where they are tied."""
    modules = [model.get_input_embeddings(), model.get_output_embeddings()]
    chosen = {id(module.weight) for module in modules if module is not None}
    # A head tied to the embedding is one parameter, named once.
    return {name: value for name, value in model.named_parameters() if id(value) in chosen}
