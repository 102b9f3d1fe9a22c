"""The language model learns to answer and to mean: dialogues about pictures whose features were computed once.

`python -m data.recipes.medseg_tiny.language WORK --shared FOLDER [--minutes N]`. The vision tower of the embedded
backbone stays as it is; connector and language model learn the words, and at each [SEG] the projections learn the rows
of the tables of prompts, the heads what else the state tells.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss
from torch.utils.data import DataLoader, IterableDataset

from data.recipes.medseg_tiny.seen_pictures import SeenPicture, read_seen
from data.recipes.medseg_tiny.talk import UNKNOWN, Lesson, lessons, table_row, volume_row
from data.recipes.vlm_tiny.batches import IGNORED, Writer
from medseg.grounding.projection import SegProjection, StateHeads
from vlm_bridge.backbone.load import load_backbone

_LESSONS = 7
"""Answers learned about a picture at a time."""
_DECIDING = 3.0
"""Weight of the words that decide an answer, against 1 of the others."""
_SEVERAL = 3.0
"""How often a picture of several structures is drawn, against 1 of those where the picture says what is meant."""
_KINDS = {
    "multi": 2.0, "history": 1.5, "absent": 2.6, "implicit_anatomical": 1.6, "implicit_pathological": 1.6,
    "explicit": 0.7,
}  # fmt: skip
"""How likely a lesson of a kind is among those learned, against 1."""
_AFRESH = 2.5
"""How likely one that asks for something else than the answers before, times that of its kind."""
_LONGEST = 420
"""Tokens of a row; lessons that would not fit are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonBatch:
    """Rows of a picture and several lessons, none of which sees another; and what each [SEG] stands for."""

    features: Tensor
    """float [row token channel]: before the connector."""
    ids: Tensor
    places: Tensor
    labels: Tensor
    sees: Tensor
    """bool [row 1 token other]."""
    marks: tuple[int, int]
    """Ids of <p> and </p>."""
    meant: Tensor
    """Int [seg 6]: row of the 2D table, of the 3D table, present, fine, of_previous, part; in order of the tokens."""


class Lessons(IterableDataset[Any]):
    """Batches without end."""

    def __init__(self, pictures: Sequence[SeenPicture], writer: Writer, seg: int, rows: int, seed: int) -> None:
        self.pictures, self.writer, self.seg, self.rows, self.seed = pictures, writer, seg, rows, seed
        _, inverse, counts = np.unique([one.source for one in pictures], return_inverse=True, return_counts=True)
        weights = counts[inverse] ** -0.5 * [_SEVERAL if len(one.facts.masks) > 1 else 1.0 for one in pictures]
        self.shares = weights / weights.sum()

    def __iter__(self) -> Iterator[LessonBatch]:
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, 5, worker.id if worker else 0])
        while True:
            drawn = rng.choice(len(self.pictures), self.rows, p=self.shares)
            yield pack([self.pictures[int(number)] for number in drawn], self.writer, self.seg, rng)


def pack(pictures: Sequence[SeenPicture], writer: Writer, seg: int, rng: np.random.Generator) -> LessonBatch:
    """One row per picture."""
    rows, meant, features = [], [], []
    for drawn in pictures:
        number = int(rng.integers(len(drawn.features)))
        picture = drawn.other_way_round if drawn.swapped[number] else drawn
        chosen = _some(teach(picture, writer, rng), len(writer.picture), rng)
        rows.append(_row(chosen, writer))
        meant += [_meant(picture, one) for lesson in chosen for one in lesson.meanings]
        features.append(picture.features[number])
    length = max(len(row[0]) for row in rows)
    filled = np.zeros((4, len(rows), length), np.int64)
    filled[2], filled[3] = IGNORED, -1
    for number, row in enumerate(rows):
        for part, values in enumerate(row):
            filled[part, number, : len(values)] = values
    ids, places, labels, group = torch.from_numpy(filled)
    order = torch.arange(length)
    same = group[:, :, None] == group[:, None, :]
    sees = (order[:, None] >= order) & (same | (group == 0)[:, None, :]) & (group >= 0)[:, None, :]
    sees |= (order[:, None] == order)[None]
    return LessonBatch(
        features=torch.from_numpy(np.stack(features)).float(), ids=ids, places=places, labels=labels,
        sees=sees[:, None], marks=writer.marks, meant=torch.tensor(meant, dtype=torch.long).reshape(-1, 6),
    )  # fmt: skip


