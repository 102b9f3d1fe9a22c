"""What an answer means, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apps.scene_explorer import actions
from apps.scene_explorer.answer_text import answer_card, explain
from apps.scene_explorer.exploration import Exploration


def test_every_status_says_what_it_means(begun: Exploration) -> None:
    assert explain(begun) is None
    assert "Nothing asked yet" in answer_card(begun)
    found = explain(actions.ask(begun, "red"))
    assert found.sentences == ("The scene very likely has this. 160 of 1,040 Gaussians are selected.",)
    asked = actions.ask(begun, "red")
    unsure = explain(replace(asked, result=replace(asked.result, status="uncertain", relevance=0.4)))
    assert "relevance 0.40 lies between 0.30 and 0.50" in unsure.sentences[0]
    assert "Look at it before you trust it." in unsure.sentences[0]
    refused = explain(actions.ask(begun, "dim"))
    assert refused.sentences == (
        "Nothing here resembles it enough: the best object reaches 0.00, an answer needs 0.30. So nothing is selected.",
    )


def test_unknown_words_are_named(begun: Exploration) -> None:
    partly = explain(actions.ask(begun, "red zorbly"))
    assert partly.sentences[-1] == (
        "Words the encoder never learned: zorbly. The answer rests on the other words alone."
    )
    wholly = explain(actions.ask(begun, "zorbly"))
    assert wholly.relevance is None
    assert wholly.sentences[-1] == "Words the encoder never learned: zorbly."


@pytest.mark.parametrize("phrase", ["<script>alert(1)</script>", 'red "><img src=x>'])
def test_a_card_runs_nothing_that_was_typed(begun: Exploration, phrase: str) -> None:
    card = answer_card(actions.ask(begun, phrase))
    assert "<script" not in card
    assert "<img" not in card


def test_clicks_and_rows_say_what_they_hit(begun: Exploration) -> None:
    width, height = actions.PICTURE_SIZE
    hit = explain(actions.click(begun, width / 2, height - 1))
    assert hit.subject == "Object 13"
    assert hit.sentences[0].startswith("It paints most of the place you clicked (")
    missed = explain(actions.click(begun, 1.0, 1.0))
    assert missed.status == "not found"
    assert "No object of level m is there" in missed.sentences[0]
    assert explain(actions.choose(begun, 9)).sentences == ("Chosen in the table. 160 of 1,040 Gaussians are selected.",)
