"""Readers of other data sets: each turns one format into MedSeg-QA records. Pictures stay where they are.

The formats are described from what their projects publish; none of their code is used.
"""
