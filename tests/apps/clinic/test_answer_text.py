"""What the page says of an answer: phrases in the colours of their masks, cards, and nothing that acts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apps.clinic import actions
from apps.clinic.answer_text import cards_html, dialogue_html, provenance_html, quantities_html, study_html
from apps.clinic.dialogue import Dialogue
from medseg.inference.segmenter import Segmenter
from medseg.study.finding_colours import finding_colour
from tests.medseg.made_series import PLANTED_WORDS


@pytest.fixture
def asked(ct: Dialogue, rules: Segmenter) -> Dialogue:
    return actions.ask(ct, "Where are the lungs and the bone, and is there metal?", rules)


def test_phrases_have_the_colours_of_their_masks(asked: Dialogue) -> None:
    said = dialogue_html(asked)
    for number, label in ((1, "lungs"), (2, "bone")):
        at = said.index(f"<bdi>{label}</bdi>")
        assert finding_colour(number).hex in said[at - 200 : at]
    assert 'class="phrase not_found"' in said
    assert said.count('href="#finding-') == 3


def test_only_the_shown_answer_is_linked_to_cards(asked: Dialogue, rules: Segmenter) -> None:
    then = actions.ask(asked, "Where is the body?", rules)
    said = dialogue_html(then)
    assert said.count('class="turn shown"') == 1
    assert said.count('href="#finding-') == 1
    assert cards_html(then).count("<article") == 1
    assert cards_html(actions.show_turn(then, 0)).count("<article") == 3


def test_cards_say_found_uncertain_and_not_found(asked: Dialogue) -> None:
    assert asked.result is not None
    lungs, bone, metal = asked.result.findings
    doubtful = replace(bone, status="uncertain", presence=0.31)
    seen = replace(asked, turns=(replace(asked.result, findings=(lungs, doubtful, metal)),))
    first, second, third = cards_html(seen).split("</article>")[:3]
    assert "✓ found" in first
    assert "presence 100 %" in first
    assert "estimated overlap 80 %" in first
    assert " ml · " in first
    assert "? uncertain" in second
    assert "presence 31 %" in second
    assert "not clearly" in second
    assert "✕ not found" in third
    assert "presence 0 %" in third
    assert "kept from a presence of 20 % on" in third
    assert "overlap" not in third


def test_measurements_and_provenance_are_those_of_the_result(asked: Dialogue) -> None:
    assert asked.result is not None
    lungs = asked.result.findings[0].quantities
    assert lungs is not None
    assert lungs.volume_ml is not None
    assert f"{lungs.volume_ml:.0f} ml" in quantities_html(asked)
    told = provenance_html(asked)
    assert asked.result.provenance.input_sha256[:16] in told
    assert "classical" in told
    assert asked.key in told


def test_before_an_answer_each_part_says_so(ct: Dialogue) -> None:
    assert "No study is open" in study_html(Dialogue())
    assert "CT, 68 x 48 x 28 voxels" in study_html(ct)
    assert "Nothing asked yet" in dialogue_html(ct)
    assert cards_html(ct) == ""
    assert "first answer" in quantities_html(ct)
    assert "first answer" in provenance_html(ct)


def test_questions_cannot_act_and_names_are_not_shown(ct: Dialogue, rules: Segmenter) -> None:
    asked = actions.ask(ct, 'the <img src=x onerror="boom()"> bone', rules)
    whole = "".join(part(asked) for part in (study_html, dialogue_html, cards_html, quantities_html, provenance_html))
    assert "<img" not in whole
    assert "&lt;img" in whole
    assert not [word for word in PLANTED_WORDS if word in whole]
