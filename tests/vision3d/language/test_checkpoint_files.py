"""Where downloads lie: the layouts of the hub's cache and of the older one, under folders of the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from vision3d.errors import ModelFileError
from vision3d.language.checkpoint_files import check_weights, downloaded_weights

TAG = {"hf_hub": "laion/some-clip/", "url": "https://models.example/clip/some-clip.pt"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without downloads."""
    for name in ("HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def placed(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    return path


def in_hub(hub: Path, file: str) -> Path:
    return placed(hub / "models--laion--some-clip" / "snapshots" / "0f" / file)


def test_the_hub_cache_is_found_where_the_environment_puts_it(home: Path, monkeypatch: pytest.MonkeyPatch):
    usual = in_hub(home / ".cache" / "huggingface" / "hub", "open_clip_model.safetensors")
    assert downloaded_weights("Some", "tag", TAG) == usual
    moved = in_hub(home / "elsewhere" / "hub", "open_clip_pytorch_model.bin")
    monkeypatch.setenv("HF_HOME", str(home / "elsewhere"))
    assert downloaded_weights("Some", "tag", TAG) == moved
    direct = in_hub(home / "direct", "open_clip_model.safetensors")
    monkeypatch.setenv("HF_HUB_CACHE", str(home / "direct"))
    assert downloaded_weights("Some", "tag", TAG) == direct


def test_safetensors_come_before_pickles_and_the_hub_before_the_older_cache(home: Path):
    older = placed(home / ".cache" / "clip" / "some-clip.pt")
    assert downloaded_weights("Some", "tag", TAG) == older
    pickled = in_hub(home / ".cache" / "huggingface" / "hub", "open_clip_pytorch_model.bin")
    assert downloaded_weights("Some", "tag", TAG) == pickled
    safe = pickled.with_name("open_clip_model.safetensors")
    safe.write_bytes(b"weights")
    assert downloaded_weights("Some", "tag", TAG) == safe


def test_a_tag_that_names_its_file_takes_no_other(home: Path):
    in_hub(home / ".cache" / "huggingface" / "hub", "open_clip_model.safetensors")
    with pytest.raises(ModelFileError, match=r"hf download laion/some-clip own\.pt"):
        downloaded_weights("Some", "tag", {"hf_hub": "laion/some-clip/own.pt"})


def test_missing_weights_say_where_to_get_them(home: Path):
    with pytest.raises(ModelFileError) as caught:
        downloaded_weights("Some", "tag", TAG)
    for part in ("'tag' of Some", "hf download laion/some-clip open_clip_model.safetensors", "Some=FILE", str(home)):
        assert part in str(caught.value)
    with pytest.raises(ModelFileError, match=r"get https://models\.example/clip/some-clip\.pt into"):
        downloaded_weights("Some", "tag", {"url": TAG["url"]})


def test_files_of_unreadable_kinds_are_refused(tmp_path: Path):
    (tmp_path / "weights.npz").write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"found '\.npz'"):
        check_weights(tmp_path / "weights.npz")
    with pytest.raises(ModelFileError, match="found none"):
        check_weights(tmp_path / "weights.pt")
