"""The `vision3d` command: fit | masks | train | query | evaluate | export | edit | view | render | convert | ..."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from vision3d.cli_export import EXPORT_JOBS, Edit, Export, View
from vision3d.errors import MissingDependencyError, Vision3DError
from vision3d.evaluation.evaluate_config import EvaluateConfig
from vision3d.laga.query_run_config import QueryRunConfig
from vision3d.masks.catalogue import PROPOSERS
from vision3d.reconstruction.fit_config import FitSceneConfig
from vision3d.reconstruction.render_config import RenderConfig
from vlm_bridge.command_line import exit_code_of
from vlm_bridge.errors import VlmBridgeError

Output = Annotated[Path, tyro.conf.arg(aliases=["-o", "--out"])]
_PROPOSER_LIST = "; ".join(f"{name}: {what}" for name, (what, _) in PROPOSERS.items())


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Fit Gaussians to posed photos (COLMAP, transforms.json or Blender scene)."""

    scene: tyro.conf.Positional[Path]
    """Scene folder or camera file."""
    output: Output
    """Folder for scene.ply, report and previews."""
    overwrite: bool = False
    """Replace a finished run, or one with other settings, in the output folder."""
    config: Annotated[FitSceneConfig, tyro.conf.arg(name="")] = field(default_factory=FitSceneConfig)
    """Settings."""


@dataclass(frozen=True, kw_only=True)
class Render:
    """Render a fitted scene or any splat file along an orbit or from its own views."""

    source: tyro.conf.Positional[Path]
    """Folder written by `vision3d fit`, or a splat file."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Folder for the pictures; by default `renders` beside the splats."""
    config: Annotated[RenderConfig, tyro.conf.arg(name="")] = field(default_factory=RenderConfig)
    """Settings."""


@dataclass(frozen=True, kw_only=True)
class Masks:
    """Split every photo of a scene into masks, kept photo by photo; an interrupted run goes on."""

    data: tyro.conf.Positional[Path]
    """Folder of the photos with their cameras."""
    output: Output
    """Folder for the masks."""
    proposer: Annotated[str, tyro.conf.arg(help=f"Maker of masks, or NAME=PATH of its weights. {_PROPOSER_LIST}")] = (
        "contours"
    )
    max_side: int | None = 512
    """Longest side of the photos in pixels; use the size of the fit."""


@dataclass(frozen=True, kw_only=True)
class Train:
    """Take a fitted scene apart into objects that can be asked for; writes NAME.laga.safetensors beside the splats."""

    run: tyro.conf.Positional[Path]
    """Folder written by `vision3d fit`, or a splat file."""
    data: Path
    """Folder of the photos with their cameras."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o", "--out"])] = None
    """File NAME.laga.safetensors, or a folder for it; by default beside the splats."""
    overwrite: bool = False
    """Replace an earlier training."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """Ask a trained scene: phrases, a click or a picture; writes answers.json and a picture per question."""

    scene: tyro.conf.Positional[Path]
    """NAME.laga.safetensors as `vision3d train` wrote it, or its folder."""
    phrases: tyro.conf.Positional[tuple[str, ...]] = ()
    """What to look for, each phrase in quotes."""
    output: Output
    """Folder for answers and pictures."""
    data: Path | None = None
    """Folder of the photos, to show the answers on; otherwise on renders."""
    click: Annotated[tuple[str, float, float] | None, tyro.conf.arg(metavar="VIEW X Y")] = None
    """Name of a view and a place in its picture, in pixels to the right and down, at the size of the fit."""
    image: Path | None = None
    """Picture of the thing to look for, cut close."""
    reason: str | None = None
    """A request that names nothing, e.g. "what could I drink from?": a vision-language backbone judges each object."""
    backbone: str = "embedded"
    """The backbone for --reason: embedded, a name on the hub or a local folder (see `vlm-bridge list`)."""
    config: Annotated[QueryRunConfig, tyro.conf.arg(name="")] = field(default_factory=QueryRunConfig)
    """Settings."""


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Score a trained scene against a benchmark with known answers; writes evaluation.json and evaluation.md."""

    scene: tyro.conf.Positional[Path]
    """NAME.laga.safetensors as `vision3d train` wrote it, or its folder."""
    benchmark: tyro.conf.Positional[Path]
    """Folder of one scene of the benchmark."""
    output: Output
    """Folder for the report."""
    config: Annotated[EvaluateConfig, tyro.conf.arg(name="")] = field(default_factory=EvaluateConfig)
    """Settings."""


