"""Examples open and their questions fit them; the embedded model is asked by default where there is one."""

from __future__ import annotations

import pytest

from apps.clinic import actions, examples
from medseg.errors import InvalidInputError
from medseg.inference.catalogue import SEGMENTERS
from medseg.inference.segmenter import Segmenter


def test_the_phantom_has_what_its_questions_ask_for(rules: Segmenter) -> None:
    dialogue = examples.open_example("chest CT (drawn)")
    assert dialogue.opened is not None
    for question in dialogue.opened.questions:
        dialogue = actions.ask(dialogue, question, rules)
    lungs, largest, metal = (turn.findings[0] for turn in dialogue.turns)
    assert [found.status for found in (lungs, largest, metal)] == ["found", "found", "not_found"]
    assert lungs.quantities is not None
    assert largest.quantities is not None
    assert lungs.quantities.components >= 2
    assert 0.5 < largest.mask.sum() / lungs.mask.sum() < 0.65


@pytest.mark.parametrize("name", examples.EXAMPLES)
def test_each_example_opens(name: str) -> None:
    dialogue = examples.open_example(name)
    assert dialogue.opened is not None
    assert len(dialogue.opened.questions) >= 3
    assert "nobody's body" in dialogue.opened.title
    assert dialogue.volume.voxels.std() > 0


def test_another_name_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="found 'none'"):
        examples.open_example("none")


def test_the_embedded_model_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(SEGMENTERS, "medsegr-tiny", raising=False)
    assert examples.default_segmenter() == "classical"
    monkeypatch.setitem(SEGMENTERS, "medsegr-tiny", SEGMENTERS["classical"])
    assert examples.default_segmenter() == "medsegr-tiny"
