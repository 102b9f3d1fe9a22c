"""Gaussian scenes: `GaussianScene`, the files that hold one, selections, neighbours and boxes.

Convention of the room: values are stored before activation and their names say so (`log_scales`, `opacity_logits`).
"""
