"""What an answer means, in plain sentences, and the card on the page that says it.

The card is HTML; everything that a person typed is escaped in it.
"""

from __future__ import annotations

import html
from dataclasses import dataclass

from apps.scene_explorer.exploration import Exploration
from vision3d.laga.query_scene import QueryResult

CHIPS = {"found": "found", "uncertain": "uncertain", "not found": "not in this scene"}
"""Status -> what its chip says."""
_SIGNS = {"found": "✓", "uncertain": "?", "not found": "✕"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """An answer in words."""

    subject: str
    """What was asked for."""
    status: str
    """Key of `CHIPS`."""
    sentences: tuple[str, ...]
    """What that means."""
    relevance: float | None
    """0-1, absolute; None where there is nothing to measure."""
    found_from: float
    """Relevance from which on a phrase is found."""
    uncertain_from: float
    """Relevance from which on it is uncertain."""


def explain(exploration: Exploration) -> Explanation | None:
    """The last answer in words; None where nothing was asked yet."""
    result = exploration.result
    if result is None:
        return None
    tell = {"phrase": _of_phrase, "click": _of_click, "row": _of_row}[exploration.asked_by]
    return tell(exploration, result)


def answer_card(exploration: Exploration) -> str:
    """The card: chip, sentences, and the relevance on its scale."""
    told = explain(exploration)
    if told is None:
        can = exploration.explored.queries is not None
        lead = "Nothing asked yet" if can else "Bare splats"
        text = (
            "Type what to look for, click a thing in the picture, or choose a row of the table."
            if can
            else "This scene was not taken apart into objects, so it can be looked at but not asked. "
            "<code>vision3d train</code> does that."
        )
        return f'<div class="answer idle"><strong>{lead}</strong><p>{text}</p></div>'
    kind = told.status.replace(" ", "-")
    head = (
        f'<div class="answer-head"><strong>{html.escape(told.subject)}</strong>'
        f'<span class="chip {kind}">{_SIGNS[told.status]} {CHIPS[told.status]}</span></div>'
    )
    text = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in told.sentences)
    return f'<div class="answer {kind}" role="status">{head}{_scale(told)}{text}</div>'


def _of_phrase(exploration: Exploration, result: QueryResult) -> Explanation:
    found, uncertain = exploration.explored.asked().found_relevances
    words = len(result.question.split())
    all_unknown = bool(result.unknown_words) and len(result.unknown_words) >= words
    sentences = {
        "found": (f"The scene very likely has this. {_selected(result)}",),
        "uncertain": (
            f"Something resembles it, but not clearly: relevance {result.relevance:.2f} lies between {uncertain:.2f} "
            f"and {found:.2f}. {_selected(result)} Look at it before you trust it.",
        ),
        "not found": (
            f"Nothing here resembles it enough: the best object reaches {result.relevance:.2f}, an answer needs "
            f"{uncertain:.2f}. So nothing is selected.",
        ),
    }[result.status]
    if all_unknown:
        sentences = ("Nothing can be looked for: no word of this is known here, so nothing is selected.",)
    if result.unknown_words:
        rest = "" if all_unknown else " The answer rests on the other words alone."
        sentences = (*sentences, f"Words the encoder never learned: {', '.join(result.unknown_words)}.{rest}")
    return Explanation(
        subject=f"“{result.question}”",
        status=result.status,
        sentences=sentences,
        relevance=None if all_unknown else result.relevance,
        found_from=found,
        uncertain_from=uncertain,
    )


def _of_click(exploration: Exploration, result: QueryResult) -> Explanation:
    level = exploration.level
    if result.status == "not found":
        subject = "Your click"
        text = f"No object of level {level} is there. Choose a coarser level above the picture, or click elsewhere."
    else:
        subject = f"Object {int(result.objects[0])}"
        sure = "most" if result.status == "found" else "only a part"
        text = f"It paints {sure} of the place you clicked ({result.relevance:.0%}). {_selected(result)}"
    return _without_scale(subject, result, text, *_looks(exploration, result))


def _of_row(exploration: Exploration, result: QueryResult) -> Explanation:
    subject = f"Object {int(result.objects[0])}"
    return _without_scale(subject, result, f"Chosen in the table. {_selected(result)}", *_looks(exploration, result))


def _without_scale(subject: str, result: QueryResult, *sentences: str) -> Explanation:
    return Explanation(
        subject=subject,
        status=result.status,
        sentences=sentences,
        relevance=None,
        found_from=1.0,
        uncertain_from=1.0,
    )


def _looks(exploration: Exploration, result: QueryResult) -> tuple[str, ...]:
    """A sentence with the words that fit the best object; none where nothing was found or no word is known."""
    if not len(result.objects):
        return ()
    best = int(result.objects[0])
    words = next((row.words for row in exploration.explored.objects if row.object == best), ())
    return (f"Words that fit it best: {', '.join(word for word, _ in words)}.",) if words else ()


def _selected(result: QueryResult) -> str:
    return f"{int(result.chosen.sum()):,} of {len(result.chosen):,} Gaussians are selected."


def _scale(told: Explanation) -> str:
    """The relevance as a place on a bar whose colours are the three answers."""
    if told.relevance is None:
        return ""
    low, high = 100 * told.uncertain_from, 100 * told.found_from
    zones = (
        f"linear-gradient(90deg, var(--refused) 0 {low:.0f}%, var(--unsure) {low:.0f}% {high:.0f}%, "
        f"var(--found) {high:.0f}% 100%)"
    )
    place = 100 * min(max(told.relevance, 0.0), 1.0)
    title = f"uncertain from {told.uncertain_from:.2f} on, found from {told.found_from:.2f} on"
    return (
        f'<div class="scale" title="{title}"><span>relevance {told.relevance:.2f}</span>'
        f'<div class="bar" style="background:{zones}"><i style="left:{place:.0f}%"></i></div></div>'
    )
