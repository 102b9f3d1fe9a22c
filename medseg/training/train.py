"""`train_medseg`: joint training of a MedSeg-R-style model on dialogues with masks, in a run that can be resumed.

MedSeg-R-style (arXiv:2506.10465); unpublished details follow the LISA family. Research use only; not a medical device.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medseg.errors import InvalidInputError
from medseg.grounding.sam_decoder import Preprocessing, load_sam_decoder
from medseg.model import MedSegConfig, MedSegModel, load_medseg, save_medseg
from medseg.training.answer_items import Vary
from medseg.training.config import FREE_TO_CHANGE, MedSegTrainConfig
from medseg.training.learn_stage import MedSegStageResult, learn_stage, load_learned, set_modes_for_answers
from medseg.training.prepared_data import PreparedData, by_split, prepare_data
from medseg.training.records import QARecord, read_qa_records
from vlm_bridge.atomic_write import write_text_whole
from vlm_bridge.backbone.load import load_backbone
from vlm_bridge.file_hashes import tensors_sha256
from vlm_bridge.finetune.adaptation import adapt_for_run
from vlm_bridge.finetune.config import FinetuneConfig, Stage
from vlm_bridge.finetune.learn_stage import names_learned
from vlm_bridge.finetune.learning_model import left_as_found
from vlm_bridge.finetune.saved_stage import save_adapted_stage
from vlm_bridge.runs.checkpoints import Checkpoint
from vlm_bridge.runs.run_folder import RunFolder, create_run, resume_run
from vlm_bridge.runs.run_record import to_json_value

MODEL_NAME = "model"
"""Folder of the trained model in that of its run."""
ADAPTER_NAME = "adapter"
"""And of its adapter, with what else learned in the backbone beside it, where there is one."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class MedSegTrainResult:
    """What a run came to."""

    folder: Path
    """The run folder."""
    model: Path
    """The trained model, for `load_medseg`."""
    stages: tuple[MedSegStageResult, ...]
    """Of each stage, in order."""
    dropped: int
    """Answers left out because their dialogues are too long."""


def train_medseg(
    model: MedSegModel,
    records: Sequence[QARecord],
    config: MedSegTrainConfig,
    folder: str | Path,
    *,
    validation: Sequence[QARecord] = (),
    vary: Vary | None = None,
    resume: bool = False,
    progress: bool = True,
) -> MedSegTrainResult:
    """Train `model` in place; what it comes to is saved in `folder/model`.

    Each assistant's turn is learned from by itself: the dialogue before it stands in plain words, the turn with its
    marks; the states at its [SEG] tokens become masks, presence and what else the heads tell. A run that was killed,
    resumed with the model it was started with, comes to the same weights as one that was not, bit for bit on a CPU.

    Args:
        model: Learns. With an adapter its backbone's module is a `PeftModel` while it learns, and plain again after,
            with the adapter in its weights.
        records: Dialogues about pictures, learned from.
        config: Settings.
        folder: Of the run; new, or with `resume` that of a run under the same settings, records and weights.
        validation: Dialogues about pictures of other patients.
        vary: Gives pictures and masks another look each time they are learned from.
        resume: Go on with the run in `folder`.
        progress: Show progress bars.

    Raises:
        RecordError: records are wrong, a picture or mask cannot be read, or a patient is in both sets.
        InvalidInputError: settings that do not fit together, or dialogues that are too long.
        RunFolderError: the folder holds a run already, or none, or one of other settings, records or weights.
        BackboneError: the loss is not finite, or the tokenizer lacks a token.

    Source:
        Losses and recipe: LISA (arXiv:2308.00692), sections 3 and 4. Presence and overlap heads, averages and stages
        are ours.
    """
    data = prepare_data(model.backbone, records, validation, config, vary=vary, progress=progress)
    adapter = _adapted(model, config)
    run, checkpoint = _open_run(model, data, config, Path(folder), resume)
    stored = checkpoint.state["finished"] if checkpoint else []
    results = [MedSegStageResult(**value) for value in stored]
    try:
        with left_as_found(model.language):
            if checkpoint is not None and len(results) == len(config.stages):
                load_learned(model, checkpoint.tensors)
            while len(results) < len(config.stages):
                results.append(
                    learn_stage(model, data, config, run, results, checkpoint, adapter=adapter, progress=progress)
                )
                checkpoint = None
    finally:
        for module in model.grounding_modules().values():
            module.requires_grad_(True)
        set_modes_for_answers(model)
    _save(model, run.path, config, adapter)
    write_text_whole(run.path / "result.json", json.dumps(to_json_value(results), indent=1) + "\n")
    return MedSegTrainResult(folder=run.path, model=run.path / MODEL_NAME, stages=tuple(results), dropped=data.dropped)


