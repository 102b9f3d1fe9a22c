"""The page: layout alone. Controls are passed on to `actions.py`; the only door to gradio of the explorer.

Nothing is fetched from elsewhere: fonts are the system's, and gradio's own files come from the same address.
"""

from __future__ import annotations

import functools
import html
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.themes import Default

from apps.scene_explorer import actions
from apps.scene_explorer.answer_text import answer_card
from apps.scene_explorer.browser_splats import VIEWER_HEIGHT
from apps.scene_explorer.exploration import Exploration, begin
from apps.scene_explorer.explored_scene import ExploredScene
from apps.scene_explorer.export_selection import EXPORT_FORMATS, export_selection
from apps.scene_explorer.orbit import STEEPEST_DEGREES, Stand
from vision3d.errors import Vision3DError
from vlm_bridge.errors import VlmBridgeError

_log = logging.getLogger(__name__)
TITLE = "Scene explorer"
_LEAD = "Ask a 3D scene in plain words. What is meant lights up; what is not there is refused."
_HINT = (
    '<p class="hint">Drag turns, the wheel zooms, the right button shifts. The splats fade in; without a graphics card '
    "that takes a while. Their shine is left out here.</p>"
)
_STYLE = Path(__file__).with_name("page.css")
# The 3D viewer flies by the letters W, A, S, D, Q, E, R and F, wherever they are typed: not out of a text box.
_HEAD = """<script>document.addEventListener("keydown", (event) => {
  if (event.target.closest && event.target.closest("input, textarea")) event.stopPropagation();
});</script>"""
_PICTURE, _SPACE = "picture", "space"
Opener = Callable[[str], ExploredScene]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Controls:
    """Every component that an event reads or writes."""

    state: gr.State
    tab: gr.State
    name: gr.HTML
    phrase: gr.Textbox
    ask: gr.Button
    clear: gr.Button
    examples: gr.Dataset
    card: gr.HTML
    formats: gr.CheckboxGroup
    export: gr.Button
    files: gr.File
    tabs: tuple[gr.Tab, gr.Tab]
    picture: gr.Image
    stand: tuple[gr.Slider, gr.Slider, gr.Slider]
    space: gr.Model3D
    alone: gr.Checkbox
    level: gr.Radio
    table: gr.Dataframe
    source: gr.Textbox
    open: gr.Button


