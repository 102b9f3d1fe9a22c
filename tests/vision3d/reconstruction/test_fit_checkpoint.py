"""Fits in progress on disk: what is saved comes back bit for bit, and nothing but tensors is ever read."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from tests.vision3d.reconstruction.known_scenes import known_scene
from vision3d.reconstruction.densification.fixed import FixedDensifier
from vision3d.reconstruction.fit_checkpoint import FitProgress, load_progress, save_progress
from vision3d.reconstruction.fit_config import FitConfig
from vision3d.reconstruction.splat_parameters import LearningRates, make_optimisers, parameters_of
from vlm_bridge.errors import RunFolderError
from vlm_bridge.runs.checkpoints import read_checkpoint
from vlm_bridge.runs.run_folder import RunFolder, create_run

CPU = torch.device("cpu")
RATES = LearningRates()


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return create_run(tmp_path / "run", FitConfig())


def _progress(steps: int = 3) -> FitProgress:
    parameters = parameters_of(known_scene(20))
    optimisers = make_optimisers(parameters, RATES, 2.0)
    for step in range(steps):
        sum(((step + 1) * value**2).sum() for value in parameters.values()).backward()
        for optimiser in optimisers.values():
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
    return FitProgress(step=steps, parameters=parameters, optimisers=optimisers, densifier={})


class _Remembering(FixedDensifier):
    def state(self) -> dict[str, torch.Tensor]:
        return {"seen": torch.arange(4)}


def test_parameters_moments_and_densifier_come_back(run: RunFolder) -> None:
    saved = _progress()
    save_progress(run, saved, _Remembering(), 3)
    found = load_progress(run, RATES, 2.0, CPU)
    assert found is not None
    assert found.step == 3
    assert found.densifier["seen"].tolist() == [0, 1, 2, 3]
    assert found.parameters.keys() == saved.parameters.keys()
    for name, parameter in saved.parameters.items():
        assert torch.equal(found.parameters[name], parameter)
        assert found.parameters[name].requires_grad
        before, after = (one.optimisers[name].state[one.parameters[name]] for one in (saved, found))
        assert float(after["step"]) == 3.0
        assert torch.equal(after["exp_avg"], before["exp_avg"])
        assert torch.equal(after["exp_avg_sq"], before["exp_avg_sq"])
    # the means' rate is in units of the scene scale: 1.6e-4 x 2
    assert found.optimisers["means"].param_groups[0]["lr"] == pytest.approx(3.2e-4)


def test_saving_before_the_first_step_keeps_no_moments(run: RunFolder) -> None:
    save_progress(run, _progress(0), FixedDensifier(), 0)
    found = load_progress(run, RATES, 2.0, CPU)
    assert found is not None
    assert not found.optimisers["means"].state


def test_an_empty_run_has_no_progress(run: RunFolder) -> None:
    assert load_progress(run, RATES, 2.0, CPU) is None


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_cut_checkpoint_is_passed_over_and_named(run: RunFolder, kept: int, caplog: pytest.LogCaptureFixture) -> None:
    save_progress(run, _progress(1), FixedDensifier(), 1)
    save_progress(run, _progress(2), FixedDensifier(), 2)
    newest = run.checkpoint_folder / "step_00000002.safetensors"
    newest.write_bytes(newest.read_bytes()[:kept])
    with pytest.raises(RunFolderError, match=r"expected .* found .* Remove it and resume from an earlier one"):
        read_checkpoint(newest)
    with caplog.at_level("WARNING"):
        found = load_progress(run, RATES, 2.0, CPU)
    assert found is not None
    assert found.step == 1
    assert str(newest) in caplog.text


def test_a_flipped_bit_is_noticed(run: RunFolder) -> None:
    save_progress(run, _progress(1), FixedDensifier(), 1)
    path = run.checkpoint_folder / "step_00000001.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(RunFolderError, match="damaged"):
        read_checkpoint(path)


class _Explosive:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("exploded"),))


def test_a_pickle_is_never_opened(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.path)
    run.checkpoint_folder.mkdir()
    (run.checkpoint_folder / "step_00000009.safetensors").write_bytes(pickle.dumps(_Explosive()))
    assert load_progress(run, RATES, 2.0, CPU) is None
    assert not (run.path / "exploded").exists()
