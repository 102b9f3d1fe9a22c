"""Photos of the scene: light baked once at vertices (soft sun, sky, bounce), primary rays per pixel, clear-coat shine.

Linear light inside, display (sRGB-like) values out. Needs embreex for the rays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from jaxtyping import Float, Int
from numpy import ndarray

from data.recipes.tabletop.surfaces import Part, joined, shading_normals

_LIGHT_PLACE = np.array([-0.9, -1.25, 2.35])
_LIGHT_SIZE = 0.42
_LIGHT_COLOUR = np.array([1.0, 0.94, 0.84]) * 1.9
_SKY_COLOUR = np.array([0.62, 0.68, 0.78]) * 0.95
_BOUNCE_COLOUR = np.array([0.52, 0.45, 0.37]) * 0.7
_SKY_REACH_M = 0.9
_LIGHT_SAMPLES = 32
_SKY_SAMPLES = 96
_OFFSET_M = 2e-4
_GAMMA = 2.2
_GLOW_LIGHT = 2.0
_BATCH = 400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LitScene:
    """Everything a ray needs to know."""

    tree: EmbreeScene
    """Ray caster over all triangles."""
    faces: Int[ndarray, "face 3"]
    """Vertex rows."""
    normals: Float[ndarray, "vertex 3"]
    """Smoothed unit normals."""
    light: Float[ndarray, "vertex 3"]
    """Baked irradiance, linear RGB."""
    key_share: Float[ndarray, " vertex"]
    """Share of the key light seen, for highlights."""
    uv: Float[ndarray, "vertex 2"]
    """Texture coordinates."""
    face_part: Int[ndarray, " face"]
    """Part of each face."""
    parts: tuple[Part, ...]
    """Materials."""
    part_object: Int[ndarray, " part"]
    """Instance id of each part, 0 for the surroundings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """Where rays ended."""

    face: Int[ndarray, " ray"]
    """Face row, -1 for none."""
    weights: Float[ndarray, "ray 3"]
    """Barycentric weights of the three vertices."""
    distance: Float[ndarray, " ray"]
    """Along the unit direction, metres."""


def unlit_scene(parts: Sequence[Part], part_object: Sequence[int]) -> LitScene:
    """The ray caster in the dark: enough for masks and distances, ready in a second."""
    vertices, faces = joined(parts)
    tree = EmbreeScene()
    TriangleMesh(tree, vertices.astype(np.float32), faces.astype(np.int32))
    return LitScene(
        tree=tree,
        faces=faces,
        normals=np.zeros_like(vertices),
        light=np.zeros_like(vertices),
        key_share=np.zeros(len(vertices)),
        uv=np.concatenate([part.uv for part in parts]),
        face_part=np.repeat(np.arange(len(parts)), [len(part.mesh.faces) for part in parts]),
        parts=tuple(parts),
        part_object=np.asarray(part_object),
    )


def light_scene(
    parts: Sequence[Part],
    part_object: Sequence[int],
    seed: int = 0,
    *,
    light_samples: int = _LIGHT_SAMPLES,
    sky_samples: int = _SKY_SAMPLES,
) -> LitScene:
    """Build the ray caster and bake the light; fewer samples are faster and noisier."""
    dark = unlit_scene(parts, part_object)
    points, normals = joined(parts)[0], shading_normals(parts)
    light, key_share = _bake(dark.tree, points, normals, seed, (light_samples, sky_samples))
    albedo = np.concatenate([_sample(part.material.texture, part.uv, part.material.repeat) for part in parts]) / 255.0
    glow = np.repeat([part.material.glow for part in parts], [len(part.uv) for part in parts])[:, None]
    radiance = albedo**_GAMMA * (light + glow * _GLOW_LIGHT)
    light = light + _bounced(dark, points, normals, radiance, seed + 1, sky_samples)
    return replace(dark, normals=normals, light=light, key_share=key_share)


def _bake(
    tree: EmbreeScene, points: ndarray, normals: ndarray, seed: int, samples: tuple[int, int]
) -> tuple[ndarray, ndarray]:
    rng = np.random.default_rng(seed)
    origins = points + _OFFSET_M * 4 * normals
    key = np.zeros(len(points))
    for _ in range(samples[0]):
        target = _LIGHT_PLACE + _LIGHT_SIZE * (rng.random(3) - 0.5)
        to_light = target - origins
        distance = np.linalg.norm(to_light, axis=1)
        direction = to_light / distance[:, None]
        key += np.where(
            _blocked(tree, origins, direction, distance), 0.0, np.clip((direction * normals).sum(1), 0, None)
        )
    key /= samples[0]
    sky, up = _open_sky(tree, origins, normals, rng, samples[1])
    light = key[:, None] * _LIGHT_COLOUR + up[:, None] * _SKY_COLOUR + (sky - up)[:, None] * _BOUNCE_COLOUR
    return light, key


def _open_sky(
    tree: EmbreeScene, origins: ndarray, normals: ndarray, rng: np.random.Generator, samples: int
) -> tuple[ndarray, ndarray]:
    """Share of the hemisphere free of near things, and the part of it that looks up."""
    sky, up = np.zeros(len(origins)), np.zeros(len(origins))
    reach = np.full(len(origins), _SKY_REACH_M)
    for direction in _hemisphere(normals, rng, samples):
        free = ~_blocked(tree, origins, direction, reach)
        sky += free
        up += free * (0.5 + 0.5 * direction[:, 2])
    return sky / samples, up / samples


