"""A start for the vision tower in which it computes as a convolutional network does.

A transformer of patches that starts from noise first has to find out which patches lie beside each other. Here half of
the width holds each patch's place as sines and cosines, and the heads of a layer look at four neighbours by them:
queries are places moved by an offset, keys are places (attention can be a convolution: Cordonnier et al. 2020).
The other half holds the patch's content as a discrete cosine transform. Nothing is fixed: all of it goes on learning.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

_SHARPNESS = 1.5
"""Scale of the queries: a head then sees the place it looks at with nine tenths of its attention."""
_BRANCH = 0.5
"""Share of each branch that is added to the stream."""
_TOP = 0.75 * math.pi
"""Highest frequency of places, radians per patch."""
_AXES = ((0, 1), (0, -1), (1, 0), (-1, 0))
_CORNERS = ((1, 1), (1, -1), (-1, 1), (-1, -1))
_LOOKS = ((_AXES, 1), (_CORNERS, 1), (_AXES, 2), (_CORNERS, 1), (_AXES, 1), (_CORNERS, 2))
"""Directions and distance of each layer's four heads; layers behind these look for what is alike."""


@torch.no_grad()
def start_as_convolution(tower: Any) -> None:
    """Set the weights of an InternVL vision tower with four heads, a square grid and normalised queries and keys."""
    embeddings, width = tower.embeddings, tower.config.hidden_size
    half, patch = width // 2, tower.config.patch_size[0]
    side = round((embeddings.position_embeddings.shape[1] - 1) ** 0.5)
    embeddings.cls_token.zero_()
    embeddings.position_embeddings.zero_()
    embeddings.position_embeddings[0, 1:, :half] = places(side, half)
    projection = embeddings.patch_embeddings.projection
    projection.bias.zero_()
    projection.weight.zero_()
    projection.weight[half:] = cosine_filters(half, patch)
    for number, layer in enumerate(tower.encoder.layer):
        _start_attention(layer.attention, half, _LOOKS[number] if number < len(_LOOKS) else None)
        _start_branches(layer, half)


def places(side: int, width: int) -> Float[Tensor, "patch width"]:
    """Sines and cosines of row and column of each patch, one quarter of `width` each."""
    angles = torch.arange(side).float()[:, None] * _frequencies(width // 4)
    waves = torch.cat([angles.sin(), angles.cos()], 1)
    rows, columns = waves[:, None].expand(-1, side, -1), waves[None].expand(side, -1, -1)
    return torch.cat([rows, columns], 2).flatten(0, 1)


def cosine_filters(count: int, patch: int) -> Float[Tensor, "filter 3 patch patch"]:
    """The lowest frequencies of brightness and, a fifth each, of two colour differences; high ones amplified."""
    steps = torch.arange(patch) + 0.5
    waves = torch.stack([torch.cos(math.pi * steps * number / patch) for number in range(patch)])
    waves = waves / waves.norm(dim=1, keepdim=True)
    pairs = ((row, column) for row in range(patch) for column in range(patch))
    lowest = sorted(pairs, key=lambda pair: (math.hypot(*pair), pair))
    directions = torch.tensor([[1.0, 1, 1], [1, -1, 0], [0.5, 0.5, -1]])
    directions = directions / directions.norm(dim=1, keepdim=True)
    shares = (count - 2 * (count // 5), count // 5, count // 5)
    filters = [
        torch.einsum("c,i,j->cij", direction, waves[row], waves[column]) * (1 + math.hypot(row, column)) / patch
        for direction, share in zip(directions, shares, strict=True)
        for row, column in lowest[:share]
    ]
    return torch.stack(filters)


def _frequencies(count: int) -> Tensor:
    return torch.arange(1, count + 1) / count * _TOP


def _start_attention(attention: Any, half: int, looks: tuple[tuple[tuple[int, int], ...], int] | None) -> None:
    query, key = attention.q_proj.weight, attention.k_proj.weight
    if looks is None:
        query.normal_(0, len(query) ** -0.5)
        key.copy_(query)
        return
    directions, distance = looks
    query.zero_()
    key.zero_()
    count = half // 4
    frequencies = _frequencies(count)[1::2]
    kept = len(frequencies)
    for head, direction in enumerate(directions):
        for axis, step in enumerate(direction):
            turn = frequencies * step * distance
            sines = axis * 2 * count + torch.arange(count)[1::2]
            cosines = sines + count
            first = (head * 2 + axis) * 2 * kept + torch.arange(kept)
            key[first, sines] = 1
            key[first + kept, cosines] = 1
            query[first, sines], query[first, cosines] = turn.cos(), turn.sin()
            query[first + kept, cosines], query[first + kept, sines] = turn.cos(), -turn.sin()
    attention.q_norm.weight.fill_(_SHARPNESS)


def _start_branches(layer: Any, half: int) -> None:
    """Values and inner layers read the content alone and write into it alone."""
    attention, inner = layer.attention, layer.mlp
    for module, reads, scale in (
        (attention.v_proj, True, 1.0), (attention.projection_layer, False, 1.0),
        (inner.fc1, True, 1.4), (inner.fc2, False, 1.0),
    ):  # fmt: skip
        inputs = half if reads else module.weight.shape[1]
        module.weight.normal_(0, scale * inputs**-0.5)
        if reads:
            module.weight[:, :half] = 0
        else:
            module.weight[:half] = 0
    for module in (
        attention.q_proj,
        attention.k_proj,
        attention.v_proj,
        attention.projection_layer,
        inner.fc1,
        inner.fc2,
    ):
        if module.bias is not None:
            module.bias.zero_()
    layer.lambda_1.fill_(_BRANCH)
    layer.lambda_2.fill_(_BRANCH)
