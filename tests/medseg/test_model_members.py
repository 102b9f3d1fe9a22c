"""A model's folder names the members of the decoder families that it was made with, and is built of them again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from medseg.errors import CheckpointError, InvalidInputError
from medseg.grounding.sam_decoder import SamMaskDecoder
from medseg.grounding.sam_door import build_sam
from medseg.grounding.vista3d import Vista3dConfig, Vista3dMaskDecoder
from medseg.grounding.volume_fit import VolumeFit
from medseg.inference.medsegr import MedSegRSegmenter
from medseg.model import MedSegConfig, MedSegModel, load_medseg, save_medseg
from medseg.study.volume import volume_in_memory
from medseg.training.train import start_from
from tests.medseg.training.shapes import tiny_medseg
from vlm_bridge.backbone.load import save_backbone

FIT = VolumeFit(spacing=(2.0, 2.0, 2.0), patch=(32, 32, 32), multiple=32)
MARKED = "Here is the <p>heart</p> [SEG]."


@pytest.fixture(scope="module")
def with_vista3d(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tiny = tiny_medseg()
    config = MedSegConfig(
        decoder=tiny.config.decoder, volume=Vista3dConfig(width=8, fit=FIT), volume_structures=("heart",)
    )
    folder = tmp_path_factory.mktemp("models") / "vista3d"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_medseg(MedSegModel(tiny.backbone, config).eval(), folder)
    return folder


def test_vista3d_is_named_in_the_folder_and_answers_for_volumes(with_vista3d: Path) -> None:
    model = load_medseg(with_vista3d)
    assert json.loads((with_vista3d / "medsegr.json").read_text())["volume"]["member"] == "vista3d"
    assert isinstance(model.volume_decoder, Vista3dMaskDecoder)
    values = np.random.default_rng(1).normal(0, 300, (20, 18, 16)).astype(np.float32)
    scan = volume_in_memory(values, np.diag([2.0, 2.0, 2.0, 1.0]), modality="CT", unit="HU")
    answer = MedSegRSegmenter(model, name="medsegr", weights_sha256="").ground_answer(scan, "Where?", (), MARKED)
    assert answer.preprocessing["masks"] == "3D decoder"
    assert answer.targets[0].mask.shape == scan.shape


def test_folders_of_before_the_members_had_names_are_read(with_vista3d: Path, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    save_medseg(tiny_medseg(), folder)
    path = folder / "medsegr.json"
    values = json.loads(path.read_text())
    assert values["decoder"].pop("member") == "embedded"
    path.write_text(json.dumps(values))
    assert load_medseg(folder).config == tiny_medseg().config
    values["decoder"]["member"] = "unet"
    path.write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match="KeyError"):
        load_medseg(folder)


def test_a_trained_model_takes_no_other_decoder(with_vista3d: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="found a model that has one"):
        start_from(with_vista3d, device="cpu", decoder_weights=tmp_path / "medsam_vit_b.pth")


@pytest.mark.slow
def test_a_backbone_with_medsam_of_the_true_size_is_kept_and_answers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(build_sam("vit_b").state_dict(), tmp_path / "medsam_vit_b.pth")
    save_backbone(tiny_medseg().backbone, tmp_path / "backbone", overwrite=True)  # type: ignore[arg-type]
    started = start_from(tmp_path / "backbone", device="cpu", decoder_weights=tmp_path / "medsam_vit_b.pth")
    save_medseg(started, tmp_path / "model")
    model = load_medseg(tmp_path / "model")
    assert isinstance(model.decoder, SamMaskDecoder)
    assert model.decoder.fit.aspect == "stretch"
    values = np.random.default_rng(0).integers(0, 256, (60, 50, 1, 3), np.uint8)
    photo = volume_in_memory(values, np.eye(4), modality="XC", unit="8 bit")
    answers = [
        MedSegRSegmenter(one.eval(), name="medsegr", weights_sha256="").ground_answer(photo, "Where?", (), MARKED)
        for one in (started, model)
    ]
    assert (answers[0].targets[0].mask == answers[1].targets[0].mask).all()
    assert answers[0].targets[0].mask.any()
