"""Thresholds that the calibration of an encoder reads off measured relevances."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.calibrate_encoder import Relevances, thresholds


def _measured(present: list[float], absent: list[float]) -> Relevances:
    return Relevances(present=np.array(present), absent=np.array(absent))


def test_kinds_that_lie_apart_are_parted_between_them() -> None:
    found, uncertain = thresholds([_measured([0.9, 0.8, 0.7], [0.1, 0.2, 0.3])])
    assert 0.3 < uncertain <= 0.7
    assert found == uncertain, "nothing absent comes near, so whatever is answered is found"


def test_where_they_mix_equal_shares_of_both_are_decided_wrongly() -> None:
    rng = np.random.default_rng(0)
    present, absent = rng.normal(0.7, 0.1, 4000), rng.normal(0.4, 0.1, 2000)
    found, uncertain = thresholds([_measured(list(present), list(absent))])
    missed, believed = (present < uncertain).mean(), (absent >= uncertain).mean()
    assert missed == pytest.approx(believed, abs=0.003)
    assert uncertain == pytest.approx(0.55, abs=0.01), "halfway between two bells of one width"
    assert (absent >= found).mean() == pytest.approx(0.01, abs=0.002)


def test_scenes_are_pooled() -> None:
    one, other = _measured([0.9, 0.6], [0.1]), _measured([0.8], [0.5, 0.2])
    together = _measured([0.9, 0.6, 0.8], [0.1, 0.5, 0.2])
    assert thresholds([one, other]) == thresholds([together])
