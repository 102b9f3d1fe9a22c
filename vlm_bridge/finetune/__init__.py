"""Supervised fine-tuning of a backbone in stages, on the trainer of transformers."""