def build_page(first: ExploredScene, *, folder: Path, open_scene: Opener) -> gr.Blocks:
    """The page on a scene; `open_scene` opens others by name, and files are written below `folder`."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=(3600, 86400)) as page:
        shared = {"state": gr.State(None), "tab": gr.State(_PICTURE), "name": gr.HTML(_heading(first), padding=False)}
        with gr.Row(elem_id="explorer"):
            with gr.Column(scale=4, min_width=300, elem_id="asking"):
                asking = _asking()
            with gr.Column(scale=7, min_width=320, elem_id="looking"):
                looking = _looking()
            with gr.Column(scale=5, min_width=300, elem_id="listing"):
                listing = _listing()
        controls = _Controls(**shared, **asking, **looking, **listing)
        _connect(controls, folder, open_scene)
        page.load(_guarded(lambda: _opened(controls, first, None)), None, _all_outputs(controls))
    return page


def launch_page(page: gr.Blocks, *, host: str, port: int | None) -> str:
    """Serve the page in threads of its own; returns its address once it answers.

    Raises:
        OSError: the port is taken.
    """
    font = ("system-ui", "-apple-system", "Segoe UI", "Noto Sans", "sans-serif")
    theme = Default(primary_hue="amber", neutral_hue="stone", font=font, font_mono=("ui-monospace", "monospace"))
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
        head=_HEAD,
    )
    return address


def _heading(explored: ExploredScene) -> str:
    count = f"{len(explored.scene):,} Gaussians"
    objects = f", {len(explored.objects):,} objects on {len(explored.level_names)} levels" * bool(explored.objects)
    name = f"<code>{html.escape(explored.path.parent.name)}/{html.escape(explored.path.name)}</code>"
    return f'<header id="heading"><h1>{TITLE}</h1><p>{_LEAD}</p><p class="scene">{name} {count}{objects}</p></header>'


def _asking() -> dict[str, Any]:
    phrase = gr.Textbox(
        label="What are you looking for?", placeholder="a thing, e.g. red mug", max_lines=1, elem_id="phrase"
    )
    with gr.Row(elem_id="ask-row"):
        ask = gr.Button("Find it", variant="primary", elem_id="ask", scale=3, min_width=120)
        clear = gr.Button("Clear", elem_id="clear", scale=1, min_width=70)
    examples = gr.Dataset(
        components=[phrase], samples=[], label="Try one of these", type="values", elem_id="examples", layout="gallery"
    )
    card = gr.HTML("", elem_id="card", padding=False)
    with gr.Group(elem_id="taking"):
        formats = gr.CheckboxGroup(
            [(what, name) for name, (what, _) in EXPORT_FORMATS.items()], value=["ply", "boxes"],
            label="Take the selection along", elem_id="formats",
        )  # fmt: skip
        export = gr.Button("Export the selection", interactive=False, elem_id="export")
        files = gr.File(
            label="Files to download", file_count="multiple", interactive=False, visible=False, elem_id="files"
        )
    return {
        "phrase": phrase, "ask": ask, "clear": clear, "examples": examples, "card": card,
        "formats": formats, "export": export, "files": files,
    }  # fmt: skip


def _looking() -> dict[str, Any]:
    with gr.Tabs(elem_id="views"):
        with gr.Tab("Picture · click a thing", id=_PICTURE) as first:
            picture = gr.Image(
                show_label=False, interactive=False, format="png", buttons=["fullscreen"], elem_id="picture",
                alt_text="The scene, rendered; click a thing to select it.",
            )  # fmt: skip
            with gr.Row(elem_id="stand"):
                turn = gr.Slider(-180, 180, 0, step=5, label="Turn °", min_width=150, buttons=[])
                rise = gr.Slider(
                    -STEEPEST_DEGREES, STEEPEST_DEGREES, 0, step=1, label="Height °", min_width=150, buttons=[]
                )
                away = gr.Slider(0.3, 2.5, 1, step=0.05, label="Distance", min_width=150, buttons=[])
        with gr.Tab("3D · drag to orbit", id=_SPACE) as second:
            space = gr.Model3D(show_label=False, interactive=False, height=VIEWER_HEIGHT, elem_id="space")
            alone = gr.Checkbox(False, label="Show the selection alone", elem_id="alone", container=False)
            gr.HTML(_HINT, padding=False)
    return {
        "tabs": (first, second), "picture": picture, "stand": (turn, rise, away), "space": space, "alone": alone,
    }  # fmt: skip


def _listing() -> dict[str, Any]:
    level = gr.Radio([], label="Size of things: level of a click and of the table", elem_id="level")
    table = gr.Dataframe(
        headers=list(actions.TABLE_HEADERS), datatype=["number", "str", "str", "number"], type="array",
        interactive=False, max_height=520, label="Objects of this level; a row selects one", elem_id="table",
        column_widths=["12%", "38%", "27%", "23%"], wrap=True, buttons=[],
    )  # fmt: skip
    with gr.Accordion("Open another scene", open=False, elem_id="opening"):
        source = gr.Textbox(
            label="File or folder on this machine", elem_id="source", max_lines=1,
            placeholder="NAME.laga.safetensors, a fitted folder, a .ply",
        )  # fmt: skip
        opening = gr.Button("Open", elem_id="open")
    return {"level": level, "table": table, "source": source, "open": opening}


def _connect(c: _Controls, folder: Path, open_scene: Opener) -> None:
    _connect_questions(c, folder)
    _connect_views(c, folder)

    def exported(exploration: Exploration, formats: list[str]) -> Any:
        paths = export_selection(exploration, formats, folder)
        return gr.update(value=[str(path) for path in paths], visible=True)

    def opened(tab: str, name: str) -> dict[Any, Any]:
        return _opened(c, open_scene(name), _viewer_folder(folder, tab))

    c.export.click(_guarded(exported), [c.state, c.formats], c.files)
    gr.on([c.source.submit, c.open.click], _guarded(opened), [c.tab, c.source], _all_outputs(c))


def _connect_questions(c: _Controls, folder: Path) -> None:
    shared, outputs = [c.state, c.tab, c.alone], _answer_outputs(c)

    def doing(action: Callable[..., Exploration]) -> Callable[..., Any]:
        def act(exploration: Exploration, tab: str, alone: bool, *values: Any) -> dict[Any, Any]:
            return _answered(c, action(exploration, *values), _viewer_folder(folder, tab), alone)

        return _guarded(act)

    def clicked(exploration: Exploration, event: gr.SelectData) -> dict[Any, Any]:
        x, y = event.index
        return _answered(c, actions.click(exploration, float(x), float(y)), None, False)

    def row_chosen(exploration: Exploration, tab: str, alone: bool, event: gr.SelectData) -> dict[Any, Any]:
        chosen = actions.choose(exploration, int(event.row_value[0]))
        return _answered(c, chosen, _viewer_folder(folder, tab), alone)

    gr.on([c.phrase.submit, c.ask.click], doing(actions.ask), [*shared, c.phrase], outputs)
    c.clear.click(doing(actions.forget), shared, outputs).then(lambda: "", None, c.phrase)
    c.examples.click(lambda sample: sample[0], c.examples, c.phrase).then(
        doing(actions.ask), [*shared, c.phrase], outputs
    )
    c.picture.select(_guarded(clicked), c.state, outputs)
    c.table.select(_guarded(row_chosen), shared, outputs)


def _connect_views(c: _Controls, folder: Path) -> None:
    def walked(exploration: Exploration, turn: float, rise: float, away: float) -> dict[Any, Any]:
        stand = Stand(turn_degrees=turn, height_degrees=rise, distance_share=away)
        there = actions.walk(exploration, stand)
        return {c.state: there, c.picture: actions.picture(there)}

    def level_chosen(exploration: Exploration, level: str) -> dict[Any, Any]:
        there = actions.with_level(exploration, level)
        return {c.state: there, c.table: actions.table_rows(there)}

    def shown_in_space(exploration: Exploration, alone: bool) -> str:
        return str(actions.write_for_browser(exploration, folder, alone=alone))

    for slider in c.stand:
        slider.input(
            _guarded(walked), [c.state, *c.stand], [c.state, c.picture], show_progress="hidden",
            trigger_mode="always_last",
        )  # fmt: skip
    c.level.input(_guarded(level_chosen), [c.state, c.level], [c.state, c.table], show_progress="hidden")
    first, second = c.tabs
    # an unseen viewer would go on drawing
    first.select(lambda: (_PICTURE, None), None, [c.tab, c.space], show_progress="hidden")
    second.select(lambda: _SPACE, None, c.tab, show_progress="hidden").then(
        _guarded(shown_in_space), [c.state, c.alone], c.space
    )
    c.alone.input(_guarded(shown_in_space), [c.state, c.alone], c.space)


def _viewer_folder(folder: Path, tab: str) -> Path | None:
    """Where to write the viewer's splats; None while it is not seen."""
    return folder if tab == _SPACE else None


