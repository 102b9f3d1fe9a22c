"""Digests against values known from elsewhere, and what they must tell apart."""

from __future__ import annotations

from pathlib import Path

import torch

from vlm_bridge.file_hashes import file_sha256, tensors_sha256


def test_file_digest_is_the_published_one(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1: the digest of "abc".
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_sha256(tmp_path / "abc") == expected


def test_tensor_digest_tells_names_types_shapes_and_values_apart() -> None:
    variants = [
        {"a": torch.zeros(4)},
        {"b": torch.zeros(4)},
        {"a": torch.zeros(2, 2)},
        {"a": torch.zeros(4, dtype=torch.int32)},  # the same bytes as four float zeros
        {"a": torch.tensor([0.0, 0, 0, 1])},
        {"a": torch.zeros(())},
        {"a": torch.zeros(0)},
        {"a": torch.zeros(4, dtype=torch.bfloat16)},
    ]
    assert len({tensors_sha256(tensors) for tensors in variants}) == len(variants)


def test_tensor_digest_ignores_memory_layout() -> None:
    square = torch.arange(9.0).reshape(3, 3)
    assert tensors_sha256({"a": square.T}) == tensors_sha256({"a": square.T.contiguous()})
