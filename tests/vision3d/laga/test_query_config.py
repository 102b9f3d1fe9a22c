"""Thresholds that mean nothing are refused."""

from __future__ import annotations

import pytest

from vision3d.errors import InvalidInputError
from vision3d.laga.query_config import FUSIONS, QueryConfig


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fusion": "median"}, "a fusion of best, mean, max"),
        ({"selection_threshold": 1.2}, "thresholds in 0-1"),
        ({"quantile": -0.1}, "thresholds in 0-1"),
        ({"render_threshold": 2.0}, "thresholds in 0-1"),
        ({"neighbours": 0}, "at least 1 neighbour"),
        ({"sigma_space": 0.0}, "positive sigmas"),
        ({"sigma_score": -1.0}, "positive sigmas"),
        ({"top": 0}, "top of at least 1, found 0"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, str | float], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        QueryConfig(**wrong)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion_is_taken(fusion: str) -> None:
    assert QueryConfig(fusion=fusion, top=1, neighbours=1, quantile=0.0, selection_threshold=1.0).fusion == fusion
