"""`evaluate_run`: a saved scene and a benchmark folder in, scores and a report down to every phrase out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.errors import InvalidInputError
from vision3d.evaluation.evaluate_config import EvaluateConfig
from vision3d.evaluation.evaluate_phrases import evaluate_phrases
from vision3d.evaluation.instance_scene import InstanceScene, read_instance_scene
from vision3d.evaluation.lerf_ovs import read_lerf_ovs
from vision3d.evaluation.phrase_truth import PhraseTruth, find_views
from vision3d.evaluation.report import EvaluationReport, report_content, report_text
from vision3d.evaluation.scores import mean_iou
from vision3d.evaluation.three_d_ovs import read_three_d_ovs
from vision3d.laga.laga_scene import LagaScene, load_laga_scene, splats_path
from vision3d.laga.query_run import find_laga_file
from vision3d.laga.query_scene import SceneQueries
from vision3d.laga.scene_files import SceneFiles, find_scene_files, named_views, read_views
from vision3d.language.catalogue import load_encoder
from vision3d.language.image_text_encoder import ImageTextEncoder
from vision3d.reconstruction.fit_scene import choose_device
from vlm_bridge.atomic_write import write_text_whole

_PROTOCOL = "3D: the chosen Gaussians rendered at the size of the annotation, localisation by the same coverage"
_PUBLISHED = {"lerf-ovs": ("LERF-OVS", read_lerf_ovs), "3d-ovs": ("3D-OVS", read_three_d_ovs)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """Whether phrases were answered where they should be, and refused where not."""

    kinds: Mapping[str, float]
    """Mean IoU per kind of phrase."""
    answered: float
    """Share of the phrases of things that are there which were found or uncertain."""
    refused: float | None
    """Share of the phrases of things that are not there which were not found; None without such phrases."""
    wrongly_refused: tuple[str, ...]
    """Phrases of things that are there, not found."""
    wrongly_answered: tuple[str, ...]
    """Phrases of things that are not there, found or uncertain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What was measured."""

    content: Mapping[str, Any]
    """What evaluation.json holds."""
    text: str
    """What evaluation.md holds."""
    summary: str
    """The scores in one line."""


def evaluate_run(
    laga_file: str | Path,
    benchmark: str | Path,
    out: str | Path,
    *,
    config: EvaluateConfig = EvaluateConfig(),
    encoder: ImageTextEncoder | None = None,
    progress: bool = False,
) -> Evaluation:
    """Ask every phrase of a benchmark and write evaluation.json and evaluation.md into `out`.

    Args:
        laga_file: NAME.laga.safetensors as `train_scene` wrote it, its splats beside it; or their folder.
        benchmark: folder of one scene in the format of the settings.
        out: folder for the report.
        config: format and thresholds, the same for all phrases.
        encoder: None loads the one the scene was trained with.
        progress: show a progress bar.

    Raises:
        ModelFileError: scene or encoder are missing or damaged.
        InvalidInputError: the benchmark is of another layout or size, or there are no cameras.
        UnknownViewError: an annotated view has no camera.
    """
    path = find_laga_file(Path(laga_file))
    device = choose_device(config.device)
    laga = load_laga_scene(path)
    files = find_scene_files(splats_path(path))
    encoder = encoder or load_encoder(config.encoder or laga.encoder_name, device=device)
    laga = replace(laga, scene=laga.scene.to(device))
    queries = SceneQueries(laga, encoder, config=config.query)
    if config.format == "scannet":
        from vision3d.evaluation.evaluate_vertices import evaluate_vertices

        content, text, summary = evaluate_vertices(queries, Path(benchmark), config)
        found = Evaluation(content=content, text=text, summary=summary)
    else:
        found = _evaluate_views(queries, files, Path(benchmark), config, progress=progress)
    content = dict(found.content) | {
        "scene_file": path.name,
        "encoder_id": laga.encoder_id,
        "fusion": config.query.fusion,
        "level": config.query.level,
        "masks": laga.facts.get("masks"),
    }
    folder = Path(out)
    write_text_whole(folder / "evaluation.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    write_text_whole(folder / "evaluation.md", found.text)
    return replace(found, content=content)


def thresholds_of(queries: SceneQueries) -> dict[str, float]:
    """Every number between a phrase and a selection, as it was used."""
    query = queries.config
    return {
        "cosine gate": queries.cosine_gate,
        "found": queries.found_relevances[0],
        "uncertain": queries.found_relevances[1],
        "selection": query.selection_threshold,
        "quantile": query.quantile,
        "render": query.render_threshold,
    }


def _evaluate_views(
    queries: SceneQueries, files: SceneFiles, benchmark: Path, config: EvaluateConfig, *, progress: bool
) -> Evaluation:
    cameras = _cameras(files, config)
    truth: InstanceScene | None = None
    if config.format == "instances":
        name = benchmark.resolve().name
        truth = read_instance_scene(benchmark, _views(queries.laga, files, cameras, config))
        truths: Sequence[PhraseTruth] = truth.truths
    else:
        title, read = _PUBLISHED[config.format]
        name, truths = benchmark.resolve().name, read(benchmark)
    truths = find_views(truths, cameras.names)
    if not truths:
        raise InvalidInputError(
            f"{benchmark}: expected phrases of things that the views show, found none. Choose other views."
        )
    answered: dict[str, bool] = {}

    def answer(phrase: str, names: Sequence[str]) -> tuple[Tensor, Tensor]:
        result = queries.text(phrase)
        answered[phrase] = result.status != "not found"
        size = next(one.mask.shape for one in truths if one.phrase == phrase and one.view_name == names[0])
        placed = [_sized(cameras.select([view]), int(size[0]), int(size[1])).to(queries.device) for view in names]
        coverage = torch.cat([queries.coverage(result, one) for one in placed])
        return coverage >= config.query.render_threshold, coverage

    scores = evaluate_phrases(truths, answer, progress=progress)
    report = EvaluationReport(
        benchmark="Instances" if truth is not None else title,
        protocol=_PROTOCOL,
        thresholds=thresholds_of(queries),
        scenes={name: scores},
    )
    content, text = report_content(report), report_text(report)
    content["views"] = list(dict.fromkeys(one.view_name for one in truths))
    content["views_in_training"] = _seen_in_training(queries.laga, content["views"])
    summary = f"mIoU {100 * mean_iou(scores):.1f} % over {len(scores)} pairs of phrase and view"
    if truth is not None:
        presence = _presence(queries, truth, scores, answered)
        content["presence"] = {field: getattr(presence, field) for field in Presence.__slots__}
        text += _presence_text(presence)
        refused = "" if presence.refused is None else f", {presence.refused:.0%} of absent ones refused"
        summary += f"; {presence.answered:.0%} of present phrases answered{refused}"
    return Evaluation(content=content, text=text, summary=summary)


def _cameras(files: SceneFiles, config: EvaluateConfig) -> CameraBatch:
    if config.data is not None:
        return read_views(config.data, files).cameras
    if files.stored is None:
        raise InvalidInputError(
            f"{files.splats}: expected the cameras of a fit beside the splats, found none. Pass --data PHOTOS."
        )
    return files.stored.cameras


def _views(laga: LagaScene, files: SceneFiles, cameras: CameraBatch, config: EvaluateConfig) -> tuple[str, ...]:
    if config.views:
        return named_views(cameras, config.views)
    held_out = laga.facts.get("held_out") or (files.stored.test if files.stored is not None else ())
    return tuple(name for name in held_out if name in cameras.names) or cameras.names


def _seen_in_training(laga: LagaScene, views: Sequence[str]) -> bool | None:
    """Whether any of the views was trained on; None where the scene does not say."""
    if "held_out" not in laga.facts:
        return None
    return not set(views) <= set(laga.facts["held_out"])


def _sized(cameras: CameraBatch, height: int, width: int) -> CameraBatch:
    """The camera at the size of an annotation.

    Raises:
        InvalidInputError: the annotation has another shape.
    """
    own_width, own_height = cameras.uniform_size
    if abs(own_width * height / own_height - width) > 1 + 0.01 * width:
        raise InvalidInputError(
            f"Expected an annotation of {cameras.names[0]} in the shape of its photo, {own_width} x {own_height}, "
            f"found {width} x {height}. Use the annotation of these photos."
        )
    return cameras.resized(width, height)


def _presence(
    queries: SceneQueries, truth: InstanceScene, scores: Sequence[Any], answered: Mapping[str, bool]
) -> Presence:
    refused = {phrase: queries.text(phrase).status == "not found" for phrase in truth.absent}
    kinds = sorted({truth.kinds[score.phrase] for score in scores})
    return Presence(
        kinds={kind: mean_iou([score for score in scores if truth.kinds[score.phrase] == kind]) for kind in kinds},
        answered=sum(answered.values()) / len(answered),
        refused=sum(refused.values()) / len(refused) if refused else None,
        wrongly_refused=tuple(phrase for phrase, found in answered.items() if not found),
        wrongly_answered=tuple(phrase for phrase, right in refused.items() if not right),
    )


def _presence_text(presence: Presence) -> str:
    refused = "-" if presence.refused is None else f"{100 * presence.refused:.1f}"
    lines = ["", "## Presence", "", "| measure | % |", "| --- | --- |"]
    lines += [f"| mIoU of {kind} phrases | {100 * value:.1f} |" for kind, value in presence.kinds.items()]
    lines += [f"| present phrases answered | {100 * presence.answered:.1f} |"]
    lines += [f"| absent phrases refused | {refused} |", ""]
    lines += [f"Refused though present: {', '.join(presence.wrongly_refused) or 'none'}.", ""]
    lines += [f"Answered though absent: {', '.join(presence.wrongly_answered) or 'none'}."]
    return "\n".join(lines) + "\n"
