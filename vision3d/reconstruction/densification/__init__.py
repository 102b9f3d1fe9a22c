"""Densification: how the set of Gaussians changes while it is fitted. A family: one protocol, one file per member."""