@dataclass(frozen=True, kw_only=True)
class Convert:
    """Convert a splat file: any PLY, .splat, .spz, .ksplat or checkpoint to PLY or .splat."""

    source: tyro.conf.Positional[Path]
    """File to read."""
    target: tyro.conf.Positional[Path]
    """File to write; its suffix decides the format."""


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Say what was found on this machine, and what to do about what is missing."""


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Fit the embedded tabletop scene, take it apart and ask it; writes pictures and index.html."""

    output: Output = Path("out/demo")
    """Folder for the results."""
    steps: int = 2000
    """Training steps."""


Command = Fit | Masks | Train | Query | Evaluate | Export | Edit | View | Render | Convert | Doctor | Demo


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code: 0 done, 1 an error that the message explains, 130 interrupted.

    Arguments that cannot be read leave with code 2, as the parser does.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return exit_code_of(
        lambda: _run(_parse(arguments)),
        command="vision3d",
        errors=(Vision3DError, VlmBridgeError),
        extra="vision3d",
        when_memory_ends="Lower --max-side or the cap on Gaussians.",
        when_interrupted="interrupted; the same command goes on from the last checkpoint",
    )


def _parse(arguments: list[str] | None) -> Command:
    given = sys.argv[1:] if arguments is None else arguments
    train = _train_with_settings() if given[:1] == ["train"] else Train
    return tyro.cli(
        Fit
        | Masks
        | Annotated[train, tyro.conf.subcommand("train")]
        | Query
        | Evaluate  # type: ignore[arg-type]
        | Export
        | Edit
        | View
        | Render
        | Convert
        | Doctor
        | Demo,
        prog="vision3d",
        args=given,
        description="3D Gaussian scenes from photos, on a laptop or a GPU.",
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )


def _train_with_settings() -> Any:
    """`Train` with all its settings; their modules need packages that the other commands can do without."""
    from vision3d.laga.train_config import TrainSceneConfig

    kind = Annotated[TrainSceneConfig, tyro.conf.arg(name="")]
    settings = ("config", kind, field(default_factory=TrainSceneConfig))
    return make_dataclass(
        "Train", [settings], bases=(Train,), namespace={"__doc__": Train.__doc__}, frozen=True, kw_only=True
    )


def _run(command: Command) -> int:
    return _JOBS[next(kind for kind in type(command).__mro__ if kind in _JOBS)](command)


def _fit(command: Fit) -> int:
    from vision3d.reconstruction.fit_scene import fit_scene

    report = fit_scene(command.scene, command.output, command.config, overwrite=command.overwrite)
    _print_report(report, command.output)
    return 0


def _render(command: Render) -> int:
    from vision3d.reconstruction.render_run import render_run

    beside = command.source if command.source.is_dir() else command.source.parent
    output = command.output or beside / "renders"
    written = render_run(command.source, output, command.config)
    print(f"{len(written)} files in {output}")
    return 0


def _masks(command: Masks) -> int:
    from vision3d.cameras.catalogue import read_posed_photos
    from vision3d.cameras.load_photos import load_photos
    from vision3d.masks.catalogue import load_proposer
    from vision3d.masks.propose_masks import propose_masks

    proposer = load_proposer(command.proposer)
    photos = load_photos(read_posed_photos(command.data), max_side=command.max_side)
    names = photos.cameras.names
    masks = propose_masks(photos.images, names, proposer, folder=command.output, progress=True)
    counts = masks.labels.max(axis=(2, 3)).astype(int) + 1
    told = ", ".join(f"{name} {count:.0f}" for name, count in zip(masks.level_names, counts.mean(0), strict=True))
    print(f"masks of {len(names)} photos in {command.output}; on average per photo: {told}")
    return 0


