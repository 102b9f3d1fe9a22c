"""`run_demo`: the main job on the embedded scene: fit it, take it apart, ask it, write pictures and a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vision3d.laga.answer_section import add_answers
from vision3d.laga.query_run import Answer, Questions, query_run
from vision3d.laga.query_run_config import QueryRunConfig
from vision3d.laga.train_config import TrainSceneConfig
from vision3d.laga.train_scene import TrainReport, train_scene
from vision3d.reconstruction.fit_config import FitConfig
from vision3d.reconstruction.fit_scene import FitReport, FitSceneConfig, fit_scene
from vision3d.reconstruction.report_page import PAGE_NAME
from vlm_bridge.assets import asset_path

DEMO_STEPS = 2000
"""Few enough for under three minutes on two cores, compilation included."""
DEMO_PHRASES = ("red mug", "fruit", "book with a fish on the cover", "something to drink from", "laptop")
"""A thing, a category, what only one side of a thing tells, a use, and what is not there."""
_LEAD = (
    "The photos were cut into masks, the scene into objects, and each object was given vectors of language from all "
    "views. What a phrase selects is a set of Gaussians; here it is seen from views that took no part."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """What the demo did."""

    fit: FitReport
    objects: TrainReport
    answers: tuple[Answer, ...]


def run_demo(output: str | Path, *, steps: int = DEMO_STEPS, phrases: Sequence[str] = DEMO_PHRASES) -> DemoReport:
    """Fit and ask the embedded tabletop and write `output`/index.html with its pictures; an older demo is replaced."""
    output = Path(output)
    photos = asset_path("tabletop")
    fit_config = FitSceneConfig(max_side=256, fit=FitConfig(steps=steps))
    fit = fit_scene(photos, output, fit_config, overwrite=True)
    held_out = TrainSceneConfig(test_every=fit_config.test_every)
    objects = train_scene(output, photos, config=held_out, overwrite=True, progress=True)
    answers = query_run(
        output, Questions(phrases=phrases), output / "answers", data=photos, config=QueryRunConfig(view_count=4)
    )
    add_answers(output / PAGE_NAME, answers, _LEAD)
    return DemoReport(fit=fit, objects=objects, answers=answers)
