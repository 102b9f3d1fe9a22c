"""Reconstruction: Gaussians fitted to posed photos, with densification, checkpoints and a held-out report."""
