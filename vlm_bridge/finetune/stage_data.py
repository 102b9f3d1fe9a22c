"""`StageData`: what a stage learns from; measured, with what is too long refused or dropped, before the run begins."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass

from vlm_bridge.backbone.protocol import VisionLanguageBackbone
from vlm_bridge.connector.freeze_policy import PRESETS
from vlm_bridge.errors import InvalidInputError
from vlm_bridge.finetune.batches import LengthBuckets, kept_records
from vlm_bridge.finetune.config import FinetuneConfig, Stage
from vlm_bridge.finetune.lengths import conversation_lengths
from vlm_bridge.finetune.records import ConversationDataset

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StageData:
    """Conversations of one stage."""

    train: ConversationDataset
    """Learned from."""
    validation: ConversationDataset | None = None
    """Validated on; None: no validation."""

    def sha256(self) -> str:
        """Digest of all conversations and pictures."""
        parts = [self.train.sha256(), self.validation.sha256() if self.validation is not None else "none"]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredRecords:
    """Conversations that are short enough, and how long they are."""

    dataset: ConversationDataset
    lengths: tuple[int, ...]
    """Tokens of each."""
    dropped: int
    """Conversations that were too long."""

    def order(self, config: FinetuneConfig, seed: int) -> LengthBuckets:
        """The order in which they come."""
        return LengthBuckets(self.lengths, batch_size=config.batch_size, seed=seed, sort=config.bucketing)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedStage:
    """A stage that can begin."""

    number: int
    """From 0."""
    settings: Stage
    train: MeasuredRecords
    validation: MeasuredRecords | None

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.number}_{self.settings.policy}"


def measure(
    backbone: VisionLanguageBackbone, data: StageData, config: FinetuneConfig, *, progress: bool
) -> tuple[MeasuredRecords, MeasuredRecords | None]:
    """Both sets of conversations, measured.

    Raises:
        InvalidInputError: some are too long and may not be dropped, or all are.
    """
    train = _measured(backbone, data.train, config, progress)
    return train, None if data.validation is None else _measured(backbone, data.validation, config, progress)


def prepare_stage(
    number: int, settings: Stage, measured: tuple[MeasuredRecords, MeasuredRecords | None], *, adapted: bool = False
) -> PreparedStage:
    """The stage with its conversations; `adapted` where the run has an adapter of the language model.

    Raises:
        InvalidInputError: only what sees learns, and no conversation shows a picture.
    """
    train, validation = measured
    pictures = sum(bool(train.dataset.picture_count(record)) for record in range(len(train.dataset)))
    words = PRESETS[settings.policy].language or settings.new_rows or (adapted and settings.adapter_learns)
    if not words and pictures < len(train.dataset):
        message = (
            f"Stage {number} ({settings.policy}): expected conversations with pictures, found {pictures} of "
            f"{len(train.dataset)} with one; from the others nothing is learned while the language model is frozen."
        )
        if not pictures:
            raise InvalidInputError(f"{message} Choose another policy or other records.")
        _log.warning(message)
    return PreparedStage(number=number, settings=settings, train=train, validation=validation)


def _measured(
    backbone: VisionLanguageBackbone, dataset: ConversationDataset, config: FinetuneConfig, progress: bool
) -> MeasuredRecords:
    lengths = conversation_lengths(backbone, dataset, max_tiles=config.max_tiles, progress=progress)
    places = [dataset.place(number) for number in range(len(dataset))]
    kept = kept_records(lengths, config.max_length, config.too_long, places)
    dropped = len(lengths) - len(kept)
    if dropped:
        _log.warning(
            "%d of %d conversations are longer than %s tokens and are left out",
            dropped,
            len(lengths),
            config.max_length,
        )
    return MeasuredRecords(
        dataset=dataset.select(kept), lengths=tuple(lengths[number] for number in kept), dropped=dropped
    )
