"""The `vision3d` command: fit | render | convert | doctor | demo."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from vision3d.errors import Vision3DError
from vision3d.reconstruction.fit_config import FitSceneConfig
from vision3d.reconstruction.render_config import RenderConfig
from vlm_bridge.errors import VlmBridgeError

Output = Annotated[Path, tyro.conf.arg(aliases=["-o"])]


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
    """Fit and orbit the embedded tabletop scene; writes pictures and index.html."""

    output: Output = Path("out/demo")
    """Folder for the results."""
    steps: int = 2000
    """Training steps."""


Command = Fit | Render | Convert | Doctor | Demo


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code: 0 done, 1 an error that the message explains, 130 interrupted.

    Arguments that cannot be read leave with code 2, as the parser does.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        return _run(_parse(arguments))
    except (Vision3DError, VlmBridgeError) as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"expected files that can be read and written, found: {error}. Check the path and the disk.")
    except ModuleNotFoundError as error:
        return _failed(
            f"expected the package {error.name}, found none. Run: pip install 'vision3d-medseg[vision3d]', "
            "or `vision3d doctor` for everything that is missing."
        )
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":
            raise
        return _failed(f"the device ran out of memory: {error}. Lower --max-side or the cap on Gaussians.")
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130


def _parse(arguments: list[str] | None) -> Command:
    return tyro.cli(
        Command,  # type: ignore[arg-type]
        prog="vision3d",
        args=arguments,
        description="3D Gaussian scenes from photos, on a laptop or a GPU.",
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )


def _failed(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 1


def _run(command: Command) -> int:
    if isinstance(command, Fit):
        return _fit(command)
    if isinstance(command, Render):
        return _render(command)
    if isinstance(command, Convert):
        return _convert(command)
    if isinstance(command, Doctor):
        return _doctor()
    return _demo(command)


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


def _convert(command: Convert) -> int:
    from vision3d.scene.catalogue import read_splats, write_splats

    scene = read_splats(command.source)
    write_splats(scene, command.target)
    print(f"{len(scene):,} Gaussians (harmonics of degree {scene.sh_degree}) written to {command.target}")
    return 0


def _doctor() -> int:
    from vision3d.doctor import examine

    findings = examine()
    for finding in findings:
        mark = "ok " if finding.good else "-> "
        advice = f"\n      {finding.advice}" if finding.advice else ""
        print(f"{mark} {finding.subject:<18} {finding.found}{advice}")
    return 0 if all(finding.good for finding in findings) else 1


def _demo(command: Demo) -> int:
    from vision3d.demo import run_demo

    print("Fitting the embedded tabletop. The first run also compiles the CPU kernels, about half a minute.")
    report = run_demo(command.output, steps=command.steps)
    _print_report(report, command.output)
    return 0


def _print_report(report, output: Path) -> None:
    if report.scores:
        print(f"held-out PSNR {report.mean_psnr:.2f} dB, SSIM {report.mean_ssim:.3f} over {len(report.scores)} views")
    print(f"{report.gaussians:,} Gaussians in {report.seconds:.0f} s, peak memory {report.peak_memory_gb:.1f} GB")
    print(f"open {output / 'index.html'}")


if __name__ == "__main__":
    sys.exit(main())
