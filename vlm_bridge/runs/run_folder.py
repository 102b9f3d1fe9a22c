"""`RunFolder`: the folder of one long job.

It holds `config.json` (configuration, versions, seed, inputs), `metrics.jsonl` and `checkpoints/`. A job that was
killed is resumed with the same configuration: `resume_run`, then `latest_checkpoint`, then `rewind_to` its step.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from vlm_bridge.atomic_write import PARTIAL_SUFFIX, write_text_whole
from vlm_bridge.errors import RunFolderError
from vlm_bridge.runs.checkpoints import (
    Checkpoint,
    checkpoint_paths,
    checkpoint_step,
    newest_checkpoint,
    write_checkpoint,
)
from vlm_bridge.runs.metrics_log import Metrics, append_metrics, drop_metrics_after, read_metrics
from vlm_bridge.runs.run_record import describe_inputs, differing_fields, package_versions, to_json_value

CONFIG_NAME = "config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """A run on disk; every method reads or writes its folder at once, nothing is kept in memory."""

    path: Path
    """The folder."""

    @property
    def metrics_path(self) -> Path:
        """The log of metrics."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoint_folder(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    def log_metrics(self, step: int, **values: float | int | str) -> None:
        """Append the metrics of one step, e.g. `log_metrics(100, psnr=24.1)`."""
        append_metrics(self.metrics_path, {"step": step, **values})

    def metrics(self) -> list[Metrics]:
        """Every line logged so far, oldest first."""
        return read_metrics(self.metrics_path)

    def save_checkpoint(
        self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any], *, keep: int = 2
    ) -> Path:
        """Save the job after `step` steps; the newest `keep` checkpoints stay."""
        return write_checkpoint(self.checkpoint_folder, step, tensors, state, keep)

    def latest_checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint that can be read, or None; damaged ones are named in the log."""
        return newest_checkpoint(self.checkpoint_folder)

    def rewind_to(self, step: int) -> None:
        """Forget metrics and checkpoints after `step`, and what a killed write left; call it before going on."""
        drop_metrics_after(self.metrics_path, step)
        for path in checkpoint_paths(self.checkpoint_folder):
            if checkpoint_step(path) > step:
                path.unlink()
        for leftover in self.path.rglob(f".*{PARTIAL_SUFFIX}"):
            leftover.unlink()

    def record(self) -> dict[str, Any]:
        """The content of `config.json`: keys config, seed, versions, inputs.

        Raises:
            RunFolderError: it is missing or unreadable.
        """
        path = self.path / CONFIG_NAME
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunFolderError(
                f"{path}: expected the record of a run, found none that can be read ({error}). "
                "Start a new run in an empty folder."
            ) from error
        if not isinstance(record, dict) or "config" not in record:
            raise RunFolderError(f"{path}: expected the record of a run, found other JSON. Start in an empty folder.")
        return record


def create_run(
    folder: str | Path, config: Any, inputs: Iterable[Path | str] = (), *, seed: int | None = None
) -> RunFolder:
    """A new run in `folder`, with its record written.

    `config` is a dataclass or mapping; its field `seed` is the seed where none is given. Inputs are recorded with their
    SHA-256 where they are small.

    Raises:
        RunFolderError: the folder already holds a run, or cannot be written.
        InvalidInputError: an input is missing, or the configuration has no JSON form.
    """
    path = Path(folder)
    if os.path.exists(path / CONFIG_NAME):  # False, not an error, for a name the disk cannot hold
        raise RunFolderError(
            f"{path}: expected a folder without a run, found one. Resume it, or choose another folder."
        )
    values = to_json_value(config)
    record = {
        "config": values,
        "seed": values.get("seed") if seed is None else seed,
        "versions": package_versions(),
        "inputs": describe_inputs(inputs),
    }
    try:
        write_text_whole(path / CONFIG_NAME, json.dumps(record, indent=1) + "\n")
    except OSError as error:
        raise RunFolderError(
            f"{path}: expected a folder that can be written, found: {error}. Choose another."
        ) from error
    return RunFolder(path=path)


def resume_run(
    folder: str | Path, config: Any, inputs: Iterable[Path | str] = (), *, may_differ: Iterable[str] = ()
) -> RunFolder:
    """The run in `folder`, to go on with under the same configuration and, where given, the same inputs.

    `may_differ` names fields of the configuration that do not change the results, such as a progress interval.

    Raises:
        RunFolderError: there is no run, or the configuration or an input differs; the message names the fields.
    """
    run = RunFolder(path=Path(folder))
    record = run.record()
    ignored = set(may_differ)
    stored, asked = (
        {k: v for k, v in values.items() if k not in ignored} for values in (record["config"], _as_json(config))
    )
    different = differing_fields(stored, asked)
    stored_inputs = _by_content(record.get("inputs", {}))
    asked_inputs = describe_inputs(inputs)
    if asked_inputs and _by_content(asked_inputs) != stored_inputs:
        different.append(
            f"inputs (stored {sorted(record['inputs'])}, asked for {sorted(asked_inputs)} with other content)"
        )
    if different:
        raise RunFolderError(
            f"{run.path}: expected the configuration this run was started with, found differences in "
            f"{'; '.join(different)}. Ask for the stored values, or start a new run in another folder."
        )
    return run


def _as_json(config: Any) -> dict[str, Any]:
    # Through text, so that both sides carry exactly what JSON keeps (1e400, tuples, keys that are numbers).
    return json.loads(json.dumps(to_json_value(config)))


def _by_content(inputs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return sorted(json.dumps(facts, sort_keys=True) for facts in inputs.values())
