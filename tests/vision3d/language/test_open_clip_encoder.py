"""Models of open_clip as encoders: the kind that is shipped, and one of the published architectures at full size."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize

from tests.vision3d.language.small_models import (
    DIM,
    SIZE,
    WORDS,
    random_model,
    small_config,
    small_encoder,
    written_model,
)
from vision3d.errors import InvalidInputError, ModelFileError
from vision3d.language.catalogue import load_encoder
from vision3d.language.checkpoint_files import CONFIG_NAME, VOCABULARY_NAME, WEIGHT_NAMES
from vision3d.language.image_text_encoder import ImageTextEncoder, check_same_encoder
from vision3d.language.mask_features import encode_masks
from vision3d.language.open_clip_door import build_model, known_config
from vision3d.language.open_clip_encoder import OpenClipEncoder
from vision3d.language.word_tokenizer import WordTokenizer

PICTURES = torch.rand(5, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(3))


def edited(folder: Path, **changes: object) -> Path:
    """The model folder with entries of its model_cfg replaced."""
    path = folder / CONFIG_NAME
    content = json.loads(path.read_text(encoding="utf-8"))
    content["model_cfg"] |= changes
    path.write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_is_an_encoder_of_the_contract(encoder: OpenClipEncoder):
    assert isinstance(encoder, ImageTextEncoder)
    assert (encoder.dim, encoder.image_size) == (DIM, SIZE)
    assert encoder.encoder_id.startswith("small/")


def test_half_precision_weights_give_the_vectors_of_the_model_in_single_precision(encoder: OpenClipEncoder):
    model = random_model(small_config()).half().float()  # rounded as on disk
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    deviation = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    tokens = WordTokenizer(WORDS, context_length=24)(["red mug", "shelf"])
    with torch.no_grad():
        pictures = normalize(model.encode_image((PICTURES - mean) / deviation), dim=-1)
        texts = normalize(model.encode_text(tokens), dim=-1)
    torch.testing.assert_close(encoder.encode_images(PICTURES), pictures, atol=1e-5, rtol=0)
    torch.testing.assert_close(encoder.encode_texts(["a red mug!", "the shelves"]), texts, atol=1e-5, rtol=0)


def test_vectors_are_unit_and_fit_for_training(encoder: OpenClipEncoder):
    for vectors in (encoder.encode_images(PICTURES), encoder.encode_texts(["red mug", "zebra"])):
        assert vectors.dtype == torch.float32
        torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(len(vectors)))
        weights = torch.ones(DIM, requires_grad=True)
        (vectors @ weights).sum().backward()  # a tensor of inference mode would refuse


def test_batches_equal_one_by_one(encoder: OpenClipEncoder):
    texts = ["red mug", "blue", "shelf of mugs"]
    alone = torch.cat([encoder.encode_images(picture[None]) for picture in PICTURES])
    torch.testing.assert_close(encoder.encode_images(PICTURES), alone, atol=1e-5, rtol=0)
    alone = torch.cat([encoder.encode_texts([text]) for text in texts])
    torch.testing.assert_close(encoder.encode_texts(texts), alone, atol=1e-5, rtol=0)
    assert encoder.encode_images(PICTURES[:0]).shape == (0, DIM)
    assert encoder.encode_texts([]).shape == (0, DIM)


def test_the_text_is_read_off_its_end_mark(encoder: OpenClipEncoder):
    """The end mark sees all words before it and no padding, so that only the words and their order count."""
    model = build_model(small_config())
    model.load_state_dict({name: tensor.float() for name, tensor in random_model(small_config()).state_dict().items()})
    tokens = WordTokenizer(WORDS, context_length=24)(["red mug"])
    places = tokens.argmax(-1)
    assert places.tolist() == [3]
    noisy = tokens.clone()
    noisy[0, 4:] = 3  # words in place of the padding
    with torch.no_grad():
        torch.testing.assert_close(model.eval().encode_text(noisy), model.encode_text(tokens))
    red_mug, mug_red = encoder.encode_texts(["red mug", "mug red"])
    assert (red_mug - mug_red).abs().max() > 1e-3


def test_unknown_words_are_named(encoder: OpenClipEncoder):
    assert encoder.unknown_words("a red zebra on the shelf") == ("zebra", "on")
    assert encoder.unknown_words("red mugs") == ()


@pytest.mark.usefixtures("unchecked_shapes")
def test_pictures_of_another_size_are_refused(encoder: OpenClipEncoder):
    with pytest.raises(InvalidInputError, match=r"\(3, 64, 64\), found \(3, 32, 64\)"):
        encoder.encode_images(torch.zeros(1, 3, 32, 64))


def test_ids_tell_weights_configurations_and_statistics_apart(encoder: OpenClipEncoder, tmp_path: Path):
    same = small_encoder(tmp_path / "copy" / "small")
    assert same.encoder_id == encoder.encoder_id
    check_same_encoder(same.encoder_id, encoder, "a copy")
    clip = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}
    stated = written_model(tmp_path / "stated" / "small", preprocess=clip)
    assert OpenClipEncoder.from_folder(stated).encoder_id == encoder.encoder_id
    gated = OpenClipEncoder.from_folder(written_model(tmp_path / "gated" / "small", preprocess={"cosine_gate": 0.3}))
    assert (gated.encoder_id, gated.cosine_gate, encoder.cosine_gate) == (encoder.encoder_id, 0.3, 0.23)
    others = [
        small_encoder(tmp_path / "weights" / "small", seed=1),
        OpenClipEncoder.from_folder(edited(written_model(tmp_path / "config" / "small"), quick_gelu=True)),
        OpenClipEncoder.from_folder(written_model(tmp_path / "mean" / "small", preprocess={"mean": [0.5, 0.5, 0.5]})),
    ]
    ids = [encoder.encoder_id, *(other.encoder_id for other in others)]
    assert len(set(ids)) == 4
    for other in others:
        with pytest.raises(InvalidInputError, match=f"Scene file: expected vectors of encoder {other.encoder_id}"):
            check_same_encoder(encoder.encoder_id, other, "Scene file")


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_model_that_says_so_sees_pictures_both_ways_round(encoder: OpenClipEncoder, tmp_path: Path):
    both = OpenClipEncoder.from_folder(written_model(tmp_path / "both" / "small", preprocess={"mirrored": True}))
    pictures = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = both.encode_images(pictures)
    assert not torch.allclose(encoder.encode_images(pictures), encoder.encode_images(pictures.flip(-1)), atol=1e-4)
    torch.testing.assert_close(both.encode_images(pictures.flip(-1)), found)
    halves = encoder.encode_images(pictures) + encoder.encode_images(pictures.flip(-1))
    torch.testing.assert_close(found, halves / halves.norm(dim=1, keepdim=True))
    with pytest.raises(InvalidInputError, match="found vectors of"):
        check_same_encoder(encoder.encoder_id, both, "Scene file")


@pytest.mark.parametrize("wrapped", [False, True])
def test_torch_checkpoints_are_read_without_running_them(encoder: OpenClipEncoder, tmp_path: Path, wrapped: bool):
    folder = written_model(tmp_path / "small")
    state = load_file(folder / WEIGHT_NAMES[0])
    (folder / WEIGHT_NAMES[0]).unlink()
    torch.save({"state_dict": state, "epoch": 3} if wrapped else state, folder / WEIGHT_NAMES[1])
    found = OpenClipEncoder.from_folder(folder).encode_images(PICTURES)
    torch.testing.assert_close(found, encoder.encode_images(PICTURES))


class Trap:
    """Code in a pickle."""

    def __reduce__(self) -> tuple:
        return Path.touch, (Path("trap-was-sprung"),)


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    folder = written_model(tmp_path / "small")
    (folder / WEIGHT_NAMES[0]).unlink()
    torch.save({"state_dict": Trap()}, folder / WEIGHT_NAMES[1])
    with pytest.raises(ModelFileError, match="expected weights of small"):
        OpenClipEncoder.from_folder(folder)
    assert not Path("trap-was-sprung").exists()


def test_cut_and_foreign_weights_are_refused(tmp_path: Path):
    folder = written_model(tmp_path / "small")
    weights = folder / WEIGHT_NAMES[0]
    content, state = weights.read_bytes(), load_file(weights)
    for length in (0, 7, 1000, len(content) - 1):
        weights.write_bytes(content[:length])
        with pytest.raises(ModelFileError, match=r"open_clip_model\.safetensors: expected weights of small"):
            OpenClipEncoder.from_folder(folder)
    incomplete = {name: tensor for name, tensor in state.items() if "attnpool" not in name}
    for foreign in ({"a": torch.zeros(2)}, incomplete):
        save_file(foreign, weights)
        with pytest.raises(ModelFileError, match="architecture is the checkpoint's own"):
            OpenClipEncoder.from_folder(folder)


def test_configurations_that_make_no_model_are_refused(tmp_path: Path):
    folder = written_model(tmp_path / "small")
    for changes, named in [
        ({"vision_cfg": {"layers": "many"}}, "builds none"),
        ({"text_cfg": {**small_config()["text_cfg"], "depth": 3}}, "depth"),
        ({"embed_dim": 32}, "expected weights of small"),
        ({"text_cfg": {**small_config()["text_cfg"], "vocab_size": 99}}, "vocab_size 14 for its vocabulary of 10"),
    ]:
        wrong = edited(shutil.copytree(folder, tmp_path / "wrong" / "small"), **changes)
        with pytest.raises(ModelFileError, match=named):
            OpenClipEncoder.from_folder(wrong)
        shutil.rmtree(wrong)


@pytest.mark.parametrize(
    "statistics", [{"mean": [0.5, 0.5]}, {"std": [1, 1, 0]}, {"mean": "bright"}, {"std": [None, 1, 1]}, {"mean": 0.5}]
)
def test_pixel_statistics_that_make_no_sense_are_refused(tmp_path: Path, statistics: dict):
    with pytest.raises(ModelFileError, match="three numbers as mean"):
        OpenClipEncoder.from_folder(written_model(tmp_path / "small", preprocess=statistics))


def test_stated_pixel_statistics_are_used(encoder: OpenClipEncoder, tmp_path: Path):
    bright = {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}
    plain = OpenClipEncoder.from_folder(written_model(tmp_path / "small", preprocess=bright))
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    deviation = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    found = plain.encode_images((PICTURES - mean) / deviation)
    torch.testing.assert_close(found, encoder.encode_images(PICTURES), atol=1e-5, rtol=0)


@pytest.mark.parametrize("missing", [CONFIG_NAME, WEIGHT_NAMES[0]])
def test_folders_without_a_file_are_refused(tmp_path: Path, missing: str):
    folder = written_model(tmp_path / "small")
    (folder / missing).unlink()
    with pytest.raises(ModelFileError, match=missing):
        OpenClipEncoder.from_folder(folder)


def test_without_its_vocabulary_the_model_takes_open_clips_tokenizer(tmp_path: Path):
    folder = written_model(tmp_path / "small")
    (folder / VOCABULARY_NAME).unlink()
    assert OpenClipEncoder.from_folder(folder).unknown_words("zebra") == ()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of downloads that holds ViT-B-16 at its true size, with repeated random numbers for weights."""
    cache = tmp_path_factory.mktemp("hub")
    snapshot = cache / "models--laion--CLIP-ViT-B-16-laion2B-s34B-b88K" / "snapshots" / "1a2b"
    snapshot.mkdir(parents=True)
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in build_model(known_config("ViT-B-16")).state_dict().items()}
    assert sum(shape.numel() for shape in shapes.values()) == 149_620_737  # as published
    block = torch.randn(1_000_003, generator=torch.Generator().manual_seed(0)).half() * 0.03
    state = {}
    for place, (name, shape) in enumerate(shapes.items()):
        repeats = -(-shape.numel() // len(block))
        state[name] = block.roll(17 * place).repeat(repeats)[: shape.numel()].reshape(shape).contiguous()
        if name.endswith("weight") and len(shape) == 1:  # of the layer norms
            state[name] = torch.ones(shape, dtype=torch.float16)
    save_file(state, snapshot / WEIGHT_NAMES[0])
    return cache


def test_vit_b_16_at_full_size_encodes_masks_of_a_photo_and_phrases(
    hub: Path, encoder: OpenClipEncoder, monkeypatch: pytest.MonkeyPatch, checkout: Path
):
    monkeypatch.setenv("HF_HUB_CACHE", str(hub))
    large = load_encoder("ViT-B-16/laion2b_s34b_b88k")
    assert (large.dim, large.image_size, large.cosine_gate) == (512, 224, 0.23)
    photo = torch.from_numpy(np.asarray(Image.open(checkout / "data" / "tabletop" / "images" / "view_000.jpg")).copy())
    labels = torch.full((2, *photo.shape[:2]), -1)
    labels[0, 20:90, 30:150], labels[0, 100:200, 60:120], labels[1, 10:240, 10:240] = 0, 1, 0
    found = encode_masks(photo, labels, large)
    assert found.vectors.shape == (3, 512)
    assert (found.vectors[0] - found.vectors[1]).abs().max() > 1e-3
    texts = large.encode_texts(["a red mug", "a wooden shelf"])
    for vectors in (found.vectors, texts):
        torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(len(vectors)))
    assert (texts[0] - texts[1]).abs().max() > 1e-3
    assert large.unknown_words("a gnarled zebra") == ()
    with pytest.raises(InvalidInputError, match="Encode the masks again"):
        check_same_encoder(found.encoder_id, encoder, "Mask features")