def teach(picture: SeenPicture, writer: Writer, rng: np.random.Generator) -> list[Lesson]:
    """Lessons of a picture. A structure that was looked for and is not there is answered as if it were: whether it can
    be seen is for the decoder to say, which looks closer; the state is taught that it is absent."""
    found = lessons(picture.facts, writer, rng, "train", per_kind=1)
    if not picture.gone:
        return found
    kept = [one for one in found if one.kind == "text" or not any(name in one.answer for name in picture.gone)]
    if rng.random() < 0.5 or not kept:
        asked = lessons(picture.as_if_there, writer, rng, "train", per_kind=2)
        kinds = ("explicit", "multi", "implicit_anatomical", "implicit_pathological")
        kept += [one for one in asked if one.kind in kinds and any(name in one.answer for name in picture.gone)]
    return kept


def _some(found: list[Lesson], start: int, rng: np.random.Generator) -> list[Lesson]:
    chosen: list[Lesson] = []
    length = start
    chances = [_KINDS.get(one.kind, 1.0) * (_AFRESH if one.later and one.kind != "history" else 1.0) for one in found]
    waits = rng.exponential(size=len(found)) / chances
    for number in np.argsort(waits):
        lesson = found[int(number)]
        if len(chosen) < _LESSONS and length + len(lesson.ids) <= _LONGEST:
            chosen.append(lesson)
            length += len(lesson.ids)
    return chosen


def _row(chosen: Sequence[Lesson], writer: Writer) -> tuple[list[int], list[int], list[int], list[int]]:
    start = len(writer.picture)
    ids, places = list(writer.picture), list(range(start))
    labels, group = [IGNORED] * start, [0] * start
    for number, one in enumerate(chosen, start=1):
        ids += one.ids
        places += range(start, start + len(one.ids))
        labels += [IGNORED] * (one.asked - 1) + list(one.ids[one.asked :]) + [IGNORED]
        group += [number] * len(one.ids)
    return ids, places, labels, group


def _meant(picture: SeenPicture, one: Any) -> list[int]:
    return [
        table_row(one.structure), volume_row(one.structure), int(one.structure not in picture.gone),
        int(picture.fine), int(one.of_previous), one.part,
    ]  # fmt: skip


class Speaking(nn.Module):
    """The backbone's model with what reads its [SEG] states."""

    def __init__(self, model: Any, prompt_width: int, volume_width: int) -> None:
        super().__init__()
        self.model: Any = model
        width = model.config.text_config.hidden_size
        self.projection = SegProjection(width, prompt_width)
        self.volume_projection = SegProjection(width, volume_width)
        self.heads = StateHeads(width)

    def taught(self) -> dict[str, Tensor]:
        """What is learned here, by name; the head is the table of words, so it has no entry of its own."""
        left_out = (".vision_tower.", "model.lm_head.")
        return {name: value for name, value in self.state_dict().items() if not any(one in name for one in left_out)}


