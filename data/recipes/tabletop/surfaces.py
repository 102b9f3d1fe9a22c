"""`Part`: a textured piece of an object, and the few ways pieces are made: sheets, lathe, tube, box.

Frame: metres, z up; an object stands on z = 0 and shows its front to -y. Every builder lays a grid of points that,
seen from outside, has its columns to the right and its rows downwards, so triangles face outwards and (u, v) reads
like an image: u to the right, v down, both 0-1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import trimesh
from jaxtyping import Float, Int, UInt8
from numpy import ndarray

STEP_M = 0.006
"""Usual grid spacing: fine enough for light baked at vertices to show contact shadows."""
_CORNER_RADIANS = np.deg2rad(35.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """How a part answers light."""

    texture: UInt8[ndarray, "height width 3"]
    """Albedo as display (sRGB) values; row 0 is v = 0."""
    gloss: float = 0.0
    """Strength of the clear coat, 0 (matt) to 1 (glazed)."""
    shininess: float = 40.0
    """Exponent of the highlight: larger is sharper."""
    glow: float = 0.0
    """Emitted light as a multiple of the albedo."""
    repeat: bool = False
    """True: the texture tiles beyond 0-1; False: its border is stretched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A mesh with one material."""

    mesh: trimesh.Trimesh
    """Triangles facing outwards; vertices are shared only where the surface is smooth."""
    uv: Float[ndarray, "vertex 2"]
    """Texture coordinates, v down."""
    material: Material
    telling: bool = field(default=False)
    """True: this piece carries what tells the object's name or picture."""

    def moved(self, matrix: Float[ndarray, "4 4"]) -> Part:
        """The same part under a rigid or scaling transform."""
        mesh = self.mesh.copy()
        mesh.apply_transform(matrix)
        return replace(self, mesh=mesh)


Parts = tuple[Part, ...]


def moved(parts: Sequence[Part], matrix: Float[ndarray, "4 4"]) -> Parts:
    """All parts under one transform."""
    return tuple(part.moved(matrix) for part in parts)


def placement(
    *, offset: Sequence[float] = (0, 0, 0), yaw: float = 0.0, tilt: float = 0.0, roll: float = 0.0, scale: float = 1.0
) -> Float[ndarray, "4 4"]:
    """Scale, roll about y, tilt about x, yaw about z (degrees, in that order), then shift.

    Example:
        >>> (placement(yaw=90) @ [1, 0, 0, 1]).round(6).tolist()
        [0.0, 1.0, 0.0, 1.0]
    """
    rotations = [
        trimesh.transformations.rotation_matrix(np.deg2rad(angle), axis)
        for angle, axis in ((yaw, (0, 0, 1)), (tilt, (1, 0, 0)), (roll, (0, 1, 0)))
    ]
    matrix = rotations[0] @ rotations[1] @ rotations[2]
    matrix[:3, :3] *= scale
    matrix[:3, 3] = offset
    return matrix