def train_medseg_from_files(
    model: MedSegModel | str | Path,
    records: Sequence[Path],
    config: MedSegTrainConfig,
    folder: str | Path,
    *,
    validation: Sequence[Path] = (),
    resume: bool = False,
    device: str = "auto",
    progress: bool = True,
) -> MedSegTrainResult:
    """Train the model in a folder, from files of records; see `train_medseg`.

    Records of the split validation are validated on, beside those of `validation`; those of the split test are left
    aside.

    `model` is one, or what `start_from` makes one of: a folder that `save_medseg` wrote, or a backbone.

    Raises:
        CheckpointError: the folder's model is damaged.
        BackboneError: the backbone cannot be loaded.
        RecordError: see `train_medseg`.
    """
    learned, held_out = by_split([record for path in records for record in read_qa_records(path)])
    held_out += [record for path in validation for record in read_qa_records(path)]
    started = model if isinstance(model, MedSegModel) else start_from(model, device=device)
    return train_medseg(started, learned, config, folder, validation=held_out, resume=resume, progress=progress)


def start_from(
    model: str | Path,
    *,
    device: str = "auto",
    decoder_weights: Path | None = None,
    preprocessing: Preprocessing | None = None,
) -> MedSegModel:
    """The model to begin with: one that was trained, or a backbone with a new mask decoder, the same each time.

    Args:
        model: a folder that `save_medseg` wrote, or a backbone (a folder, or a name of `vlm-bridge list`).
        device: where it computes; auto takes a GPU where there is one.
        decoder_weights: checkpoint of SAM or MedSAM in segment_anything's layout, which becomes the mask decoder of a
            backbone; without it the decoder is new, of the embedded shape.
        preprocessing: how pictures are prepared for it; None reads it from the file's name.

    Raises:
        CheckpointError: the folder's model, or the decoder's weights, are damaged or something else.
        BackboneError: the backbone cannot be loaded.
        InvalidInputError: weights of a decoder are given for a model that has one.
    """
    import torch

    place = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    if (Path(model) / "medsegr.json").is_file():
        if decoder_weights is not None:
            raise InvalidInputError(
                f"{Path(model).name}: expected a backbone to give a decoder to, found a model that has one. Leave the "
                "decoder's weights away, or begin with the backbone."
            )
        return load_medseg(Path(model), device=place)
    sam = None if decoder_weights is None else load_sam_decoder(decoder_weights, preprocessing)
    backbone = load_backbone(model, device=place, grounding=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if sam is None:
            return MedSegModel(backbone, MedSegConfig()).to(place)
        found = MedSegModel(backbone, MedSegConfig(decoder=sam.config))
        found.decoder.load_state_dict(sam.state_dict())
        return found.to(place)


def _adapted(model: MedSegModel, config: MedSegTrainConfig) -> tuple[str, ...]:
    """Put the run's adapter on the language model; names of its tensors."""
    settings = FinetuneConfig(
        stages=(Stage(policy="connector_only"),), adapter=config.adapter, rank=config.rank,
        adapter_layers=config.adapter_layers, adapter_settings=config.adapter_settings, seed=config.seed,
    )  # fmt: skip
    backbone: Any = model.backbone
    names = adapt_for_run(backbone, settings)
    model.language = backbone.model
    return names


def _open_run(
    model: MedSegModel, data: PreparedData, config: MedSegTrainConfig, folder: Path, resume: bool
) -> tuple[RunFolder, Checkpoint | None]:
    """The run's folder, and the newest whole checkpoint, with everything later forgotten."""
    vary = data.vary
    record: dict[str, Any] = {
        **to_json_value(config),
        "model": to_json_value(model.config),
        "data": data.sha256(),
        "vary": None if vary is None else getattr(vary, "__qualname__", type(vary).__qualname__),
        "starting_weights": tensors_sha256(model.state_dict()),
    }
    if not resume:
        return create_run(folder, record), None
    run = resume_run(folder, record, may_differ=FREE_TO_CHANGE)
    checkpoint = run.latest_checkpoint()
    run.rewind_to(-1 if checkpoint is None else checkpoint.step)
    if checkpoint is None:
        _log.warning("%s: no checkpoint that can be read; the run starts again", run.path)
    return run, checkpoint


def _save(model: MedSegModel, folder: Path, config: MedSegTrainConfig, adapter: Sequence[str]) -> None:
    if adapter:
        from vlm_bridge.adapters.adapt import merge_adapters

        learned = names_learned(model.backbone, [stage.backbone_stage() for stage in config.stages])  # type: ignore[arg-type]
        save_adapted_stage(model.language, folder / ADAPTER_NAME, whole=learned)
        model.backbone = merge_adapters(model.backbone)
        model.language = model.backbone.model
    save_medseg(model, folder / MODEL_NAME)
