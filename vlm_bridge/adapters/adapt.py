"""Adapters around a backbone: put on, load, take into the weights.

The model of the backbone is changed in place, as PEFT does it, and what is given back is another backbone around the
same weights, whose `model` is a `PeftModel`; go on with that one.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from peft import PeftModel, get_peft_model
from torch import nn

from vlm_bridge.adapters.catalogue import make_adapter_config
from vlm_bridge.adapters.peft_door import SETTINGS_FILE, BaseTunerLayer
from vlm_bridge.adapters.whole_parts import WHOLE_PARTS_NAME, load_whole_parts, put_parameters
from vlm_bridge.backbone.protocol import VisionLanguageBackbone
from vlm_bridge.errors import BackboneError, InvalidInputError, VlmBridgeError

Backbone = TypeVar("Backbone", bound=VisionLanguageBackbone)
_DOES_NOT_FIT = (
    "expected an adapter that fits this model, found one that PEFT refuses ({}). Correct its settings, or take the "
    "backbone it was learned on."
)


def adapt(
    backbone: Backbone,
    name: str,
    *,
    connector: bool = False,
    layers: Collection[str] | None = None,
    adapter_name: str = "default",
    **settings: Any,
) -> Backbone:
    """The backbone with an adapter of its language model; the adapter alone learns, and vision is not touched.

    Args:
        backbone: Plain, or adapted by the same method already: then this adapter is added to the others, and is active
            once PEFT's `set_adapter` says so.
        name: A name of `ADAPTERS`.
        connector: Adapt the linear layers of the connector too.
        layers: Last parts of the names of the layers to adapt (`q_proj`, ...); None takes all linear layers but the
            head.
        adapter_name: Of this adapter among others on the same model.
        settings: Of the method; see `make_adapter_config`.

    Raises:
        InvalidInputError: unknown method, setting or layer, or a name that is taken.
        BackboneError: a layer cannot be adapted by this method, as where it is quantised. The model is then as before,
            but for the weights that `pissa` and `olora` of PEFT had changed already.
    """
    if "target_modules" in settings:
        raise InvalidInputError("Adapt: expected layers=..., found target_modules. Name last parts of names in layers.")
    targets = language_layers(backbone, connector=connector, layers=layers)
    config: Any = make_adapter_config(name, target_modules=targets, **settings)
    model = backbone.model
    if not isinstance(model, PeftModel):
        with _as_before_if_it_fails(model, name):
            return _around(backbone, get_peft_model(model, config, adapter_name=adapter_name))
    known: Any = model.peft_config
    kinds = {str(one.peft_type.value) for one in known.values()}
    if adapter_name in known or kinds != {str(config.peft_type.value)}:
        raise InvalidInputError(
            f"Adapt: expected a new name and the method of the adapters there are, found {adapter_name!r} by {name} "
            f"beside {', '.join(known)} ({', '.join(sorted(kinds))}). Choose another name, or merge these first."
        )
    with _without_it_if_it_fails(model, adapter_name, name):
        model.add_adapter(adapter_name, config)
    return backbone


def load_adapter(
    backbone: Backbone, folder: Path, *, adapter_name: str = "default", trainable: bool = False
) -> Backbone:
    """The backbone with an adapter that PEFT's `save_pretrained` or fine-tuning wrote to `folder`, switched on.

    Weights that learned whole beside the adapter (those of the connector, say) are taken from the folder too.

    Raises:
        InvalidInputError: the folder holds no adapter, or the name is taken; or the backbone has adapters already and
            the folder other weights too, which would change what these were learned on.
        BackboneError: the adapter is of another model.
    """
    if not (folder / SETTINGS_FILE).is_file():
        raise InvalidInputError(
            f"{folder}: expected the folder of an adapter, found no {SETTINGS_FILE} in it. Name the folder that "
            "save_pretrained wrote (that of an adapter not called default is inside)."
        )
    model = backbone.model
    if not isinstance(model, PeftModel):
        with _as_before_if_it_fails(model, f"{folder} (of another model?)"), _whole_parts(model, folder):
            loaded = PeftModel.from_pretrained(model, str(folder), adapter_name=adapter_name, is_trainable=trainable)
            return _around(backbone, loaded)
    if (folder / WHOLE_PARTS_NAME).is_file():
        raise InvalidInputError(
            f"{folder}: expected an adapter alone beside {', '.join(model.peft_config)}, found {WHOLE_PARTS_NAME} too, "
            "which would change the model they were learned on. Load this one first, or merge the others before."
        )
    if adapter_name in model.peft_config:
        raise InvalidInputError(
            f"{folder}: expected a new name, found {adapter_name!r} among {', '.join(model.peft_config)}. "
            "Choose another."
        )
    with _without_it_if_it_fails(model, adapter_name, str(folder)):
        model.load_adapter(str(folder), adapter_name, is_trainable=trainable)
    model.set_adapter(adapter_name, inference_mode=not trainable)
    return backbone


def merge_adapters(backbone: Backbone) -> Backbone:
    """The backbone with its active adapters in the weights and no wrapping left; it can be saved as a whole.

    Raises:
        BackboneError: it has no adapters.
    """
    if not isinstance(backbone.model, PeftModel):
        raise BackboneError(
            f"Merge: expected an adapted backbone, found a plain {type(backbone.model).__name__}. There is nothing to "
            "merge."
        )
    return _around(backbone, backbone.model.merge_and_unload(safe_merge=True))


def language_layers(
    backbone: VisionLanguageBackbone, *, connector: bool = False, layers: Collection[str] | None = None
) -> str:
    """A regular expression of the names of the linear layers of the language model, without its head.

    Layers of vision have the same last names (`q_proj`), so names alone would not do.

    Raises:
        InvalidInputError: no layer is called so.
    """
    parts = backbone.parts()
    model: Any = backbone.model.get_base_model() if isinstance(backbone.model, PeftModel) else backbone.model
    inside = {id(module) for module in parts.language.modules()}
    inside |= {id(module) for module in parts.connector.modules()} if connector else set()
    head = model.get_output_embeddings()
    names = [name for name, module in _adaptable(model) if id(module) in inside and module is not head]
    ends = {name.rpartition(".")[2] for name in names}
    unknown = sorted(set(layers or ()) - ends)
    if unknown or not names or (layers is not None and not layers):
        raise InvalidInputError(
            f"Adapt: expected names of layers among {', '.join(sorted(ends))}, found {', '.join(unknown) or 'none'}. "
            "Choose among them, or leave layers out."
        )
    chosen = [name for name in names if layers is None or name.rpartition(".")[2] in layers]
    patterns = {re.sub(r"\\\.\d+(?=\\\.)", r"\\.\\d+", re.escape(name)) for name in chosen}
    return f"(?:{'|'.join(sorted(patterns))})"


def _adaptable(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Linear layers, plain or adapted, and not what adapters are made of."""
    within = "\n"
    for name, module in model.named_modules():
        if name.startswith(within):
            continue
        if isinstance(module, BaseTunerLayer):
            within = f"{name}."
            yield name, module
        elif isinstance(module, nn.Linear):
            yield name, module


