"""The `vlm-bridge` command: generate | convert | finetune | merge | spectra | muon-probe | list | doctor."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from vlm_bridge.cli_tuning import Merge, Model, MuonProbe, Output, Spectra, merge, muon_probe, spectra
from vlm_bridge.command_line import exit_code_of, failed
from vlm_bridge.decoding.config import DecodingConfig
from vlm_bridge.errors import VlmBridgeError


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Answer a question about pictures; the answer goes to the standard output."""

    words: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[PICTURE ...] QUESTION")]
    """Pictures in the order in which they are shown, none for a question of words alone; the question last, in
    quotes."""
    model: Model = "embedded"
    adapter: Path | None = None
    """Folder of an adapter that was learned on the model."""
    grounding: bool = False
    """Add the tokens of grounded answers that the model lacks, as fine-tuning does where records use them."""
    stream: bool = False
    """Show the answer, thoughts included, while it is written."""
    device: str = "auto"
    """cpu, cuda or cuda:N; auto takes CUDA where there is one."""
    device_map: str | None = None
    """Spread a large model over several GPUs: auto, balanced, ..."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Of the weights; auto takes what they are stored in."""
    quantise: Literal["8bit", "4bit"] | None = None
    """Hold the decoder in fewer bits (bitsandbytes, CUDA)."""
    config: Annotated[DecodingConfig, tyro.conf.arg(name="")] = field(default_factory=DecodingConfig)
    """Settings."""


@dataclass(frozen=True, kw_only=True)
class Convert:
    """Convert InternVL's own checkpoints (InternVL, Skywork-R1V3) to a folder that loads without code of their own."""

    source: tyro.conf.Positional[Path]
    """Folder of the downloaded checkpoint."""
    target: tyro.conf.Positional[Path]
    """Folder to write; it must be new."""
    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    """Of the weights; by default they keep theirs."""


@dataclass(frozen=True, kw_only=True)
class Finetune:
    """Fine-tune a backbone on conversations; each stage's model is saved below the run folder. Options of a second
    stage (--stages.1.policy ...) add it."""

    records: tyro.conf.Positional[tuple[Path, ...]]
    """Files of conversations (JSON Lines)."""
    output: Output
    """Run folder."""
    model: Model = "embedded"
    validation: tuple[Path, ...] = ()
    """Files of conversations to validate on."""
    resume: bool = False
    """Go on with the run in the folder."""
    device: str = "auto"
    """cpu, cuda or cuda:N; auto takes CUDA where there is one."""


