"""What learns in a stage: tensors of grounding and backbone, modes of the modules, the optimiser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor, nn
from torch.optim import Optimizer

from medseg.model import MedSegModel
from medseg.training.config import Grounding, MedSegStage, MedSegTrainConfig
from vlm_bridge.connector.freeze_policy import PRESETS, check_optimizer
from vlm_bridge.finetune.adaptation import adapter_hints
from vlm_bridge.finetune.learn_stage import names_learned
from vlm_bridge.optim.catalogue import make_optimizer
from vlm_bridge.optim.config import OptimizerConfig
from vlm_bridge.optim.parameter_roles import ParameterHints
from vlm_bridge.prompts.new_rows import check_no_decay

LEARNED_MODULES = ("decoder", "projection", "heads")
"""Of the grounding; a 3D decoder is trained by itself."""
_LANGUAGE = "language."


def grounding_tensors(model: MedSegModel, grounding: Grounding) -> dict[str, Tensor]:
    """Parameters and buffers that change in a stage, by their names in the model."""
    if grounding == "nothing":
        return {}
    encoder = picture_encoder(model) if grounding == "frozen_encoder" else None
    frozen = {id(value) for value in encoder.parameters()} if encoder is not None else set()
    frozen |= {id(value) for value in encoder.buffers()} if encoder is not None else set()
    found: dict[str, Tensor] = {}
    for part in LEARNED_MODULES:
        module = model.get_submodule(part)
        for name, value in (*module.named_parameters(), *_kept_buffers(module)):
            if id(value) not in frozen:
                found[f"{part}.{name}"] = value
    return found


def picture_encoder(model: MedSegModel) -> nn.Module:
    """The part of the mask decoder that reads pictures."""
    return model.get_submodule("decoder.encoder" if hasattr(model.decoder, "encoder") else "decoder.image_encoder")


def let_grounding_learn(model: MedSegModel, grounding: Grounding) -> list[nn.Parameter]:
    """Parameters of the grounding that learn; they alone want gradients."""
    chosen = grounding_tensors(model, grounding)
    learned = []
    for module in model.grounding_modules().values():
        module.requires_grad_(False)
    for value in chosen.values():
        if isinstance(value, nn.Parameter):
            learned.append(value.requires_grad_(True))
    return learned


def set_modes(model: MedSegModel, stage: MedSegStage, *, checkpointed: bool) -> None:
    """Training mode for what learns, evaluation mode for the rest."""
    model.eval()
    policy, parts = PRESETS[stage.policy], model.backbone.parts()
    model.language.train(stage.backbone_learns)
    parts.vision.train(policy.vision)
    parts.connector.train(policy.connector)
    # A language model that gradients pass through keeps fewer activations in training mode only.
    parts.language.train(policy.language or stage.adapter_learns or (checkpointed and stage.backbone_learns))
    if stage.grounding != "nothing":
        for part in LEARNED_MODULES:
            model.get_submodule(part).train()
        picture_encoder(model).train(stage.grounding == "all")


def learned_names(model: MedSegModel, stages: Sequence[MedSegStage], adapter: Sequence[str]) -> set[str]:
    """Names of the tensors that changed in one of the stages, as the model has them."""
    names = {name for stage in stages for name in grounding_tensors(model, stage.grounding)}
    backbone = names_learned(model.backbone, [stage.backbone_stage() for stage in stages], adapter)  # type: ignore[arg-type]
    return names | {f"{_LANGUAGE}{name}" for name in backbone}


def stage_optimizer(
    model: MedSegModel,
    stage: MedSegStage,
    config: MedSegTrainConfig,
    *,
    adapter: Sequence[str],
    beside: Iterable[nn.Parameter],
    matrices: Mapping[str, nn.Parameter],
) -> Optimizer:
    """The optimiser of a stage, proven to hold what learns and no more.

    What learns in the backbone has a rate of its own and no decay. `beside` learns beside the policy: grounding and
    adapter; `matrices` are those of which the new rows learn, by their names in the backbone's module.
    """
    settings = OptimizerConfig(
        learning_rate=stage.learning_rate, weight_decay=config.weight_decay, betas=config.betas
    )  # fmt: skip
    known = adapter_hints(model.language, adapter if stage.adapter_learns else ())
    own = stage.backbone_rate / stage.learning_rate
    rates = {name: own for name, value in model.named_parameters() if name.startswith(_LANGUAGE)}
    rates |= {f"{_LANGUAGE}{name}": own * rate for name, rate in known.rates.items()}
    hints = ParameterHints(roles={f"{_LANGUAGE}{name}": role for name, role in known.roles.items()}, rates=rates)
    without_decay = [f"{_LANGUAGE}{name}" for name in matrices]
    optimizer = make_optimizer(model, config.optimizer, settings, without_decay=without_decay, hints=hints)
    check_optimizer(optimizer, model.backbone.parts(), PRESETS[stage.policy], also=[*beside, *matrices.values()])
    for matrix in matrices.values():
        check_no_decay(optimizer, matrix)
    return optimizer


def _kept_buffers(module: nn.Module) -> list[tuple[str, Tensor]]:
    """Buffers that are saved with the weights: the running means of norms."""
    kept = module.state_dict(keep_vars=True)
    return [(name, value) for name, value in module.named_buffers() if name in kept]
