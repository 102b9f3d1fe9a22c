"""Evaluation: ground truth of the published benchmarks, the scores of their protocols, and reports per query.

Convention of the room: views are found by name, never by number; boxes are left, top, right, bottom in pixels of the
mask, edges included; thresholds are given by the caller and written into the report.
"""
