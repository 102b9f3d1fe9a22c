"""The rule for pairs of neighbouring regions, fitted on regions whose true things are known."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from tqdm import tqdm

from vision3d.masks.contour_network import ContourNetwork, contour_maps
from vision3d.masks.contours import ContourSettings, small_regions
from vision3d.masks.region_graph import RegionGraph

_PURE_SHARE = 0.8


def fit_pair_rule(
    network: ContourNetwork, photos: Tensor, instances: Tensor, *, views: int = 120, seed: int = 0
) -> None:
    """Set the network's `pair_weights` by logistic regression on pairs met while true things are put together."""
    rng = np.random.default_rng(seed)
    features, apart = [], []
    for view in tqdm(rng.permutation(len(photos))[:views], desc="pairs"):
        image, truth = photos[view].permute(1, 2, 0).numpy(), instances[view].numpy().astype(np.int64)
        maps = contour_maps(network, image)
        fine = small_regions(maps.borders[0], ContourSettings().quiet)
        pieces = RegionGraph(fine, maps).merged(lambda graph, a, b: graph.border(a, b, 0), apart_threshold=0.5)
        for regions in (fine, pieces):
            _meet(RegionGraph(regions, maps), _owners(regions, truth), rng, features, apart)
    rule = LogisticRegression(fit_intercept=False, C=10.0, max_iter=500).fit(np.stack(features), np.array(apart))
    network.pair_weights.data = torch.from_numpy(rule.coef_[0].astype(np.float32))


def _owners(regions: np.ndarray, truth: np.ndarray) -> list[int]:
    """Instance of each region; -1 where no instance has most of it."""
    owners = []
    order = np.argsort(regions.ravel(), kind="stable")
    values = truth.ravel()[order]
    for part in np.split(values, np.cumsum(np.bincount(regions.ravel()))[:-1]):
        names, counts = np.unique(part, return_counts=True)
        owners.append(int(names[counts.argmax()]) if counts.max() >= _PURE_SHARE * len(part) else -1)
    return owners


def _meet(
    graph: RegionGraph, owners: list[int], rng: np.random.Generator, features: list[np.ndarray], apart: list[bool]
) -> None:
    """Pairs of the regions as they are, and as they are after every second true merger was made."""
    for _ in range(2):
        pairs = [(a, b) for a, b in graph.neighbours() if owners[a] >= 0 and owners[b] >= 0]
        for a, b in pairs:
            features.append(graph.features(a, b))
            apart.append(owners[a] != owners[b])
        for a, b in pairs:
            if owners[a] == owners[b] and rng.random() < 0.6 and graph.root(a) != graph.root(b):
                graph.join(graph.root(a), graph.root(b))