def _train(command: Any) -> int:
    from vision3d.laga.train_scene import train_scene

    report = train_scene(
        command.run, command.data, command.output, config=command.config, overwrite=command.overwrite, progress=True
    )
    objects = ", ".join(f"{name} {count}" for name, count in report.objects_per_level.items())
    print(f"{report.laga.object_count} objects ({objects}) of {report.masks:,} masks in {report.train_views} views")
    print(f"{report.path} written in {sum(report.seconds.values()):.0f} s")
    return 0


def _query(command: Query) -> int:
    from vision3d.laga.query_run import Questions, query_run

    questions = Questions(
        phrases=command.phrases,
        clicks=() if command.click is None else (command.click,),
        images=() if command.image is None else (command.image,),
        requests=() if command.reason is None else (command.reason,),
    )
    judge = None if command.reason is None else _judge(command.backbone)
    answers = query_run(
        command.scene, questions, command.output, data=command.data, config=command.config, judge=judge
    )  # fmt: skip
    for answer in answers:
        _print_answer(answer.result)
    print(f"pictures and answers.json in {command.output}")
    return 0


def _judge(backbone: str) -> Any:
    try:
        from vision3d.laga.backbone_judge import BackboneJudge
        from vlm_bridge.backbone.load import load_backbone
    except ImportError as error:
        raise MissingDependencyError(
            f"--reason needs a vision-language backbone, found no {error.name}. Run: pip install 'vision3d-medseg[vlm]'"
        ) from error
    if backbone == "embedded":
        print("the embedded backbone is hardly better than chance at this yet: name a larger one by --backbone")
    return BackboneJudge(load_backbone(backbone))


def _print_answer(result: Any) -> None:
    unknown = f" (words the encoder never learned: {', '.join(result.unknown_words)})" * bool(result.unknown_words)
    chosen = f", {int(result.chosen.sum()):,} Gaussians" * (result.status != "not found")
    print(f"{result.question}: {result.status}, relevance {result.relevance:.2f}{chosen}{unknown}")


def _evaluate(command: Evaluate) -> int:
    from vision3d.evaluation.evaluate_run import evaluate_run

    found = evaluate_run(command.scene, command.benchmark, command.output, config=command.config, progress=True)
    print(found.summary)
    print(f"open {command.output / 'evaluation.md'}")
    return 0


def _convert(command: Convert) -> int:
    from vision3d.scene.catalogue import read_splats, write_splats

    scene = read_splats(command.source)
    write_splats(scene, command.target)
    print(f"{len(scene):,} Gaussians (harmonics of degree {scene.sh_degree}) written to {command.target}")
    return 0


def _doctor(command: Doctor) -> int:
    from vision3d.doctor import examine

    findings = examine()
    for finding in findings:
        print(finding.lines())
    return 0 if all(finding.good for finding in findings) else 1


def _demo(command: Demo) -> int:
    from vision3d.demo import run_demo

    print("Fitting the embedded tabletop. The first run also compiles the CPU kernels, about half a minute.")
    report = run_demo(command.output, steps=command.steps)
    for answer in report.answers:
        _print_answer(answer.result)
    print(f"{report.objects.laga.object_count} objects in {sum(report.objects.seconds.values()):.0f} s")
    _print_report(report.fit, command.output)
    return 0


def _print_report(report, output: Path) -> None:
    if report.scores:
        print(f"held-out PSNR {report.mean_psnr:.2f} dB, SSIM {report.mean_ssim:.3f} over {len(report.scores)} views")
    print(f"{report.gaussians:,} Gaussians in {report.seconds:.0f} s, peak memory {report.peak_memory_gb:.1f} GB")
    print(f"open {output / 'index.html'}")


_JOBS: dict[type, Callable[[Any], int]] = {
    Fit: _fit,
    Masks: _masks,
    Train: _train,
    Query: _query,
    Evaluate: _evaluate,
    Render: _render,
    Convert: _convert,
    Doctor: _doctor,
    Demo: _demo,
    **EXPORT_JOBS,
}

if __name__ == "__main__":
    sys.exit(main())