def _answer_outputs(c: _Controls) -> list[Any]:
    return [c.state, c.card, c.picture, c.space, c.export, c.files]


def _all_outputs(c: _Controls) -> list[Any]:
    return [*_answer_outputs(c), c.name, c.examples, c.level, c.table, *c.stand, c.phrase, c.alone]


def _answered(c: _Controls, exploration: Exploration, folder: Path | None, alone: bool) -> dict[Any, Any]:
    """What changes with an answer; the viewer's splats too where there is a folder for them."""
    shown: dict[Any, Any] = {
        c.state: exploration,
        c.card: answer_card(exploration),
        c.picture: actions.picture(exploration),
        c.export: gr.update(interactive=exploration.chosen is not None),
        c.files: gr.update(value=None, visible=False),
    }
    if folder is not None:
        shown[c.space] = str(actions.write_for_browser(exploration, folder, alone=alone))
    return shown


def _opened(c: _Controls, explored: ExploredScene, folder: Path | None) -> dict[Any, Any]:
    """Everything of a scene that was just opened; the viewer's splats too where there is a folder for them."""
    exploration = begin(explored)
    stand, levels = exploration.stand, explored.level_names
    places = (stand.turn_degrees, stand.height_degrees, stand.distance_share)
    return {
        **_answered(c, exploration, folder, False),
        c.name: _heading(explored),
        c.examples: gr.Dataset(samples=[[phrase] for phrase in explored.examples], visible=bool(explored.examples)),
        c.level: gr.update(
            choices=actions.level_choices(levels), value=exploration.level or None, visible=len(levels) > 1
        ),
        c.table: actions.table_rows(exploration),
        **dict(zip(c.stand, places, strict=True)),
        c.phrase: "",
        c.alone: False,
    }


def _guarded(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The button guard: what goes wrong is logged, told in a notice that stays, and changes nothing."""

    @functools.wraps(handler)
    def guarded(*values: Any) -> Any:
        try:
            return handler(*values)
        except (Vision3DError, VlmBridgeError, OSError) as error:
            _log.warning("%s", error)
            message = str(error)
        except Exception:  # noqa: BLE001
            _log.exception("a control of the page failed")
            message = "Something went wrong that nobody foresaw. The log of the program says what; nothing was changed."
        gr.Warning(html.escape(message), duration=None, title="This did not work")
        return gr.skip()

    return guarded
