"""The few-shot task on real slices: who is learned from, who is scored, what learns, and that a step teaches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.adapter_comparison import Run, learn
from benchmarks.few_shot_medical import FOLDER, LEARNED_FROM, PARTS, SLICES, FewShotHippocampus, moved, read_slices
from data.recipes.vlm_tiny.medical_sets import held_out_patients
from medseg.training.records import ImageFacts, QARecord


@pytest.fixture(scope="module")
def task(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> FewShotHippocampus:
    return FewShotHippocampus(shared=shared_data, work=tmp_path_factory.mktemp("slices"), steps=2, batch=1)


def test_patients_are_kept_apart(task: FewShotHippocampus) -> None:
    tested = {answer.record.patient for answer in task._test}
    validated = {answer.record.patient for answer in task._validation}
    everyone = set(task._by_patient)
    assert tested == held_out_patients(FOLDER, everyone)
    assert not tested & validated
    drawn = []
    for seed in range(5):
        learned = {answer.record.patient for answer in task._learned_from(seed)}
        assert len(learned) == LEARNED_FROM
        assert not learned & (tested | validated)
        drawn.append(frozenset(learned))
    assert len(set(drawn)) == 5


def test_each_slice_shows_both_parts_and_the_front_is_in_front(task: FewShotHippocampus, shared_data: Path) -> None:
    slices = read_slices(shared_data, task.work)
    assert len(slices) == SLICES * len(task._by_patient)
    sides = []
    for one in slices:
        columns = [np.nonzero(one.targets[phrase])[1].mean() for phrase in PARTS]
        sides.append(columns[0] > columns[1])
    assert np.mean(sides) > 0.99  # sagittal, the front on the right of the picture in all


def test_a_moved_picture_and_its_masks_move_together() -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((80, 100), bool)
    mask[20:50, 30:70] = True
    picture = np.repeat(np.where(mask, 200, 20)[..., None], 3, 2).astype(np.uint8)
    no_record: Any = QARecord(id="r", patient="p", image=ImageFacts(path="p.png"), targets={}, conversations=())
    for _ in range(10):
        seen, masks = moved(picture, {"t1": mask}, no_record, rng)
        bright = seen[..., 0] > np.median([seen.min(), seen.max()])
        both = (bright & masks["t1"]).sum() * 2 / (bright.sum() + masks["t1"].sum())
        assert both > 0.95


def test_an_adapter_learns_beside_a_model_that_stays(task: FewShotHippocampus) -> None:
    model, costs = learn(task, Run(task="t", method="lora", optimizer="adamw", rate=1e-3, seed=0))
    learned = {name for name, value in model.named_parameters() if value.requires_grad}
    assert learned
    assert all("lora_" in name for name in learned)
    assert {"language_model", "mask_decoder", "projection"} <= {part for name in learned for part in name.split(".")}
    before = dict(task.start().named_parameters())
    for name, value in model.named_parameters():
        if "lora_" not in name:
            plain = name.removeprefix("base_model.model.").replace("base_layer.", "")
            assert torch.equal(value, before[plain]), name
    assert costs["learned"] == sum(value.numel() for value in model.parameters() if value.requires_grad)


def test_full_training_moves_all_but_vision_connector_and_the_3d_decoder(task: FewShotHippocampus) -> None:
    start = task.start()
    learned = {name for name, value in start.named_parameters() if value.requires_grad}
    assert any(".decoder.encoder." in name for name in learned)
    for frozen in ("vision_tower", "multi_modal_projector", "volume_decoder", "point_embeddings"):
        assert not any(frozen in name for name in learned), frozen
    names = set(task.targets)
    linear = {name for name, module in start.named_modules() if isinstance(module, nn.Linear)}
    assert names <= linear


def test_scores_are_of_each_patient_and_the_model_knows_nothing_yet(task: FewShotHippocampus) -> None:
    found = task.score(task.start(), "validation")
    assert len(found["patients"]) == len({answer.record.patient for answer in task._validation})
    assert found["accuracy"] == pytest.approx(float(np.mean(found["patients"])))
    assert found["loss"] == pytest.approx(1 - found["accuracy"])
    assert found["accuracy"] < 0.2
