"""Thresholds that the calibration of an encoder reads off measured relevances."""

from __future__ import annotations

import numpy as np

from benchmarks.calibrate_encoder import Relevances, thresholds


def _measured(present: list[float], absent: list[float]) -> Relevances:
    return Relevances(present=np.array(present), absent=np.array(absent))


def test_nineteen_of_twenty_present_phrases_are_answered_and_one_absent_in_fifty_is_found() -> None:
    rng = np.random.default_rng(0)
    present, absent = rng.uniform(0.2, 1.0, 2000), rng.uniform(0.0, 0.6, 2000)
    found, uncertain = thresholds([_measured(list(present), list(absent))])
    assert (present >= uncertain).mean() >= 0.95
    assert (present >= uncertain).mean() < 0.955
    assert (absent >= found).mean() <= 0.02
    assert (absent >= found).mean() > 0.018


def test_what_is_found_is_at_least_uncertain() -> None:
    found, uncertain = thresholds([_measured([0.9, 0.8], [0.1, 0.2, 0.3])])
    assert found == uncertain == 0.8


def test_scenes_are_pooled() -> None:
    one, other = _measured([0.9, 0.6], [0.1]), _measured([0.8], [0.5, 0.2])
    together = _measured([0.9, 0.6, 0.8], [0.1, 0.5, 0.2])
    assert thresholds([one, other]) == thresholds([together])