def losses(speaking: Speaking, batch: LessonBatch, seg: int, tables: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """Cross-entropy of the words, and what the [SEG] states are to say."""
    inner = speaking.model.model
    visual = inner.multi_modal_projector(batch.features)
    embedded = inner.get_input_embeddings()(batch.ids)
    context = batch.ids == speaking.model.config.image_token_id
    embedded = embedded.masked_scatter(context[..., None], visual.to(embedded.dtype))
    hidden_from = torch.zeros(batch.sees.shape).masked_fill_(~batch.sees, torch.finfo(torch.float32).min)
    states = inner.language_model(
        inputs_embeds=embedded, attention_mask=hidden_from, position_ids=batch.places, use_cache=False
    ).last_hidden_state
    due = batch.labels != IGNORED
    each = cross_entropy(speaking.model.lm_head(states[due]).float(), batch.labels[due], reduction="none")
    weight = word_weights(batch.labels, batch.marks)[due]
    words = (each * weight).sum() / weight.sum()
    said = states[batch.labels == seg]  # the states from which [SEG] is predicted
    flat, deep, present, fine, of_previous, part = batch.meant.unbind(1)
    says = speaking.heads.say(said)
    found = {"words": words, "part": cross_entropy(says.part, part)}
    truths = {"present": (says.present, present), "fine": (says.fine, fine), "it": (says.of_previous, of_previous)}
    for name, (logits, truth) in truths.items():
        found[name] = binary_cross_entropy_with_logits(logits, truth.float())
    for name, project, rows, table in (
        ("prompt", speaking.projection, flat, tables[0]), ("volume", speaking.volume_projection, deep, tables[1]),
    ):  # fmt: skip
        known = rows != UNKNOWN
        if known.any():
            found[name] = mse_loss(project(said[known]), table[rows[known]])
    return found


def word_weights(labels: Tensor, marks: tuple[int, int]) -> Tensor:
    """Weight of each word to be said: how an answer begins, and what it names, decide whether it is right.

    `marks` are the ids of <p> and </p>.
    """
    due = labels != IGNORED
    before = torch.zeros_like(due)
    before[:, 1:] = due[:, :-1]
    begins = due & ~before
    second = torch.zeros_like(begins)
    second[:, 1:] = begins[:, :-1]
    inside = ((labels == marks[0]).cumsum(1) - (labels == marks[1]).cumsum(1)) > 0
    return torch.where(begins | (second & due) | (inside & due), _DECIDING, 1.0)


WEIGHTS = {"words": 1.0, "part": 0.2, "present": 0.2, "fine": 0.2, "it": 0.2, "prompt": 0.5, "volume": 0.2}


def main() -> None:
    """Teach and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--grounding", type=Path, required=True, help="settled.safetensors of warm_up")
    parser.add_argument("--volumes", type=Path, required=True, help="checkpoint of volumes")
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument(
        "--only-projections",
        action="store_true",
        help="words stay; for tables that have changed since they were learned",
    )
    parser.add_argument("--rows", type=int, default=6, help="pictures of a batch")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.manual_seed(asked.seed)
    torch.set_num_threads(asked.threads)
    backbone = load_backbone("embedded", dtype=torch.float32)
    seg = backbone.tokenizer.convert_tokens_to_ids("[SEG]")
    tables = (
        load_file(asked.grounding)["prompts.weight"], load_file(asked.volumes)["prompts.weight"],
    )  # fmt: skip
    speaking = Speaking(backbone.model, tables[0].shape[1], tables[1].shape[1])
    backbone.model.set_attn_implementation("eager")
    (speaking.model if asked.only_projections else speaking.model.model.vision_tower).requires_grad_(False)
    kept = asked.work / "language.safetensors"
    if kept.exists():
        speaking.load_state_dict(load_file(kept), strict=False)
    pictures = read_seen(asked.shared, backbone.model, asked.work / "features")
    writer = Writer(backbone.tokenizer)
    seed = asked.seed + int(time.time()) % 100_000
    batches = iter(
        DataLoader(Lessons(pictures, writer, seg, asked.rows, seed), batch_size=None, num_workers=asked.workers)
    )
    print(f"{len(pictures)} pictures", flush=True)
    learn(speaking, batches, (seg, tables), kept, asked.minutes, asked.learning_rate)


def learn(
    speaking: Speaking, batches: Iterator[LessonBatch], means: tuple[int, tuple[Tensor, Tensor]], kept: Path,
    minutes: float, learning_rate: float,
) -> None:  # fmt: skip
    """Learn for some minutes; `means` holds the id of [SEG] and the two tables of prompts."""
    learned = [value for value in speaking.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.02)
    started, step, sums = time.monotonic(), 0, dict.fromkeys(WEIGHTS, 0.0)
    speaking.train()
    while (progress := (time.monotonic() - started) / 60 / minutes) < 1:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1.0, (step + 1) / 100) * min(1.0, (1 - progress) / 0.5)
        found = losses(speaking, next(batches), *means)
        optimizer.zero_grad()
        torch.stack([WEIGHTS[name] * value for name, value in found.items()]).sum().backward()
        nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        step += 1
        for name, value in found.items():
            sums[name] += float(value.detach())
        if step % 50 == 0:
            said = " ".join(f"{name} {value / 50:.4f}" for name, value in sums.items())
            print(f"step {step} {progress * minutes:.1f} min {said}", flush=True)
            sums = dict.fromkeys(WEIGHTS, 0.0)
        if step % 200 == 0:
            _save(speaking, kept)
    _save(speaking, kept)


def _save(speaking: Speaking, kept: Path) -> None:
    save_file({name: value.contiguous() for name, value in speaking.taught().items()}, kept)


if __name__ == "__main__":
    main()
