"""`run_demo`: the embedded model asked about an embedded radiograph of nobody; masks, tables and one page of answers.

Research use only; not a medical device.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medseg.inference.catalogue import load_segmenter
from medseg.inference.segment import segment_dialogue
from medseg.io.read_study import read_study
from medseg.report.catalogue import write_outputs
from medseg.report.report_page import dialogue_html
from medseg.study.result import SegmentationResult
from vlm_bridge.assets import asset_path
from vlm_bridge.atomic_write import write_text_whole

DEMO_QUESTIONS = (
    "Mark the lungs.",
    "Which organ pumps the blood? Mark it.",
    "Show me the upper half of what you just marked.",
    "Is there a polyp? Then mark it.",
)
"""Named, meant but not named, about the answer before, and not there."""
DEMO_SEGMENTER = "medsegr-tiny"
DEMO_STUDY = "chest_radiograph"
PAGE_NAME = "index.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """What the demo wrote."""

    page: Path
    results: tuple[SegmentationResult, ...]


def run_demo(output: str | Path, *, segmenter: str = DEMO_SEGMENTER) -> DemoReport:
    """Ask the embedded radiograph four questions and write `output`/index.html, with a folder of files per answer."""
    output = Path(output)
    study = read_study(asset_path(DEMO_STUDY) / "phantom.png")
    results = segment_dialogue(load_segmenter(segmenter), study, DEMO_QUESTIONS)
    for number, result in enumerate(results, 1):
        write_outputs(result, output / f"question_{number}", ("png", "json", "csv", "overlay"))
    write_text_whole(output / PAGE_NAME, dialogue_html(results))
    return DemoReport(page=output / PAGE_NAME, results=results)
