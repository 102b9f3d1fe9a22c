"""SAM ViT-B and OpenCLIP ViT-B-16 of their true sizes, from checkpoint files to an answer; the weights are random."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.vision3d.laga.ball_scene import BallScene, make_ball_scene
from vision3d.errors import InvalidInputError
from vision3d.laga.laga_scene import LagaScene
from vision3d.laga.lift_objects import LiftConfig
from vision3d.laga.query_config import QueryConfig
from vision3d.laga.query_scene import query_scene
from vision3d.laga.train_config import TrainLagaConfig
from vision3d.laga.train_laga import train_laga
from vision3d.language.catalogue import load_encoder
from vision3d.language.image_text_encoder import ImageTextEncoder
from vision3d.language.mask_features import encode_views
from vision3d.masks.everything import EverythingSettings
from vision3d.masks.mask_nms import MaskNmsSettings
from vision3d.masks.propose_masks import propose_masks
from vision3d.masks.sam_proposer import SamProposer
from vision3d.rendering.cpu_renderer import CpuRenderer
from vision3d.rendering.render_views import splats_of

_VIEWS = 2
_ANY_MASK = EverythingSettings(
    points_per_side=2, crop_layers=0, predicted_iou=-100.0, stability=0.0, minimum_region=0,
    nms=MaskNmsSettings(score=-100.0),
)  # fmt: skip
"""Random weights believe in no mask: keep what they draw."""


def _sam(folder: Path) -> SamProposer:
    registry = pytest.importorskip("segment_anything").sam_model_registry
    torch.save(registry["vit_b"]().state_dict(), folder / "sam.pth")
    return SamProposer(folder / "sam.pth", _ANY_MASK)


def _clip(folder: Path, seed: int) -> ImageTextEncoder:
    open_clip = pytest.importorskip("open_clip")
    torch.manual_seed(seed)
    path = folder / f"clip_{seed}.pt"
    torch.save(open_clip.create_model("ViT-B-16", pretrained=None).half().state_dict(), path)
    return load_encoder(f"ViT-B-16={path}")


@pytest.fixture(scope="module")
def balls() -> BallScene:
    return make_ball_scene(_VIEWS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module")
def encoder(folder: Path) -> ImageTextEncoder:
    return _clip(folder, 0)


@pytest.fixture(scope="module")
def laga(balls: BallScene, folder: Path, encoder: ImageTextEncoder) -> LagaScene:
    torch.manual_seed(0)
    colours = torch.rand(len(balls.scene.means), 3)
    images = (CpuRenderer().rasterize(splats_of(balls.scene), balls.cameras, colours).channels * 255).to(torch.uint8)
    masks = propose_masks(images, balls.cameras.names, _sam(folder), folder=folder / "masks")
    assert masks.labels.shape == (_VIEWS, 3, 64, 64)
    features = encode_views(images, masks.labels, encoder)
    assert features.vectors.shape == (len(features), 512)
    assert len(features) >= _VIEWS
    config = TrainLagaConfig(engine="lift", lift=LiftConfig(minimum_masks=1, together_shares=(0.1,)))
    return train_laga(balls.scene, balls.cameras, masks, features, config=config, encoder_name="random")


def test_checkpoints_of_the_true_sizes_take_a_scene_apart(laga: LagaScene, encoder: ImageTextEncoder) -> None:
    assert laga.object_count >= 1
    assert laga.descriptors.vectors.shape[1] == 512
    np.testing.assert_allclose(laga.descriptors.vectors.norm(dim=1).numpy(), 1, atol=1e-3)
    (answer,) = query_scene(laga, ["red mug"], encoder, config=QueryConfig(cosine_gate=-1.0))
    assert answer.object_scores.shape == (laga.object_count,)
    assert answer.unknown_words == ()
    # weights that never learned anything tell no phrase from another: relevance is that of a toss
    assert 0.2 < answer.relevance < 0.8


def test_another_encoder_of_the_same_size_is_refused(laga: LagaScene, folder: Path) -> None:
    with pytest.raises(InvalidInputError, match="encoder"):
        query_scene(laga, ["red mug"], _clip(folder, 1))