@contextmanager
def _whole_parts(model: nn.Module, folder: Path) -> Iterator[None]:
    """Weights beside an adapter, taken back should the block fail."""
    before = load_whole_parts(model, folder)
    try:
        yield
    except BaseException:
        plain = {name.replace(".base_layer.", "."): name for name, _ in model.named_parameters()}
        put_parameters(model, {plain[name]: value for name, value in before.items()})
        raise


@contextmanager
def _as_before_if_it_fails(model: nn.Module, what: str) -> Iterator[None]:
    """Take off what was put around layers, should the block fail; what PEFT refuses becomes an error of ours."""
    try:
        yield
    except (BackboneError, RuntimeError, ValueError) as error:
        for name, layer in list(_adaptable(model)):
            if isinstance(layer, BaseTunerLayer):
                model.set_submodule(name, layer.get_base_layer())
        if isinstance(error, VlmBridgeError):
            raise
        raise BackboneError(f"{what}: {_DOES_NOT_FIT.format(error)}") from error


@contextmanager
def _without_it_if_it_fails(model: PeftModel, adapter_name: str, what: str) -> Iterator[None]:
    """The same for one adapter among others."""
    try:
        yield
    except (BackboneError, RuntimeError, ValueError) as error:
        model.peft_config.pop(adapter_name, None)
        for _, layer in _adaptable(model):
            if isinstance(layer, BaseTunerLayer):
                layer.delete_adapter(adapter_name)
        if isinstance(error, VlmBridgeError):
            raise
        raise BackboneError(f"{what}: {_DOES_NOT_FIT.format(error)}") from error


def _around(backbone: Backbone, model: Any) -> Backbone:
    other = copy.copy(backbone)
    other.model = model
    return other
