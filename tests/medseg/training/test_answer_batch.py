"""[SEG] states of a batch: of the right places, and those that inference reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from medseg.errors import InvalidInputError, RecordError
from medseg.model import MedSegModel
from medseg.training.answer_batch import last_answers, make_batch, seg_sites
from medseg.training.answer_items import AnswerItems, ItemSettings
from medseg.training.answer_pass import answer_pass, read_answers
from medseg.training.losses import LossWeights
from medseg.training.taught_answers import TaughtAnswer, taught_answers
from tests.medseg.training.shapes import tiny_medseg, write_shapes
from tests.vlm_bridge.decoding.tiny_backbone import picture, tiny_backbone
from vlm_bridge.decoding.answer_text import answer_ids
from vlm_bridge.decoding.seg_states import SegState, append_answers, read_seg_states
from vlm_bridge.prompts.conversation import Conversation, Message
from vlm_bridge.prompts.encode_conversation import special_id

SAID = ["No.", "it is <p>the left kidney</p> [SEG].", "<p>liver</p> [SEG], <p>x</p> [SEG] and [SEG]"]
PICTURES = [(), (picture(),), (picture(28, 28, seed=1), picture(seed=2))]
"""None, one of two tiles with a thumbnail, and two: every row is padded by another length."""


def talk(number: int, *, answered: bool) -> Conversation:
    """Two questions; what was said first is marked nowhere."""
    messages = (
        Message(role="user", text="first, [SEG]?", images=PICTURES[number]),
        Message(role="assistant", text="the <p>lung</p> [SEG]."),
        Message(role="user", text="and <p> [SEG]?"),
        Message(role="assistant", text=SAID[number]),
    )
    return Conversation(messages=messages if answered else messages[:-1])


@pytest.mark.parametrize(("seg_state", "back"), [("predicting", 1), ("at_token", 0)])
@pytest.mark.parametrize("left", [False, True])
def test_sites_are_those_of_the_last_answer(seg_state: SegState, back: int, left: bool) -> None:
    """Every place is checked against its row alone, without padding; earlier marks and typed ones are none."""
    backbone = tiny_backbone()
    if left:
        prompts = backbone.encode([talk(number, answered=False) for number in range(3)], to_answer=True)
        batch = append_answers(prompts, [torch.tensor(answer_ids(backbone, text)) for text in SAID], pad=0)
    else:
        batch = backbone.encode([talk(number, answered=True) for number in range(3)], to_answer=False)
    seg = special_id("[SEG]", backbone.tokenizer)
    row, place = seg_sites(batch, last_answers(batch.answers), seg, seg_state)
    assert row.tolist() == [1, 2, 2, 2]
    for number in range(3):
        alone = backbone.encode([talk(number, answered=True)], to_answer=False).ids[0].tolist()
        wanted = [at for at, word in enumerate(alone) if word == seg][1:]  # the first is of the earlier answer
        start = int(batch.attention[number].int().argmax())
        found = place[row == number]
        assert (found - start + back).tolist() == wanted
        assert batch.ids[number, found].tolist() == [alone[at - back] for at in wanted]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> tuple[TaughtAnswer, ...]:
    return taught_answers(write_shapes(tmp_path_factory.mktemp("shapes"), 2), absent_probes=True)


def items_of(model: MedSegModel, answers: tuple[TaughtAnswer, ...]) -> AnswerItems:
    made = ItemSettings(fit=model.decoder.fit, grid=32, seed=0, fine_share=0.35, fine_labels=("small",))
    return AnswerItems(answers, made)


@pytest.mark.parametrize("seg_state", ["predicting", "at_token"])
def test_taught_states_are_those_of_the_second_pass(answers: tuple[TaughtAnswer, ...], seg_state: SegState) -> None:
    model = tiny_medseg(seg_state=seg_state)
    made = items_of(model, answers)
    items = [made[(0, number)] for number in range(len(answers))]
    batch = make_batch(model.backbone, items, seg_state=seg_state)
    found = read_answers(model, batch).hidden
    talks = [one.answer.conversation(Image.fromarray(one.picture)) for one in items]
    asked = [Conversation(messages=one.messages[:-1]) for one in talks]
    states = read_seg_states(model.backbone, asked, [one.answer for one in answers], seg_state=seg_state)
    wanted = torch.cat([one.hidden for one in states])
    assert len(wanted) == sum(len(one.targets) for one in answers)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_tokens_views_and_truths_belong_together(answers: tuple[TaughtAnswer, ...]) -> None:
    model = tiny_medseg()
    made = items_of(model, answers)
    items = [made[(0, number)] for number in range(len(answers))]
    batch = make_batch(model.backbone, items, seg_state="predicting")
    at, first_view = 0, 0
    for number, item in enumerate(items):
        rows = slice(at, at + len(item.view))
        assert (batch.row[rows] == number).all()
        assert torch.equal(batch.view[rows] - first_view, item.view)
        assert torch.equal(batch.truth.masks[rows], item.truth.masks)
        at, first_view = at + len(item.view), first_view + len(item.views)
    assert (at, first_view) == (len(batch.row), len(batch.views))
    untaught = [number for number, one in enumerate(answers) if not one.words_taught]
    assert untaught
    assert not batch.taught[untaught].any()


def test_only_the_last_answer_is_taught(answers: tuple[TaughtAnswer, ...]) -> None:
    model = tiny_medseg()
    batch = make_batch(model.backbone, [items_of(model, answers)[(0, 1)]], seg_state="predicting")
    said = model.backbone.tokenizer.decode(batch.prompt.ids[batch.taught])
    assert said == "<p>half</p> [SEG]<|im_end|>"


def test_answers_without_masks_still_reach_every_parameter(answers: tuple[TaughtAnswer, ...]) -> None:
    """Zero-weighted: gradients are there, and are zero."""
    model = tiny_medseg().train()
    texts = [number for number, one in enumerate(answers) if not one.targets]
    batch = make_batch(model.backbone, [items_of(model, answers)[(0, at)] for at in texts], seg_state="predicting")
    loss, parts = answer_pass(model, batch, LossWeights(), backbone_learns=True)
    loss.backward()
    assert loss.item() == pytest.approx(parts["words"].item())
    head: Any = model.language.lm_head
    reached = {name: value.grad for name, value in model.projection.named_parameters()}
    assert all(value is not None and not value.any() for value in reached.values())
    assert all(value.grad is not None for value in model.heads.parameters())
    assert head.weight.grad.abs().sum() > 0


def test_gradients_go_where_they_should(answers: tuple[TaughtAnswer, ...]) -> None:
    model = tiny_medseg().train()
    batch = make_batch(model.backbone, [items_of(model, answers)[(0, 0)]], seg_state="predicting")
    answer_pass(model, batch, LossWeights(words=0.0), backbone_learns=False)[0].backward()
    assert all(value.grad is None for value in model.language.parameters())
    learned = [value.grad for value in model.projection.parameters()]
    assert all(grad is not None and grad.any() for grad in learned)
    answer_pass(model, batch, LossWeights(words=0.0), backbone_learns=True)[0].backward()
    assert sum(value.grad.abs().sum() for value in model.language.parameters() if value.grad is not None) > 0


def test_long_dialogues_and_uneven_marks_are_refused(tmp_path: Path, answers: tuple[TaughtAnswer, ...]) -> None:
    model = tiny_medseg()
    item = items_of(model, answers)[(0, 0)]
    with pytest.raises(InvalidInputError, match="expected at most 20 tokens"):
        make_batch(model.backbone, [item], seg_state="predicting", max_length=20)
    from dataclasses import replace

    uneven = replace(item, answer=replace(item.answer, answer="nothing"))
    with pytest.raises(RecordError, match=r"Record shapes-0: expected 1 \[SEG\] tokens in an answer"):
        make_batch(model.backbone, [uneven], seg_state="predicting")
