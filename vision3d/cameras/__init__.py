"""Posed views: `CameraBatch`, the readers that make one, and photos with lens distortion removed.

Convention of the room: OpenCV axes (x right, y down, z forward), `world_to_camera` matrices, pixel centres at +0.5,
views found by name.
"""
