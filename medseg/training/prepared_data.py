"""`PreparedData`: what a run learns from and is validated on, checked and measured before it begins."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medseg.errors import RecordError
from medseg.training.answer_items import Vary
from medseg.training.config import MedSegTrainConfig
from medseg.training.records import QARecord
from medseg.training.splits import TRAIN, VALIDATION, check_splits
from medseg.training.taught_answers import TaughtAnswer, digest_of, taught_answers
from vlm_bridge.backbone.protocol import VisionLanguageBackbone
from vlm_bridge.finetune.batches import kept_records
from vlm_bridge.finetune.lengths import conversation_lengths
from vlm_bridge.finetune.records import ConversationDataset

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedData:
    """Answers of a run."""

    train: tuple[TaughtAnswer, ...]
    """Learned from."""
    lengths: tuple[int, ...]
    """Tokens of each."""
    validation: tuple[TaughtAnswer, ...]
    """Of other patients; none: no validation."""
    dropped: int
    """Answers left out because their dialogues are too long."""
    vary: Vary | None
    """Gives pictures another look each time."""

    def sha256(self) -> str:
        """Digest of everything that is learned from and validated on."""
        return digest_of((*self.train, *self.validation))


def prepare_data(
    backbone: VisionLanguageBackbone,
    records: Sequence[QARecord],
    validation: Sequence[QARecord],
    config: MedSegTrainConfig,
    *,
    vary: Vary | None = None,
    progress: bool = False,
) -> PreparedData:
    """Answers of the records, checked and measured.

    Raises:
        RecordError: a patient is in both sets; also what `taught_answers` refuses.
        InvalidInputError: dialogues are too long and may not be dropped, or all are, or a picture cannot be read.
    """
    check_patients(records, validation)
    train = taught_answers(records, absent_probes=config.absent_probes, tokens=backbone.tokens)
    held_out = list(taught_answers(validation, tokens=backbone.tokens)) if validation else []
    dataset = ConversationDataset([answer.on_disk() for answer in train])
    lengths = conversation_lengths(backbone, dataset, max_tiles=config.max_tiles, progress=progress)
    places = [dataset.place(number) for number in range(len(dataset))]
    kept = kept_records(lengths, config.max_length, config.too_long, places)
    if len(kept) < len(train):
        _log.warning("%d of %d answers are left out: their dialogues are too long", len(train) - len(kept), len(train))
    order = np.random.default_rng(config.seed).permutation(len(held_out))[: config.validation_answers]
    return PreparedData(
        train=tuple(train[number] for number in kept),
        lengths=tuple(lengths[number] for number in kept),
        validation=tuple(held_out[number] for number in sorted(order)),
        dropped=len(train) - len(kept),
        vary=vary,
    )


def check_patients(records: Sequence[QARecord], validation: Sequence[QARecord]) -> None:
    """Refuse records of the wrong split, and patients who are both learned from and validated on.

    Raises:
        RecordError: there are some; the message names no patient.
    """
    for name, some in ((TRAIN, records), (VALIDATION, validation)):
        wrong = [record.id for record in some if record.split not in ("", name)]
        if wrong:
            raise RecordError(
                f"Training: expected records of the split {name}, found {len(wrong)} of others, as {wrong[0]}. Sort "
                "them with by_split, or leave the split out."
            )
    check_splits(
        [*(replace(one, split=TRAIN) for one in records), *(replace(one, split=VALIDATION) for one in validation)]
    )


def by_split(records: Sequence[QARecord]) -> tuple[list[QARecord], list[QARecord]]:
    """Records to learn from and to validate on, as their splits say; those without one are learned from.

    Records of the split test are in neither.
    """
    learned = [record for record in records if record.split in ("", TRAIN)]
    held_out = [record for record in records if record.split == VALIDATION]
    if len(learned) + len(held_out) < len(records):
        _log.info("%d records of the split test are left aside", len(records) - len(learned) - len(held_out))
    return learned, held_out
