"""`finetune_backbone`: supervised fine-tuning of a backbone, stage by stage, in a run folder that can be resumed."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from vlm_bridge.atomic_write import PARTIAL_SUFFIX, write_text_whole
from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.backbone.load import load_backbone
from vlm_bridge.errors import InvalidInputError
from vlm_bridge.file_hashes import tensors_sha256
from vlm_bridge.finetune.adaptation import adapt_for_run
from vlm_bridge.finetune.config import FREE_TO_CHANGE, FinetuneConfig
from vlm_bridge.finetune.learn_stage import StageResult, learn_stage
from vlm_bridge.finetune.learning_model import left_as_found
from vlm_bridge.finetune.records import ConversationDataset
from vlm_bridge.finetune.stage_checkpoints import load_parameters
from vlm_bridge.finetune.stage_data import StageData, measure, prepare_stage
from vlm_bridge.prompts.special_tokens import SpecialTokens
from vlm_bridge.runs.checkpoints import Checkpoint
from vlm_bridge.runs.run_folder import RunFolder, create_run, resume_run
from vlm_bridge.runs.run_record import to_json_value

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneResult:
    """What a run came to."""

    folder: Path
    """The run folder."""
    stages: tuple[StageResult, ...]
    """Of each stage, in order."""


def finetune_backbone(
    backbone: InternVLBackbone,
    data: StageData | Sequence[StageData],
    config: FinetuneConfig,
    folder: str | Path,
    *,
    resume: bool = False,
    progress: bool = True,
) -> FinetuneResult:
    """Fine-tune `backbone` in place; what each stage ends with is saved in `folder/stages`.

    With `config.adapter` the backbone is adapted first, and its `model` is a `PeftModel` from then on.

    The loss is the mean cross-entropy of the answers' tokens, over all conversations of an optimiser step. A run that
    was killed, resumed with the model it was started with, comes to the same weights as one that was not, bit for bit
    on a CPU.

    Args:
        backbone: Learns; it must know the tokens of grounded answers if the records use them.
        data: What each stage learns from, or one for all stages.
        config: Settings.
        folder: Of the run; new, or with `resume` that of a run under the same settings, records and weights.
        resume: Go on with the run in `folder`.
        progress: Show progress bars.

    Raises:
        InvalidInputError: records and settings do not fit together.
        RunFolderError: the folder holds a run already, or none, or one of other settings, records or weights.
        BackboneError: the loss is not finite, or the tokenizer lacks a token.

    Source:
        Skywork-R1V3 (arXiv:2507.06167), sections 3 and 5.2, for stages and answer-only loss; the paper trains on
        InternVL's own code.
    """
    per_stage = [data] * len(config.stages) if isinstance(data, StageData) else list(data)
    if len(per_stage) != len(config.stages):
        raise InvalidInputError(
            f"Fine-tuning: expected records for {len(config.stages)} stages, found them for {len(per_stage)}. Give "
            "one set, or one for each stage."
        )
    if config.workers and backbone.device.type != "cpu":
        raise InvalidInputError(
            f"Fine-tuning: expected workers=0 where the backbone is on {backbone.device}, found {config.workers}: a "
            "second process cannot use its memory. Leave workers out."
        )
    processes = PartialState(cpu=backbone.device.type == "cpu")
    shown = progress and processes.is_main_process
    measured = {id(records): records for records in per_stage}
    measured = {key: measure(backbone, records, config, progress=shown) for key, records in measured.items()}
    prepared = [
        prepare_stage(number, settings, measured[id(records)], adapted=config.adapter is not None)
        for number, (settings, records) in enumerate(zip(config.stages, per_stage, strict=True))
    ]
    adapter = adapt_for_run(backbone, config)
    run = _open_run(backbone, per_stage, config, Path(folder), resume, processes)
    checkpoint = _rewound(run, processes) if resume else None
    results = [_read_result(value, run.path) for value in checkpoint.state["finished"]] if checkpoint else []
    with left_as_found(backbone.model):
        if checkpoint is not None and checkpoint.state["stage"] == len(prepared):
            load_parameters(backbone.model, checkpoint.tensors)
        for stage in prepared[len(results) :]:
            results.append(
                learn_stage(backbone, stage, config, run, results, checkpoint, adapter=adapter, progress=progress)
            )
            checkpoint = None
    if processes.is_main_process:
        write_text_whole(run.path / "result.json", json.dumps(to_json_value(results), indent=1) + "\n")
    return FinetuneResult(folder=run.path, stages=tuple(results))


def _open_run(
    backbone: InternVLBackbone,
    data: Sequence[StageData],
    config: FinetuneConfig,
    folder: Path,
    resume: bool,
    processes: PartialState,
) -> RunFolder:
    """The run's folder; the first of several processes makes it, the others wait."""
    if processes.is_main_process:
        record: dict[str, Any] = {
            **to_json_value(config),
            "data": [records.sha256() for records in data],
            "starting_weights": tensors_sha256(backbone.model.state_dict()),
            "processes": processes.num_processes,
        }
        if resume:
            resume_run(folder, record, may_differ=FREE_TO_CHANGE)
        else:
            create_run(folder, record)
    processes.wait_for_everyone()
    return RunFolder(path=folder)


