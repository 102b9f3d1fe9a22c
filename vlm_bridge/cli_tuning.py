"""Commands of `vlm-bridge` around adapters and optimisers: merge | spectra | muon-probe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

Output = Annotated[Path, tyro.conf.arg(aliases=["-o", "--out"])]
Model = Annotated[str, tyro.conf.arg(help="Name of `vlm-bridge list`, a folder, or OWNER/NAME on the hub.")]


@dataclass(frozen=True, kw_only=True)
class Merge:
    """Put an adapter into the weights of its model; the folder then loads like any other model."""

    adapter: tyro.conf.Positional[Path]
    """Folder of the adapter."""
    output: Output
    """Folder to write; it must be new."""
    model: Model = "embedded"
    grounding: bool = False
    """The adapter was learned with the tokens of grounded answers added to the model."""
    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    """Of the merged weights, which are computed in float32; by default those of the model as it is loaded."""


@dataclass(frozen=True, kw_only=True)
class Spectra:
    """Say what tuning did to the weights: singular values, directions and subspaces of each matrix, with plots."""

    base: tyro.conf.Positional[str]
    """Folder of the model before tuning, or a name of `vlm-bridge list`."""
    tuned: tyro.conf.Positional[Path]
    """Folder of the model after tuning, or of an adapter."""
    output: Output
    """Folder to write; it must be new."""
    top: int = 16
    """Leading directions that are looked at."""
    include: tuple[str, ...] = ("*",)
    """Patterns of names of the tensors to compare."""
    exclude: tuple[str, ...] = ()
    """Patterns of those to leave out."""
    control: bool = False
    """Compare with noise as large as the change, too."""


@dataclass(frozen=True, kw_only=True)
class MuonProbe:
    """Measure along a training whether a step of Muon should beat one of gradient descent: J, L and K by matrix.

    Without records a small language model learns to look values up.
    """

    records: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Files of conversations (JSON Lines) to fine-tune on."""
    output: Output
    """Run folder; the measurements are in muon_probe.jsonl."""
    model: Model = "embedded"
    policy: str = "language_only"
    """What learns, with records."""
    optimizer: str = "muon"
    """Name of `vlm-bridge list`."""
    learning_rate: float | None = None
    """Default: 3e-3 without records, 1e-4 with them."""
    steps: int = 40
    """Optimiser steps."""
    every: int = 20
    """Steps between measurements."""
    batch_size: int = 4
    """Conversations of a step, with records."""
    matrices: tuple[str, ...] = ()
    """Patterns of names of the matrices to measure; none: four of them, first to last."""
    seed: int = 0
    """Of the order of the records, or of weights and lists."""
    device: str = "auto"
    """cpu, cuda or cuda:N; with records."""


def merge(command: Merge) -> int:
    """Do it; the exit code."""
    import torch

    from vlm_bridge.adapters.adapt import load_adapter, merge_adapters
    from vlm_bridge.backbone.load import load_backbone, save_backbone

    dtype = "auto" if command.dtype is None else "float32"
    plain = load_backbone(command.model, dtype=dtype, device="cpu", grounding=command.grounding)
    merged = merge_adapters(load_adapter(plain, command.adapter))
    if command.dtype is not None:
        merged.model.to(getattr(torch, command.dtype))
    save_backbone(merged, command.output)
    print(f"ask it: vlm-bridge generate PICTURE QUESTION --model {command.output}")
    return 0


def spectra(command: Spectra) -> int:
    """Do it; the exit code."""
    from vlm_bridge.backbone.catalogue import backbone_place
    from vlm_bridge.spectra.compare_models import SpectraConfig, compare_models
    from vlm_bridge.spectra.report import kinds_table, write_report

    config = SpectraConfig(top=command.top, include=command.include, exclude=command.exclude, control=command.control)
    study = compare_models(Path(backbone_place(command.base)), command.tuned, config)
    page = write_report(study, command.output)
    print(f"{len(study.matrices)} matrices, {len(study.changed)} changed")
    if study.changed:
        print(kinds_table(study.changed))
    print(f"read it: {page}")
    return 0


def muon_probe(command: MuonProbe) -> int:
    """Do it; the exit code."""
    from vlm_bridge.optim.probe_log import PROBE_LOG_NAME, probe_steps_table, probe_verdict

    lines = _probe_records(command) if command.records else _probe_lookup(command)
    print(probe_steps_table(lines))
    print(f"\n{probe_verdict(lines)}")
    print(f"measurements: {command.output / PROBE_LOG_NAME}")
    return 0


def _probe_lookup(command: MuonProbe) -> list:
    from vlm_bridge.optim.lookup_run import LookupRunConfig, probe_lookup_run

    config = LookupRunConfig(
        optimizer=command.optimizer,
        learning_rate=command.learning_rate or 3e-3,
        steps=command.steps,
        every=command.every,
        matrices=command.matrices,
        seed=command.seed,
    )
    return probe_lookup_run(command.output, config)


def _probe_records(command: MuonProbe) -> list:
    from vlm_bridge.finetune.config import FinetuneConfig, Stage
    from vlm_bridge.finetune.finetune import finetune_from_files
    from vlm_bridge.optim.probe_log import PROBE_LOG_NAME
    from vlm_bridge.runs.metrics_log import read_metrics

    stage = Stage(policy=command.policy, steps=command.steps, learning_rate=command.learning_rate or 1e-4)
    config = FinetuneConfig(
        stages=(stage,),
        batch_size=command.batch_size,
        accumulation=1,
        optimizer=command.optimizer,
        probe_every=command.every,
        probe_matrices=command.matrices,
        seed=command.seed,
    )
    finetune_from_files(command.model, command.records, config, command.output, device=command.device)
    return read_metrics(command.output / PROBE_LOG_NAME)
