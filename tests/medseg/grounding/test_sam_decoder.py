"""SAM and MedSAM: against segment_anything's own code, and files of the true size through the real loader."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from medseg.errors import CheckpointError, InvalidInputError
from medseg.grounding.decode_picture import PictureDecoder
from medseg.grounding.picture_fit import PictureFit
from medseg.grounding.sam_decoder import (
    PREPROCESSING,
    SamDecoderConfig,
    SamMaskDecoder,
    build_sam_decoder,
    load_sam_decoder,
    sam_kind,
)
from medseg.grounding.sam_door import SAM_WIDTHS, build_sam, decode_tokens, dense_prompts
from tests.medseg.grounding.small_decoders import SIDE, small_sam


@pytest.fixture
def sam():
    torch.manual_seed(0)
    return small_sam().eval()


@torch.no_grad()
def test_decoding_rows_equals_sams_own_decoder_picture_by_picture(sam):
    pictures = torch.randn(3, 3, SIDE, SIDE)
    embedding = sam.image_encoder(pictures)
    about = torch.tensor([2, 0, 0, 1, 2])
    prompts = torch.randn(5, 2, sam.prompt_encoder.embed_dim)
    previous = torch.randn(5, *sam.prompt_encoder.mask_input_size)
    dense = dense_prompts(sam.prompt_encoder, previous, 5)
    place = sam.prompt_encoder.get_dense_pe()
    logits, overlap, _ = decode_tokens(sam.mask_decoder, embedding[about] + dense, place, prompts)
    for picture in range(3):
        rows = (about == picture).nonzero()[:, 0]
        _, own_dense = sam.prompt_encoder(points=None, boxes=None, masks=previous[rows, None])
        masks, scores = sam.mask_decoder.predict_masks(
            embedding[picture : picture + 1], place, prompts[rows], own_dense
        )
        assert torch.allclose(logits[rows], masks[:, 0], atol=1e-5)
        assert torch.allclose(overlap[rows], scores[:, 0], atol=1e-5)


@torch.no_grad()
def test_without_a_mask_the_dense_prompt_is_sams_own(sam):
    _, own = sam.prompt_encoder(points=None, boxes=torch.rand(2, 4), masks=None)
    assert torch.equal(dense_prompts(sam.prompt_encoder, None, 2), own)
    assert dense_prompts(sam.prompt_encoder, None, 0).shape == (0, *own.shape[1:])


@torch.no_grad()
def test_a_box_of_sam_given_as_prompt_vectors_draws_what_sam_draws(sam):
    """The whole way: SAM's own forward on a picture, and ours with the vectors of the same box."""
    picture = np.random.default_rng(0).integers(0, 256, (48, SIDE, 3), dtype=np.uint8)
    box = torch.tensor([[10.0, 5.0, 40.0, 30.0]])
    record = {"image": torch.from_numpy(picture).permute(2, 0, 1).float(), "original_size": (48, SIDE), "boxes": box}
    own = sam([record], multimask_output=False)[0]
    decoder = SamMaskDecoder(sam, PictureFit(side=SIDE))
    sparse, _ = sam.prompt_encoder(points=None, boxes=box, masks=None)
    fitted = decoder.fit.fit(picture)[None]
    embedding = decoder.encode(fitted).embedding + dense_prompts(sam.prompt_encoder, None, 1)
    logits, _, _ = decode_tokens(decoder.mask_decoder, embedding, decoder.prompt_encoder.get_dense_pe(), sparse)
    assert torch.allclose(logits, own["low_res_logits"][:, 0], atol=1e-4)
    assert torch.equal(decoder.fit.back(logits, 48, SIDE) > 0, own["masks"][:, 0])


def test_a_decoder_refuses_the_fit_of_another_and_pictures_of_another_side(sam):
    with pytest.raises(InvalidInputError, match="side 64, found 1024"):
        SamMaskDecoder(sam, PREPROCESSING["sam"])
    with pytest.raises(InvalidInputError, match="side 64, found 32"):
        SamMaskDecoder(sam, PictureFit(side=SIDE)).encode(torch.zeros(1, 3, 32, 32))


@pytest.mark.usefixtures("unchecked_shapes")
def test_the_size_is_read_from_the_width():
    for kind, width in SAM_WIDTHS.items():
        assert sam_kind(torch.zeros(1, 64, 64, width), "x") == kind
    with pytest.raises(CheckpointError, match="one of width 160"):
        sam_kind(torch.zeros(1, 64, 64, 160), "x")
    with pytest.raises(InvalidInputError, match="vit_b, vit_l, vit_h"):
        build_sam("vit_t")  # type: ignore[arg-type]


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("name", ["weights.pth", "my_sam.pth"])
def test_a_name_that_does_not_tell_the_preprocessing_is_refused(tmp_path: Path, name: str):
    with pytest.raises(InvalidInputError, match="preprocessing='sam'"):
        load_sam_decoder(tmp_path / name)
    with pytest.raises(InvalidInputError, match="found 'clip'"):
        build_sam_decoder(SamDecoderConfig(preprocessing="clip"))  # type: ignore[arg-type]


class _Thief:
    """What a hostile file would run."""

    def __reduce__(self):
        return (Path.touch, (Path("stolen"),))


def test_files_that_are_no_checkpoint_are_refused_and_run_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "sam_vit_b.pth"
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_sam_decoder(path)
    path.write_bytes(b"not weights")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_sam_decoder(path)
    torch.save({"model": _Thief()}, path)
    with pytest.raises(CheckpointError, match="runs no code"):
        load_sam_decoder(path)
    assert not Path("stolen").exists()
    torch.save([torch.zeros(1)], path)
    with pytest.raises(CheckpointError, match="table of tensors"):
        load_sam_decoder(path)
    torch.save({"model": {"a": torch.zeros(1)}}, path)
    with pytest.raises(CheckpointError, match=r"no tensor image_encoder\.pos_embed"):
        load_sam_decoder(path)


@pytest.mark.slow
def test_files_of_the_true_size_load_and_segment(tmp_path: Path):
    torch.manual_seed(0)
    state = build_sam("vit_b").state_dict()
    torch.save(state, tmp_path / "sam_vit_b_random.pth")
    torch.save({"model": state}, tmp_path / "medsam_vit_b_random.pth")
    save_file(state, tmp_path / "own.safetensors")
    decoder = load_sam_decoder(tmp_path / "sam_vit_b_random.pth")
    medsam = load_sam_decoder(tmp_path / "medsam_vit_b_random.pth")
    own = load_sam_decoder(tmp_path / "own.safetensors", "medsam")
    assert (decoder.fit.aspect, medsam.fit.aspect, own.fit.values) == ("keep", "stretch", "picture_range")
    for name, value in decoder.state_dict().items():
        assert torch.equal(value, state[name])
        assert torch.equal(value, medsam.state_dict()[name])
        assert torch.equal(value, own.state_dict()[name])
    picture = np.random.default_rng(0).integers(0, 256, (300, 401, 3), dtype=np.uint8)
    found = PictureDecoder(medsam, picture).decode(torch.randn(2, 256), np.zeros(2, bool))
    assert found.logits.shape == (2, 300, 401)
    assert torch.isfinite(found.logits).all()
    assert 0 < (found.logits > 0).float().mean() < 1
    cut = dict(list(state.items())[:-3])
    torch.save(cut, tmp_path / "sam_vit_b_cut.pth")
    with pytest.raises(CheckpointError, match="3 tensors missing"):
        load_sam_decoder(tmp_path / "sam_vit_b_cut.pth")