def _bounced(dark: LitScene, points: ndarray, normals: ndarray, radiance: ndarray, seed: int, samples: int) -> ndarray:
    """Light that near surfaces send on: what makes shadows take colour and a lamp shine on the table."""
    rng = np.random.default_rng(seed)
    origins = (points + _OFFSET_M * 4 * normals).astype(np.float32)
    face_radiance = radiance[dark.faces].mean(1)
    gathered = np.zeros_like(radiance)
    for direction in _hemisphere(normals, rng, samples):
        for start in range(0, len(origins), _BATCH):
            rows = slice(start, start + _BATCH)
            out = dark.tree.run(origins[rows], direction[rows].astype(np.float32), output=True)
            near = (out["primID"] >= 0) & (out["tfar"] < _SKY_REACH_M)
            gathered[rows][near] += face_radiance[out["primID"][near]]
    return gathered / samples


def _hemisphere(normals: ndarray, rng: np.random.Generator, samples: int) -> Iterator[ndarray]:
    """Cosine-weighted directions, one per normal and round: a golden spiral turned at random for each normal."""
    tangent, bitangent = _frames(normals)
    phase, jitter = rng.random(len(normals)), rng.random(len(normals))
    for sample in range(samples):
        turn = 2 * np.pi * (sample * 0.618034 + phase)
        sine = np.sqrt((sample + jitter) / samples)
        cosine = np.sqrt(np.clip(1 - sine**2, 0, 1))
        yield (
            (sine * np.cos(turn))[:, None] * tangent
            + (sine * np.sin(turn))[:, None] * bitangent
            + cosine[:, None] * normals
        )


def _blocked(tree: EmbreeScene, origins: ndarray, directions: ndarray, reach: ndarray) -> ndarray:
    result = np.empty(len(origins), bool)
    for start in range(0, len(origins), _BATCH):
        part = slice(start, start + _BATCH)
        hit = tree.run(
            origins[part].astype(np.float32), directions[part].astype(np.float32), dists=reach[part].astype(np.float32),
            query="OCCLUDED",
        )  # fmt: skip
        result[part] = hit != -1
    return result


def _frames(normals: ndarray) -> tuple[ndarray, ndarray]:
    helper = np.where(np.abs(normals[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    tangent = np.cross(helper, normals)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-12)
    return tangent, np.cross(normals, tangent)


def cast(scene: LitScene, origins: ndarray, directions: ndarray) -> Hits:
    """First hits of rays with unit directions."""
    out = scene.tree.run(origins.astype(np.float32), directions.astype(np.float32), output=True)
    face = out["primID"].astype(np.int64)
    u, v = np.asarray(out["u"], float), np.asarray(out["v"], float)
    return Hits(face=face, weights=np.stack([1 - u - v, u, v], 1), distance=np.asarray(out["tfar"], float))


def shade(scene: LitScene, hits: Hits, directions: ndarray, points: ndarray) -> Float[ndarray, "ray 3"]:
    """Linear radiance towards the camera of every hit; 0 where nothing was hit."""
    colour = np.zeros((len(hits.face), 3))
    valid = hits.face >= 0
    vertex = scene.faces[hits.face[valid]]
    weights = hits.weights[valid][:, :, None]
    light = (scene.light[vertex] * weights).sum(1)
    key = (scene.key_share[vertex] * weights[..., 0]).sum(1)
    normal = (scene.normals[vertex] * weights).sum(1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    uv = (scene.uv[vertex] * weights).sum(1)
    to_light = _LIGHT_PLACE - points[valid]
    to_light /= np.linalg.norm(to_light, axis=1, keepdims=True)
    half = to_light - directions[valid]
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    shine = np.clip((normal * half).sum(1), 0, 1)
    part = scene.face_part[hits.face[valid]]
    result = np.zeros((len(part), 3))
    order = np.argsort(part, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(part[order])) + 1) if len(part) else ():
        number = part[rows[0]]
        material = scene.parts[number].material
        albedo = (_sample(material.texture, uv[rows], material.repeat) / 255.0) ** _GAMMA
        highlight = (
            material.gloss
            * 0.5
            * (shine[rows] ** material.shininess)
            * (key[rows] > 0.02)
            * np.clip(key[rows] * 3, 0, 1)
        )
        result[rows] = albedo * (light[rows] + material.glow * _GLOW_LIGHT) + highlight[:, None] * _LIGHT_COLOUR
    colour[valid] = result
    return colour


def to_display(linear: ndarray) -> ndarray:
    """Display values 0-1: a soft shoulder, then gamma."""
    exposed = 0.86 * linear
    curved = exposed * (1 + exposed / 6.0) / (1 + 0.55 * exposed)
    return np.clip(curved, 0, 1) ** (1 / _GAMMA)


def _sample(texture: ndarray, uv: ndarray, repeat: bool) -> ndarray:
    height, width = texture.shape[:2]
    x, y = uv[:, 0] * width - 0.5, uv[:, 1] * height - 0.5
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - x0)[:, None], (y - y0)[:, None]

    def at(row: ndarray, column: ndarray) -> ndarray:
        if repeat:
            return texture[row % height, column % width].astype(float)
        return texture[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)].astype(float)

    upper = at(y0, x0) * (1 - fx) + at(y0, x0 + 1) * fx
    lower = at(y0 + 1, x0) * (1 - fx) + at(y0 + 1, x0 + 1) * fx
    return upper * (1 - fy) + lower * fy