def sheet(points: Float[ndarray, "row column 3"], material: Material, *, telling: bool = False) -> Part:
    """A part over a grid of points; u runs along columns and v along rows."""
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1].ravel(), index[1:, :-1].ravel(), index[1:, 1:].ravel(), index[:-1, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    u, v = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    mesh = trimesh.Trimesh(points.reshape(-1, 3), faces, process=False)
    return Part(mesh=mesh, uv=np.stack([u.ravel(), v.ravel()], 1), material=material, telling=telling)


def flat(
    corner: Sequence[float],
    right: Sequence[float],
    down: Sequence[float],
    material: Material,
    *,
    step: float = STEP_M,
    telling: bool = False,
) -> Part:
    """A flat parallelogram from its top-left corner as seen from outside."""
    origin, across, along = (np.asarray(value, float) for value in (corner, right, down))
    columns = max(2, int(np.ceil(np.linalg.norm(across) / step)) + 1)
    rows = max(2, int(np.ceil(np.linalg.norm(along) / step)) + 1)
    u, v = np.linspace(0, 1, columns), np.linspace(0, 1, rows)
    points = origin + u[None, :, None] * across + v[:, None, None] * along
    return sheet(points, material, telling=telling)


def box(
    size: Sequence[float],
    faces: Mapping[str, Material],
    *,
    step: float = STEP_M,
    telling: frozenset[str] = frozenset(),
) -> Parts:
    """Six sides of a box on z = 0; `faces` names front, back, left, right, top, bottom, or `other` for the rest."""
    x, y, z = size[0] / 2, size[1] / 2, size[2]
    frames = {
        "front": ((-x, -y, z), (2 * x, 0, 0), (0, 0, -z)),
        "right": ((x, -y, z), (0, 2 * y, 0), (0, 0, -z)),
        "back": ((x, y, z), (-2 * x, 0, 0), (0, 0, -z)),
        "left": ((-x, y, z), (0, -2 * y, 0), (0, 0, -z)),
        "top": ((-x, y, z), (2 * x, 0, 0), (0, -2 * y, 0)),
        "bottom": ((-x, -y, 0), (2 * x, 0, 0), (0, 2 * y, 0)),
    }
    return tuple(
        flat(corner, right, down, faces[side] if side in faces else faces["other"], step=step, telling=side in telling)
        for side, (corner, right, down) in frames.items()
    )


def lathe(
    profile: Sequence[tuple[float, float]] | Float[ndarray, "point 2"],
    material: Material,
    *,
    sections: int = 64,
    step: float = STEP_M,
    arc: tuple[float, float] = (-180.0, 180.0),
    telling: bool = False,
) -> Part:
    """A surface of revolution about z; `profile` is (radius, height) from the inside out or from the top down.

    u runs anticlockwise over `arc` in degrees, measured from the front (-y); v along the profile's length.
    """
    radius_height, v = _resample(np.asarray(profile, float), step)
    angles = np.deg2rad(np.linspace(*arc, sections + 1) - 90.0)
    radius, height = radius_height[:, :1], radius_height[:, 1:]
    points = np.stack([radius * np.cos(angles), radius * np.sin(angles), np.repeat(height, len(angles), 1)], -1)
    part = sheet(points, material, telling=telling)
    return replace(part, uv=np.stack([part.uv[:, 0], np.repeat(v, len(angles))], 1))


def tube(
    path: Float[ndarray, "point 3"],
    radii: float | Sequence[float] | Float[ndarray, " point"],
    material: Material,
    *,
    sections: int = 16,
    flatten: float = 1.0,
) -> Part:
    """A round tube along a path; `flatten` scales its thickness across the path's plane. Ends stay open."""
    path = np.asarray(path, float)
    radius = np.broadcast_to(np.asarray(radii, float), len(path))
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    across = np.cross(tangent[0], (0.3, 0.9, 0.1) if abs(tangent[0, 1]) < 0.9 else (1.0, 0.2, 0.1))
    normal, binormal = np.empty_like(path), np.empty_like(path)
    for row, direction in enumerate(tangent):
        across = across - direction * (across @ direction)
        across /= np.linalg.norm(across)
        normal[row], binormal[row] = across, np.cross(direction, across)
    angles = np.linspace(0, 2 * np.pi, sections + 1)[:, None]
    ring = np.cos(angles)[None] * normal[:, None] - flatten * np.sin(angles)[None] * binormal[:, None]
    return sheet(path[:, None] + radius[:, None, None] * ring, material)


def ball_part(radius: float, material: Material, *, stretch: Sequence[float] = (1, 1, 1), step: float = STEP_M) -> Part:
    """An ellipsoid about the origin."""
    turn = np.linspace(0, np.pi, max(9, int(np.pi * radius / step)))
    profile = radius * np.stack([np.sin(turn), np.cos(turn)], 1)
    part = lathe(profile, material, sections=max(16, int(2 * np.pi * radius / step)), step=step)
    return part.moved(np.diag([*stretch, 1.0]))


def smooth_curve(
    points: Sequence[Sequence[float] | ndarray] | ndarray, count: int = 24
) -> Float[ndarray, "point axis"]:
    """A Catmull-Rom curve through the points."""
    knots = np.asarray(points, float)
    padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    position = np.linspace(0, len(knots) - 1, count)
    segment = np.minimum(position.astype(int), len(knots) - 2)
    t = (position - segment)[:, None]
    p0, p1, p2, p3 = (padded[segment + shift] for shift in range(4))
    return 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)


def joined(parts: Sequence[Part]) -> tuple[Float[ndarray, "vertex 3"], Int[ndarray, "face 3"]]:
    """Vertices and faces of all parts in order, nothing merged."""
    offsets = np.cumsum([0] + [len(part.mesh.vertices) for part in parts])
    faces = [part.mesh.faces + shift for part, shift in zip(parts, offsets, strict=False)]
    return np.concatenate([part.mesh.vertices for part in parts]).astype(float), np.concatenate(faces).astype(np.int64)


def shading_normals(parts: Sequence[Part], crease_degrees: float = 40.0) -> Float[ndarray, "vertex 3"]:
    """Unit normals of all vertices in order, smoothed over seams but not over creases."""
    vertices, faces = joined(parts)
    corners = vertices[faces]
    area_normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    own = np.zeros_like(vertices)
    np.add.at(own, faces.ravel(), np.repeat(area_normal, 3, axis=0))
    area = np.linalg.norm(own, axis=1)
    unit = own / np.maximum(area[:, None], 1e-20)
    _, group = np.unique(np.round(vertices * 1e6).astype(np.int64), axis=0, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    starts = np.flatnonzero(np.diff(group.ravel()[order], prepend=-1))
    smooth, limit = own.copy(), np.cos(np.deg2rad(crease_degrees))
    for members in np.split(order, starts[1:]):
        if len(members) > 1:
            # a vertex of none but collapsed faces, as at a pole, has no normal of its own and takes the others'
            collapsed = area[members] <= 1e-9 * area[members].max()
            agree = (unit[members] @ unit[members].T > limit) | np.eye(len(members), dtype=bool) | collapsed[:, None]
            smooth[members] = agree @ own[members]
    return smooth / np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-20)


def _resample(profile: ndarray, step: float) -> tuple[ndarray, ndarray]:
    """Points along a profile at most `step` apart, sharp corners doubled, and their share of the length."""
    edges = np.diff(profile, axis=0)
    lengths = np.linalg.norm(edges, axis=1)
    heading = np.arctan2(edges[:, 1], edges[:, 0])
    turn = np.abs((np.diff(heading) + np.pi) % (2 * np.pi) - np.pi)
    start = np.concatenate([[0.0], np.cumsum(lengths)])
    points, share = [profile[:1]], [start[:1]]
    for row, length in enumerate(lengths):
        if row and turn[row - 1] > _CORNER_RADIANS:
            points.append(profile[row : row + 1])
            share.append(start[row : row + 1])
        t = np.linspace(0, 1, max(1, int(np.ceil(length / step))) + 1)[1:]
        points.append(profile[row] + t[:, None] * edges[row])
        share.append(start[row] + t * length)
    return np.concatenate(points), np.concatenate(share) / start[-1]
