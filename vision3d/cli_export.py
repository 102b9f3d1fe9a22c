"""The commands of the `export` room: export | edit | view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from vision3d.export.ask_config import AskConfig, Targets
from vision3d.export.edit_config import EditConfig
from vision3d.export.export_config import ExportConfig

Output = Annotated[Path, tyro.conf.arg(aliases=["-o", "--out"])]
Scene = tyro.conf.Positional[Path]
Phrases = tyro.conf.Positional[tuple[str, ...]]
Click = Annotated[tuple[str, float, float] | None, tyro.conf.arg(metavar="VIEW X Y")]
Objects = Annotated[tuple[int, ...], tyro.conf.arg(name="object")]


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write things of a trained scene as splats, mesh, boxes, masks of a camera path, or the table of all objects."""

    scene: Scene
    """NAME.laga.safetensors as `vision3d train` wrote it, or its folder."""
    phrases: Phrases = ()
    """What to export, each phrase in quotes."""
    output: Output
    """Folder for the files."""
    click: Click = None
    """Name of a view and a place in its picture, in pixels to the right and down, at the size of the fit."""
    objects: Objects = ()
    """Numbers of objects, as the table lists them."""
    overwrite: bool = False
    """Replace files of an earlier export."""
    config: Annotated[ExportConfig, tyro.conf.arg(name="")] = field(default_factory=ExportConfig)
    """Settings."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """Remove, isolate, recolour, move or duplicate things of a trained scene; writes new splats."""

    scene: Scene
    """NAME.laga.safetensors as `vision3d train` or an earlier edit wrote it, or its folder."""
    phrases: Phrases = ()
    """What to edit, each phrase in quotes; all of it together."""
    output: Output
    """New file, NAME.ply or NAME.splat."""
    click: Click = None
    """Name of a view and a place in its picture, in pixels to the right and down, at the size of the fit."""
    objects: Objects = ()
    """Numbers of objects, as the table lists them."""
    overwrite: bool = False
    """Replace a file of that name; never the scene that is read."""
    config: Annotated[EditConfig, tyro.conf.arg(name="")]
    """The edit."""


@dataclass(frozen=True, kw_only=True)
class View:
    """Show a trained scene in the browser, with a text box, layers, clicks and edits."""

    scene: Scene
    """NAME.laga.safetensors as `vision3d train` wrote it, or its folder."""
    cameras: Path | None = None
    """Scene folder, fitted folder or camera file, for where up is; None takes the cameras beside the splats."""
    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 lets other machines in."""
    port: int = 8080
    """Port to listen at."""
    config: Annotated[AskConfig, tyro.conf.arg(name="")] = field(default_factory=AskConfig)
    """Settings."""


def _export(command: Export) -> int:
    from vision3d.export.export_run import export_run

    targets = Targets(phrases=command.phrases, click=command.click, objects=command.objects)
    report = export_run(
        command.scene, targets, command.output, config=command.config, overwrite=command.overwrite, progress=True
    )
    _print_picked(report.picked)
    print(f"{', '.join(path.name for path in report.files)} in {command.output}")
    return 0


def _edit(command: Edit) -> int:
    from vision3d.export.edit_run import edit_run

    targets = Targets(phrases=command.phrases, click=command.click, objects=command.objects)
    report = edit_run(command.scene, targets, command.output, config=command.config, overwrite=command.overwrite)
    _print_picked(report.picked)
    written = " and ".join(str(path) for path in report.files)
    print(f"{report.gaussians_before:,} Gaussians before, {report.gaussians_after:,} after, in {written}")
    return 0


def _view(command: View) -> int:
    from vision3d.export.view_run import view_run

    view_run(command.scene, cameras=command.cameras, host=command.host, port=command.port, config=command.config)
    return 0


def _print_picked(picked: Any) -> None:
    for one in picked:
        print(f"{one.name}: {one.status}, relevance {one.relevance:.2f}, {int(one.chosen.sum()):,} Gaussians")


EXPORT_JOBS: dict[type, Callable[[Any], int]] = {Export: _export, Edit: _edit, View: _view}
"""Command -> its job."""