def _rewound(run: RunFolder, processes: PartialState) -> Checkpoint | None:
    """The newest whole checkpoint, with everything later forgotten."""
    checkpoint = run.latest_checkpoint()
    if processes.is_main_process:
        for leftover in (run.path / "stages").glob(f".*{PARTIAL_SUFFIX}*"):
            shutil.rmtree(leftover)
        run.rewind_to(-1 if checkpoint is None else checkpoint.step)
    processes.wait_for_everyone()
    if checkpoint is None:
        _log.warning("%s: no checkpoint that can be read; the run starts again", run.path)
    return checkpoint


def _read_result(value: dict[str, Any], folder: Path) -> StageResult:
    stored: dict[str, Any] = {**value, "folder": folder / "stages" / Path(value["folder"]).name}
    return StageResult(**stored)


def finetune_from_files(
    model: str | Path,
    records: Sequence[Path],
    config: FinetuneConfig,
    folder: str | Path,
    resume: bool = False,
    *,
    validation: Sequence[Path] = (),
    device: str = "auto",
    progress: bool = True,
) -> FinetuneResult:
    """Fine-tune the backbone called `model`, from files of records; see `finetune_backbone`.

    Args:
        model: Name of the catalogue, or folder.
        records: Learned from in each stage that names no files of its own.
        config: Settings.
        folder: Of the run.
        resume: Go on with the run in `folder`.
        validation: Validated on in each stage that names no files of its own.
        device: `auto` takes CUDA where there is one; of several processes, each its own.
        progress: Show progress bars.

    Raises:
        InvalidInputError: a stage has no records, or some are wrong; the message names their lines.
        RunFolderError: see `finetune_backbone`.
        BackboneError: the backbone cannot be loaded, or see `finetune_backbone`.
    """
    read: dict[tuple[tuple[Path, ...], tuple[Path, ...]], StageData] = {}
    data = []
    for number, stage in enumerate(config.stages):
        files = (stage.records or tuple(records), stage.validation or tuple(validation))
        if not files[0]:
            raise InvalidInputError(
                f"Stage {number}: expected files of records, found none for the stage and none for the run. Name some."
            )
        if files not in read:
            read[files] = StageData(
                train=ConversationDataset.from_files(files[0]),
                validation=ConversationDataset.from_files(files[1]) if files[1] else None,
            )
        data.append(read[files])
    own_gpu = device == "auto" and torch.cuda.is_available()
    place = f"cuda:{PartialState().local_process_index}" if own_gpu else device
    dtype = "float32" if config.probe_every else "auto"
    backbone = load_backbone(model, dtype=dtype, device=place, grounding=_grounded(config, data))
    return finetune_backbone(backbone, data, config, folder, resume=resume, progress=progress)


def _grounded(config: FinetuneConfig, data: Sequence[StageData]) -> bool:
    """Whether the tokens of grounded answers are needed."""
    tokens = SpecialTokens().grounding
    answers = (text for records in data for text in records.train.answers())
    return any(stage.new_rows for stage in config.stages) or any(token in text for text in answers for token in tokens)
