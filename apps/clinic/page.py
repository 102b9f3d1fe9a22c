"""The page: layout alone. Controls are passed on to `actions.py`; the only door to gradio of the clinic.

Nothing is fetched from elsewhere: fonts are the system's, and gradio's own files come from the same address. What a tab
has open lives in `Sessions`, not in the browser, and is gone when the tab is closed.
"""

from __future__ import annotations

import functools
import html
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from traceback import format_tb
from typing import Any

import gradio as gr
from gradio.themes import Default

from apps.clinic import actions, answer_text
from apps.clinic.dialogue import ALL, Dialogue
from apps.clinic.examples import EXAMPLES, open_example
from apps.clinic.open_study import UPLOAD_LIMITS, choose_series, forget_uploads, open_upload, series_choices
from apps.clinic.sessions import Sessions
from apps.clinic.take_along import format_choices, take_along, ticked_formats
from medseg.errors import MedSegError
from medseg.inference.segmenter import Segmenter
from vlm_bridge.errors import VlmBridgeError

_log = logging.getLogger(__name__)
TITLE = "Ask a study"
BANNER = "Research use only; not a medical device."
QUEUE_MAX = 24
"""Most requests that wait at one time; later ones are turned away with a notice."""
_LEAD = "Ask about a medical image in plain words. What is there is marked; what is not there is told."
_TAKES = '<p class="hint">PNG, JPEG, TIFF, NIfTI, the files of a DICOM series, or a zip of a DICOM study.</p>'
_STYLE = Path(__file__).with_name("page.css")
_ALOUD = 'element.setAttribute("aria-live", "polite");'
"""A screen reader says what changes in the element."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Controls:
    """Every component that an event reads or writes."""

    opening: gr.Accordion
    upload: gr.File
    examples: tuple[gr.Button, ...]
    series: gr.Dropdown
    study: gr.HTML
    work: gr.Row
    picture: gr.Image
    number: gr.Slider
    caption: gr.HTML
    plane: gr.Radio
    window: gr.Dropdown
    look: gr.Radio
    dialogue: gr.HTML
    question: gr.Textbox
    ask: gr.Button
    samples: gr.Dataset
    turn: gr.Dropdown
    cards: gr.HTML
    anew: gr.Button
    start_over: gr.Button
    details: gr.Tabs
    quantities: gr.HTML
    formats: gr.CheckboxGroup
    write: gr.Button
    files: gr.File
    told: gr.HTML
    provenance: gr.HTML


def build_page(segmenter: Segmenter, *, sessions: Sessions, root: Path) -> gr.Blocks:
    """The page that asks `segmenter`; uploads and downloads lie below `root`, the folder of `sessions`.

    Sets the environment variable GRADIO_TEMP_DIR to `root`, which gradio reads for its own uploads.
    """
    os.environ["GRADIO_TEMP_DIR"] = str(root)
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        gr.HTML(_heading(segmenter), padding=False)
        parts = _opening()
        with gr.Row(elem_id="work", visible=False) as work:
            with gr.Column(scale=6, min_width=320, elem_id="looking"):
                parts |= _looking()
            with gr.Column(scale=5, min_width=320, elem_id="asking"):
                parts |= _asking()
        controls = _Controls(work=work, **parts, **_taking())
        _connect_opening(controls, sessions)
        _connect_views(controls, sessions)
        _connect_dialogue(controls, sessions, segmenter)
        _connect_downloads(controls, sessions)
        _connect_tab(page, controls, sessions)
    return page


def launch_page(page: gr.Blocks, *, host: str, port: int | None) -> str:
    """Serve the page in threads of its own; returns its address once it answers.

    Raises:
        OSError: the port is taken.
    """
    font = ("system-ui", "-apple-system", "Segoe UI", "Noto Sans", "sans-serif")
    theme = Default(primary_hue="teal", neutral_hue="slate", font=font, font_mono=("ui-monospace", "monospace"))
    page.queue(max_size=QUEUE_MAX, default_concurrency_limit=4, api_open=False)
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        share=False,
        ssr_mode=False,
        quiet=True,
        footer_links=[],
        theme=theme,
        css_paths=_STYLE,
        max_file_size=UPLOAD_LIMITS.file_bytes,
    )
    return address


def _heading(segmenter: Segmenter) -> str:
    name = html.escape(segmenter.facts.name)
    return (
        f'<header id="heading"><p class="banner" role="note">{BANNER}</p><div><h1>{TITLE}</h1><p>{_LEAD}</p>'
        f'<p class="model">Model: <strong>{name}</strong></p></div></header>'
    )


def _opening() -> dict[str, Any]:
    with gr.Accordion("Open a study", open=True, elem_id="opening") as opening:
        with gr.Row(elem_id="opening-row"):
            upload = gr.File(
                label="Your study", file_count="multiple", height=150, elem_id="upload", scale=3, min_width=300
            )
            with gr.Column(scale=2, min_width=260, elem_id="examples"):
                gr.HTML(f"{_TAKES}<p>No study at hand?</p>", padding=False)
                examples = tuple(gr.Button(f"Example: {name}") for name in EXAMPLES)
        series = gr.Dropdown(
            [], label="Series of this study; a new dialogue begins with each", visible=False, elem_id="series"
        )
    study = gr.HTML(answer_text.study_html(Dialogue()), elem_id="study", padding=False, js_on_load=_ALOUD)
    return {"opening": opening, "upload": upload, "examples": examples, "series": series, "study": study}


def _looking() -> dict[str, Any]:
    picture = gr.Image(
        show_label=False, interactive=False, format="png", buttons=["fullscreen"], elem_id="picture",
        alt_text="The study",
    )  # fmt: skip
    caption = gr.HTML("", elem_id="caption", padding=False)
    number = gr.Slider(1, 2, 1, step=1, label="Slice", buttons=[], elem_id="number")
    with gr.Row(elem_id="view-row"):
        plane = gr.Radio([], label="Plane", elem_id="plane", min_width=240, scale=3)
        window = gr.Dropdown([], label="Window, for the eye alone", elem_id="window", min_width=150, scale=2)
    look = gr.Radio([], label="Show on the picture", elem_id="look", visible=False)
    return {
        "picture": picture, "caption": caption, "number": number, "plane": plane, "window": window, "look": look,
    }  # fmt: skip


def _asking() -> dict[str, Any]:
    dialogue = gr.HTML(
        answer_text.dialogue_html(Dialogue()), elem_id="dialogue", padding=False, autoscroll=True, js_on_load=_ALOUD
    )
    question = gr.Textbox(
        label="Your question", placeholder="e.g. Where are the lungs?", lines=1, max_lines=4, elem_id="question"
    )
    with gr.Row(elem_id="ask-row"):
        ask = gr.Button("Ask", variant="primary", elem_id="ask", scale=2, min_width=120)
        anew = gr.Button("New dialogue", elem_id="anew", scale=1, min_width=130)
        start_over = gr.Button("Start over", elem_id="start-over", scale=1, min_width=100)
    samples = gr.Dataset(
        components=[question], samples=[], label="Try one after the other", type="values", elem_id="samples",
        layout="gallery", visible=False,
    )  # fmt: skip
    turn = gr.Dropdown([], label="Answer whose masks are shown", visible=False, elem_id="turn")
    cards = gr.HTML("", elem_id="cards", padding=False)
    return {
        "dialogue": dialogue, "question": question, "ask": ask, "anew": anew, "start_over": start_over,
        "samples": samples, "turn": turn, "cards": cards,
    }  # fmt: skip


def _taking() -> dict[str, Any]:
    with gr.Tabs(elem_id="details", visible=False) as details:
        with gr.Tab("Measurements"):
            quantities = gr.HTML("", elem_id="quantities", padding=False)
        with gr.Tab("Download"):
            formats = gr.CheckboxGroup([], label="Files of the shown answer", elem_id="formats")
            write = gr.Button("Prepare the files", elem_id="write")
            files = gr.File(
                label="Files to download", file_count="multiple", interactive=False, visible=False, elem_id="files"
            )
            told = gr.HTML("", elem_id="told", padding=False, js_on_load=_ALOUD)
        with gr.Tab("Provenance"):
            provenance = gr.HTML("", elem_id="provenance", padding=False)
    return {
        "details": details, "quantities": quantities, "formats": formats, "write": write, "files": files,
        "told": told, "provenance": provenance,
    }  # fmt: skip


def _connect_tab(page: gr.Blocks, c: _Controls, sessions: Sessions) -> None:
    def loaded(request: gr.Request) -> dict[Any, Any]:
        return _opened(c, sessions, _key(request))

    def started_over(request: gr.Request) -> dict[Any, Any]:
        sessions.close(_key(request))
        return {**_opened(c, sessions, _key(request)), c.question: ""}

    def closed(request: gr.Request) -> None:
        sessions.close(_key(request))

    page.load(_guarded(loaded), None, _opened_outputs(c))
    c.start_over.click(_guarded(started_over), None, [*_opened_outputs(c), c.question])
    page.unload(closed)


def _connect_opening(c: _Controls, sessions: Sessions) -> None:
    def uploaded(request: gr.Request, paths: list[str] | None) -> dict[Any, Any]:
        key = _key(request)
        files, folder = [Path(path) for path in paths or []], sessions.folder(key)
        sessions.change(key, lambda _: open_upload(files, folder))
        return _opened(c, sessions, key)

    def example_of(name: str) -> Callable[..., Any]:
        def opened(request: gr.Request) -> dict[Any, Any]:
            key = _key(request)
            sessions.change(key, lambda _: open_example(name))
            forget_uploads(sessions.folder(key))
            return _opened(c, sessions, key)

        return _guarded(opened)

    def chosen(request: gr.Request, key_of_series: str) -> dict[Any, Any]:
        sessions.change(_key(request), lambda now: choose_series(now, key_of_series))
        return _opened(c, sessions, _key(request))

    outputs = _opened_outputs(c)
    # The drop zone is emptied whatever came of it: the files are the tab's now, or refused.
    c.upload.upload(_guarded(uploaded), c.upload, outputs, show_progress_on=c.upload).then(
        lambda: None, None, c.upload, show_progress="hidden"
    )
    c.series.input(_guarded(chosen), c.series, outputs, show_progress_on=c.series)
    for button, name in zip(c.examples, EXAMPLES, strict=True):
        button.click(example_of(name), None, outputs, show_progress_on=button)


def _connect_views(c: _Controls, sessions: Sessions) -> None:
    def doing(action: Callable[..., Dialogue], *, moved: bool) -> Callable[..., Any]:
        def act(request: gr.Request, value: Any) -> dict[Any, Any]:
            key = _key(request)
            dialogue = sessions.change(key, lambda now: action(now, value))
            shown = _picture_of(c, dialogue, sessions.folder(key))
            return {**shown, c.number: _number_of(dialogue)} if moved else shown

        return _guarded(act)

    seen = [c.picture, c.caption]
    walked = doing(lambda now, value: actions.walk(now, int(value) - 1), moved=False)
    c.number.input(walked, c.number, seen, show_progress="hidden", trigger_mode="always_last")
    for control, action in ((c.plane, actions.with_plane), (c.window, actions.with_window), (c.look, actions.look_at)):
        control.input(doing(action, moved=True), control, [*seen, c.number], show_progress="hidden")


def _connect_dialogue(c: _Controls, sessions: Sessions, segmenter: Segmenter) -> None:
    def asked(request: gr.Request, question: str) -> dict[Any, Any]:
        key = _key(request)
        result = actions.answer(sessions.dialogue(key), question, segmenter)
        sessions.change(key, lambda now: actions.with_answer(now, result))
        return {**_answered(c, sessions, key), c.question: ""}

    def turned(request: gr.Request, number: int) -> dict[Any, Any]:
        sessions.change(_key(request), lambda now: actions.show_turn(now, int(number)))
        return _answered(c, sessions, _key(request))

    def began_anew(request: gr.Request) -> dict[Any, Any]:
        sessions.change(_key(request), actions.new_dialogue)
        return {**_answered(c, sessions, _key(request)), c.question: ""}

    outputs = [*_answered_outputs(c), c.question]
    one_at_a_time = {"concurrency_limit": 1, "concurrency_id": "segmenter", "show_progress_on": c.dialogue}
    gr.on([c.question.submit, c.ask.click], _guarded(asked), c.question, outputs, **one_at_a_time)
    c.samples.click(lambda sample: sample[0], c.samples, c.question, show_progress="hidden").then(
        _guarded(asked), c.question, outputs, **one_at_a_time
    )
    c.turn.input(_guarded(turned), c.turn, _answered_outputs(c), show_progress="hidden")
    c.anew.click(_guarded(began_anew), None, outputs, show_progress="hidden")


def _connect_downloads(c: _Controls, sessions: Sessions) -> None:
    def written(request: gr.Request, formats: list[str]) -> dict[Any, Any]:
        key = _key(request)
        outputs = take_along(sessions.dialogue(key), formats, sessions.folder(key))
        paths = [str(path) for path in outputs.files]
        return {
            c.files: gr.update(value=paths or None, visible=bool(paths)),
            c.told: answer_text.told_html(tuple(notice.text for notice in outputs.notices)),
        }

    c.write.click(_guarded(written), c.formats, [c.files, c.told], show_progress_on=c.write)


def _key(request: gr.Request) -> str:
    """The tab that asks."""
    return str(request.session_hash)


def _opened_outputs(c: _Controls) -> list[Any]:
    return [c.opening, c.series, c.study, c.work, c.details, c.plane, c.window, c.samples, *_answered_outputs(c)]


def _answered_outputs(c: _Controls) -> list[Any]:
    told = [c.dialogue, c.turn, c.cards, c.quantities, c.formats, c.files, c.told, c.provenance]
    return [c.picture, c.caption, c.number, c.look, *told]


def _opened(c: _Controls, sessions: Sessions, key: str) -> dict[Any, Any]:
    """Everything of a study that was just opened, or of none."""
    dialogue = sessions.dialogue(key)
    opened, there = dialogue.opened, dialogue.study is not None
    choices = [] if opened is None else series_choices(opened)
    questions = () if opened is None else opened.questions
    planes = actions.planes_of(dialogue) if there else ()
    windows = actions.windows_of(dialogue.volume) if there else ()
    return {
        **_answered(c, sessions, key),
        c.opening: gr.update(
            open=not there, label="Open another study, or another series" if there else "Open a study"
        ),
        c.series: gr.update(choices=choices, value=dialogue.key or None, visible=len(choices) > 1),
        c.study: answer_text.study_html(dialogue),
        c.work: gr.update(visible=there),
        c.details: gr.update(visible=there),
        c.plane: gr.update(choices=list(planes), value=dialogue.seen.plane if there else None, visible=len(planes) > 1),
        c.window: gr.update(choices=list(windows), value=dialogue.seen.window if there else None),
        c.samples: gr.Dataset(samples=[[question] for question in questions], visible=bool(questions)),
    }


def _answered(c: _Controls, sessions: Sessions, key: str) -> dict[Any, Any]:
    """What changes with an answer, and with another answer shown."""
    dialogue = sessions.dialogue(key)
    looks, turns = actions.look_choices(dialogue), actions.turn_choices(dialogue)
    return {
        **_picture_of(c, dialogue, sessions.folder(key)),
        c.number: _number_of(dialogue),
        c.look: gr.update(choices=looks, value=dialogue.seen.looked_at if looks else ALL, visible=bool(looks)),
        c.dialogue: answer_text.dialogue_html(dialogue),
        c.turn: gr.update(choices=turns, value=dialogue.shown if turns else None, visible=len(turns) > 1),
        c.cards: answer_text.cards_html(dialogue),
        c.quantities: answer_text.quantities_html(dialogue),
        c.formats: gr.update(choices=format_choices(dialogue), value=ticked_formats(dialogue)),
        c.files: gr.update(value=None, visible=False),
        c.told: "",
        c.provenance: answer_text.provenance_html(dialogue),
    }


def _picture_of(c: _Controls, dialogue: Dialogue, folder: Path) -> dict[Any, Any]:
    if dialogue.study is None:
        return {c.picture: gr.update(value=None), c.caption: ""}
    shown = actions.write_picture(dialogue, folder)
    return {
        c.picture: gr.update(value=str(shown.path), alt_text=shown.words),
        c.caption: f'<p class="hint">{html.escape(shown.caption)}</p>',
    }


def _number_of(dialogue: Dialogue) -> Any:
    if dialogue.study is None:
        return gr.update(visible=False)
    slices = dialogue.plan.shape[0]
    return gr.update(maximum=max(slices, 2), value=dialogue.seen.number + 1, visible=slices > 1)


def _guarded(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The button guard: what goes wrong is logged, told in a notice that stays, and changes nothing."""

    @functools.wraps(handler)
    def guarded(*values: Any) -> Any:
        try:
            return handler(*values)
        except (MedSegError, VlmBridgeError) as error:
            _log.warning("%s", error, exc_info=True)
            message = str(error)
        except OSError as error:  # its own words name the file
            message = f"Expected a file that can be read and written, found: {error.strerror}. Nothing was changed."
            _log.warning("%s\n%s", message, "".join(format_tb(error.__traceback__)))
        except Exception:  # noqa: BLE001
            _log.exception("a control of the page failed")
            message = "Something went wrong that nobody foresaw. The log of the program says what; nothing was changed."
        gr.Warning(html.escape(message), duration=None, title="This did not work")
        return gr.skip()

    return guarded
