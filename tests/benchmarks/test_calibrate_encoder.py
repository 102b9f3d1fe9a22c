"""Thresholds that the calibration of an encoder reads off measured relevances."""

from __future__ import annotations

import numpy as np

from benchmarks.calibrate_encoder import Relevances, thresholds


def _measured(present: list[float], absent: list[float]) -> Relevances:
    return Relevances(present=np.array(present), absent=np.array(absent))


def test_one_absent_phrase_in_twenty_is_answered_and_one_in_a_hundred_found() -> None:
    absent = np.random.default_rng(0).uniform(0.0, 0.6, 2000)
    found, uncertain = thresholds([_measured([0.9], list(absent))])
    assert (absent >= uncertain).mean() <= 0.05
    assert (absent >= uncertain).mean() > 0.045
    assert (absent >= found).mean() <= 0.01
    assert (absent >= found).mean() > 0.008


def test_few_phrases_are_taken_on_the_safe_side() -> None:
    found, uncertain = thresholds([_measured([0.9, 0.8], [0.1, 0.2, 0.3])])
    assert found == uncertain > 0.3, "none of three may be answered"


def test_scenes_are_pooled() -> None:
    one, other = _measured([0.9, 0.6], [0.1]), _measured([0.8], [0.5, 0.2])
    together = _measured([0.9, 0.6, 0.8], [0.1, 0.5, 0.2])
    assert thresholds([one, other]) == thresholds([together])
