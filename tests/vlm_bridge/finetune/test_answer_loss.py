"""The loss is the cross-entropy of the answers' tokens and of nothing else, each token of a step weighing the same."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from tests.vlm_bridge.finetune.colours import QUESTION, answered, colour_conversations, picture, quick, tiny_backbone
from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.finetune.batches import ConversationCollator
from vlm_bridge.finetune.config import Stage
from vlm_bridge.finetune.finetune import finetune_backbone
from vlm_bridge.finetune.records import ConversationDataset
from vlm_bridge.finetune.stage_data import StageData
from vlm_bridge.prompts.conversation import Conversation
from vlm_bridge.runs.run_folder import RunFolder


def surprises(backbone: InternVLBackbone, conversation: Conversation) -> list[float]:
    """-ln p of each token an assistant says, worked out from the logits one place before it, one conversation alone."""
    batch = backbone.encode([conversation], to_answer=False)
    with torch.no_grad():
        logits = backbone.forward(batch).logits[0].double()
    said = [place for place, answer in enumerate(batch.answers[0].tolist()) if answer]
    ids = batch.ids[0].tolist()
    return [
        math.log(sum(math.exp(value) for value in logits[place - 1].tolist()))
        - float(logits[place - 1, ids[place]])
        for place in said
    ]  # fmt: skip


def uneven() -> list[Conversation]:
    """Answers of 2, 20 and 7 tokens: a mean of means would be another number."""
    return [
        answered(QUESTION, "a", picture("red")),
        answered("text alone", "abcdefghijklmnopqrs"),
        answered(QUESTION, "golden", picture("gold", (40, 90))),
    ]


def test_loss_of_a_batch_is_that_worked_by_hand() -> None:
    backbone = tiny_backbone()
    found = backbone.model(**ConversationCollator(backbone)(uneven())).loss
    by_hand = [value for conversation in uneven() for value in surprises(backbone, conversation)]
    assert len(by_hand) == 2 + 20 + 7
    assert float(found.detach()) == pytest.approx(sum(by_hand) / len(by_hand), abs=1e-5)


@pytest.mark.parametrize(("batch_size", "accumulation"), [(3, 1), (1, 3), (2, 2)])
def test_a_step_weighs_all_its_tokens_alike_however_it_is_cut_into_passes(
    tmp_path: Path, batch_size: int, accumulation: int
) -> None:
    backbone = tiny_backbone()
    by_hand = [value for conversation in uneven() for value in surprises(backbone, conversation)]
    data = StageData(train=ConversationDataset(uneven()), validation=ConversationDataset(uneven()))
    config = quick(
        Stage(policy="rl_all", steps=1, learning_rate=1e-9), batch_size=batch_size, accumulation=accumulation
    )
    finetune_backbone(backbone, data, config, tmp_path, progress=False)
    training, validation = RunFolder(path=tmp_path).metrics()
    expected = pytest.approx(sum(by_hand) / len(by_hand), abs=1e-5)
    assert training["loss"] == expected
    assert validation["validation_loss"] == expected


def test_passes_of_a_step_do_not_change_where_it_goes(tmp_path: Path) -> None:
    """Gradients of three passes of one conversation add up to those of one pass of three."""
    ends = []
    for number, (batch_size, accumulation) in enumerate([(3, 1), (1, 3)]):
        backbone = tiny_backbone()
        config = quick(
            Stage(policy="rl_all", steps=1, learning_rate=1e-3), batch_size=batch_size, accumulation=accumulation
        )
        data = StageData(train=ConversationDataset(uneven()))
        finetune_backbone(backbone, data, config, tmp_path / str(number), progress=False)
        ends.append(torch.cat([value.flatten() for value in backbone.model.parameters()]))
    start = torch.cat([value.flatten() for value in tiny_backbone().model.parameters()])
    # Adam's first step is lr x sign of the gradient, so a gradient that is nothing but rounding may go either way.
    agree = ((ends[0] - ends[1]).abs() < 1e-5).double().mean()
    assert agree > 0.98
    assert (ends[0] - start).abs().max() > 5e-4


def test_what_a_user_says_is_read_but_not_learned() -> None:
    """Gradients of the loss reach the logits one place before an assistant's tokens and no others."""
    backbone = tiny_backbone()
    inputs = ConversationCollator(backbone)(uneven())
    output = backbone.model(**inputs)
    output.logits.retain_grad()
    output.loss.backward()
    reached = output.logits.grad.abs().sum(dim=-1) > 0
    batch = backbone.encode(uneven(), to_answer=False)
    assert torch.equal(reached[:, :-1], batch.answers[:, 1:])
    assert not reached[:, -1].any()
    # Another question with as many tokens changes the loss: it is what the answer depends on.
    other = [answered("WHICH COLOUR?", "a", picture("red")), *uneven()[1:]]
    assert not torch.equal(backbone.model(**ConversationCollator(backbone)(other)).loss, output.loss)


def test_token_accuracy_counts_answers_alone(tmp_path: Path) -> None:
    backbone = tiny_backbone()
    conversations = colour_conversations()[:2]
    right, count = 0, 0
    for conversation in conversations:
        batch = backbone.encode([conversation], to_answer=False)
        guesses = backbone.forward(batch).logits[0, :-1].argmax(dim=-1)
        said = batch.answers[0, 1:]
        right += int((guesses == batch.ids[0, 1:])[said].sum())
        count += int(said.sum())
    data = StageData(train=ConversationDataset(conversations), validation=ConversationDataset(conversations))
    config = quick(Stage(policy="rl_all", steps=1, learning_rate=1e-9))
    finetune_backbone(backbone, data, config, tmp_path, progress=False)
    assert RunFolder(path=tmp_path).metrics()[-1]["validation_token_accuracy"] == pytest.approx(right / count)
