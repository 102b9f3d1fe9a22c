"""Checkpoints of InternVL's own layout, whose code comes with them, as folders that transformers reads by itself."""