@dataclass(frozen=True, kw_only=True)
class List:
    """Name the backbones, adapters and optimisers that are known."""


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Say what was found on this machine, and what to do about what is missing."""


Command = Generate | Convert | Finetune | Merge | Spectra | MuonProbe | List | Doctor


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code: 0 done, 1 an error that the message explains, 130 interrupted.

    Arguments that cannot be read leave with code 2, as the parser does.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return exit_code_of(
        lambda: _run(_parse(arguments)),
        command="vlm-bridge",
        errors=(VlmBridgeError,),
        extra="vlm",
        when_memory_ends="Use a smaller --model, --quantise or --max-tiles.",
    )


def _parse(arguments: list[str] | None) -> Command:
    given = sys.argv[1:] if arguments is None else arguments
    finetune = _finetune_with_settings(given) if given[:1] == ["finetune"] else Finetune
    return tyro.cli(
        Generate
        | Convert  # type: ignore[arg-type]
        | Annotated[finetune, tyro.conf.subcommand("finetune")]
        | Merge
        | Spectra
        | MuonProbe
        | List
        | Doctor,
        prog="vlm-bridge",
        args=given,
        description="Models that see and speak, on a laptop or on GPUs.",
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )


def _finetune_with_settings(given: list[str]) -> Any:
    """`Finetune` with all its settings, and as many stages as `given` speaks of; the modules of the settings need
    packages that the other commands can do without."""
    from vlm_bridge.finetune.config import FinetuneConfig, Stage

    numbers = [int(hit[1]) for word in given if (hit := re.match(r"--stages\.(\d{1,2})\.", word))]
    stages = (Stage(),) * (max(numbers, default=0) + 1)
    kind = Annotated[FinetuneConfig, tyro.conf.arg(name="")]
    settings = ("config", kind, field(default_factory=lambda: FinetuneConfig(stages=stages)))
    return make_dataclass(
        "Finetune", [settings], bases=(Finetune,), namespace={"__doc__": Finetune.__doc__}, frozen=True, kw_only=True
    )


def _run(command: Command) -> int:
    return _JOBS[next(kind for kind in type(command).__mro__ if kind in _JOBS)](command)


def _generate(command: Generate) -> int:
    if not command.words:
        return failed("expected a question, found none. Give pictures first and the question last, in quotes.")
    pictures = [_open_picture(Path(word)) for word in command.words[:-1]]
    question = command.words[-1]
    if Path(question).suffix and Path(question).is_file():
        return failed(f"expected a question last, found the file {question}. Add the question, in quotes.")

    from vlm_bridge.backbone.load import load_backbone
    from vlm_bridge.decoding.generate import generate
    from vlm_bridge.prompts.conversation import ask

    backbone = load_backbone(
        command.model,
        dtype=command.dtype,
        device=command.device,
        device_map=command.device_map,
        quantise=command.quantise,
        grounding=command.grounding,
    )
    if command.adapter is not None:
        from vlm_bridge.adapters.adapt import load_adapter

        backbone = load_adapter(backbone, command.adapter)
        backbone.model.eval()
    hear = _say if command.stream else None
    (answer,) = generate(backbone, [ask(question, *pictures)], command.config, on_text=hear)
    if command.stream:
        print()
    else:
        if answer.think is not None:
            print(f"{answer.think}\n", file=sys.stderr)
        print(answer.text)
    if answer.finished == "length":
        print(f"the answer was cut at {len(answer.ids)} tokens; raise --max-new-tokens", file=sys.stderr)
    return 0


def _open_picture(path: Path) -> Any:
    from PIL import Image, ImageOps, UnidentifiedImageError

    from vlm_bridge.errors import InvalidInputError

    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).copy()
    except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InvalidInputError(
            f"{path}: expected a picture, found none that can be read ({error}). Give pictures first and the question "
            "last, in quotes."
        ) from error


def _say(piece: str) -> None:
    print(piece, end="", flush=True)


def _convert(command: Convert) -> int:
    import torch

    from vlm_bridge.backbone.conversion.convert import convert_checkpoint

    dtype = None if command.dtype is None else getattr(torch, command.dtype)
    report = convert_checkpoint(command.source, command.target, dtype=dtype, progress=True)
    for name, file in report.files.items():
        print(f"{file.sha256}  {file.bytes:>14,}  {name}")
    print(
        f"{report.tensors:,} tensors, {report.parameters:,} parameters, {report.bytes / 1e9:.2f} GB in {report.target}"
    )
    print(f"ask it: vlm-bridge generate PICTURE QUESTION --model {report.target}")
    return 0


def _finetune(command: Any) -> int:
    from vlm_bridge.finetune.finetune import finetune_from_files

    result = finetune_from_files(
        command.model,
        command.records,
        command.config,
        command.output,
        command.resume,
        validation=command.validation,
        device=command.device,
    )
    for stage in result.stages:
        lowest = "" if stage.validation_loss is None else f", lowest validation loss {stage.validation_loss:.3f}"
        print(f"stage {stage.number} ({stage.policy}): {stage.steps} steps, loss {stage.loss:.3f}{lowest}")
        print(f"  {stage.learned_numbers:,} numbers learned, the optimiser kept {stage.optimizer_bytes:,} bytes")
        model = f"{command.model} --adapter {stage.folder}" if command.config.adapter else stage.folder
        print(f"ask it: vlm-bridge generate PICTURE QUESTION --model {model}")
    return 0


def _list(command: List) -> int:
    from vlm_bridge.backbone.catalogue import BACKBONES

    for name, known in BACKBONES.items():
        source = {"embedded": "comes along", "hub": known.place, "converted": f"{known.place}, converted"}[known.kind]
        size = f"{known.gigabytes:.1f} GB" if known.gigabytes else ""
        print(f"{name:<16} {size:>8}  {source:<38} {known.what}")
    print("\nadapters (finetune --adapter NAME)")
    for name, what in _adapters().items():
        print(f"{name:<16} {what}")
    print("\noptimisers (finetune --optimizer NAME)")
    for name, what in _optimizers().items():
        print(f"{name:<16} {what}")
    return 0


def _adapters() -> dict[str, str]:
    from vlm_bridge.errors import MissingExtraError

    try:
        from vlm_bridge.adapters.catalogue import ADAPTERS
    except MissingExtraError as error:
        return {"none": str(error)}
    return {name: method.what for name, method in ADAPTERS.items()}


def _optimizers() -> dict[str, str]:
    from vlm_bridge.optim.catalogue import OPTIMIZERS

    return {name: member.what for name, member in OPTIMIZERS.items()}


def _doctor(command: Doctor) -> int:
    from vlm_bridge.backbone.examine import examine

    findings = examine()
    for finding in findings:
        print(finding.lines())
    return 0 if all(finding.good for finding in findings) else 1


_JOBS: dict[type, Callable[[Any], int]] = {
    Generate: _generate,
    Convert: _convert,
    Finetune: _finetune,
    Merge: merge,
    Spectra: spectra,
    MuonProbe: muon_probe,
    List: _list,
    Doctor: _doctor,
}

if __name__ == "__main__":
    sys.exit(main())
